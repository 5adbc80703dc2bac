// The vault's own API, asked with the key of this tab.
const KEY = "callvault-key";

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The vault answered ${status}.`);
    this.status = status;
    this.code = body.code;
  }
}

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${key.get()}` };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return answer.json();
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const recordings = (cursor) => ask("GET", `/recordings?${query({ cursor, limit: 30 })}`);

export async function found(search) {
  const calls = await ask("GET", `/calls?${query({ search, limit: 20 })}`);
  const tagged = ask("GET", `/recordings?${query({ tag: search, limit: 20 })}`);
  const pages = await Promise.all([tagged, ...calls.data.map((call) => ask("GET", `/recordings?callId=${call.id}`))]);
  const unique = new Map(pages.flatMap((page) => page.data).map((recording) => [recording.id, recording]));
  return { data: [...unique.values()], nextCursor: null };
}

export const recording = (id) => ask("GET", `/recordings/${id}`);
export const timeline = (id) => ask("GET", `/recordings/${id}/timeline`);
export const transcript = (id) => ask("GET", `/recordings/${id}/transcript`);
export const waveform = (id, view, samplesPerPixel) =>
  ask("GET", `/recordings/${id}/waveform.json?${query({ view, samplesPerPixel })}`);
export const link = (id, view, format, disposition) =>
  ask("POST", `/recordings/${id}/secure-url`, { view, format, disposition });
