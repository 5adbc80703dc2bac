// The console: the gate, the list of recordings, and the one that is open.
import * as api from "./api.js";
import { clock, day, element, person } from "./format.js";
import { Player } from "./player.js";

const at = (id) => document.getElementById(id);
let cursor = null;
let player = null;

function gate(message) {
  at("main").classList.add("gated");
  for (const id of ["list", "detail", "sign-out"]) at(id).hidden = true;
  at("search-form").hidden = true;
  at("gate").hidden = false;
  at("key-error").hidden = !message;
  at("key-error").textContent = message || "";
  at("key").focus();
}

function refused(problem) {
  if (problem.status !== 401) throw problem;
  api.key.forget();
  gate("This key is not valid.");
}

async function enter() {
  at("main").classList.remove("gated");
  at("gate").hidden = true;
  for (const id of ["list", "detail", "sign-out", "search-form"]) at(id).hidden = false;
  await fill();
  await route();
}

async function fill(more = false) {
  const search = at("search").value.trim();
  const page = search ? await api.found(search) : await api.recordings(more ? cursor : null);
  cursor = page.nextCursor;
  if (!more) at("rows").replaceChildren();
  at("rows").append(...page.data.map(row));
  at("more").hidden = !cursor;
  at("empty").hidden = at("rows").children.length > 0;
  at("empty").textContent = search ? "Nothing matches." : "No recordings yet.";
  highlight();
}

function row(recording) {
  const tags = recording.tags.map((tag) => element("span", { className: "tag", textContent: tag }));
  if (recording.operation) tags.unshift(element("span", { className: "tag", textContent: recording.redacted ? "redacted" : recording.operation }));
  if (recording.inProgress) tags.unshift(element("span", { className: "tag live", textContent: "in progress" }));
  const button = element("button", { className: "row", type: "button" },
    element("strong", { textContent: person(recording.call, "customer") }),
    element("span", { className: "time", textContent: clock(recording.duration) }),
    element("small", {}, `${person(recording.call, "assistant")} · ${recording.call.direction}`),
    element("small", { className: "time", textContent: day(recording.startTime || recording.created) }),
    element("span", { className: "tags" }, ...tags));
  button.dataset.id = recording.id;
  button.addEventListener("click", () => { location.hash = recording.id; });
  return element("li", {}, button);
}

const opened = () => decodeURIComponent(location.hash.slice(1));

function highlight() {
  for (const button of at("rows").querySelectorAll(".row")) button.setAttribute("aria-current", button.dataset.id === opened());
}

async function route() {
  if (player) player.close();
  player = null;
  at("main").classList.toggle("showing", Boolean(opened()));
  highlight();
  if (!opened()) {
    at("detail").replaceChildren(element("p", { className: "empty", textContent: "Choose a recording to listen." }));
    return;
  }
  await show(await api.recording(opened()));
}

async function show(recording) {
  const back = element("button", { className: "quiet back", type: "button", textContent: "← All recordings" });
  back.addEventListener("click", () => { location.hash = ""; });
  const facts = [
    day(recording.startTime || recording.created), clock(recording.duration), recording.call.direction,
    recording.sampleRate ? `${recording.sampleRate / 1000} kHz` : "", recording.encrypted ? "sealed" : "", recording.redacted ? "redacted" : "",
  ].filter(Boolean);
  at("detail").replaceChildren(back,
    element("h1", { textContent: `${person(recording.call, "customer")} and ${person(recording.call, "assistant")}` }),
    element("div", { className: "facts" }, ...facts.map((fact) => element("span", { textContent: fact }))));
  if (recording.status !== "completed") {
    at("detail").append(element("p", { className: "soft", textContent: state(recording) }));
    return;
  }
  player = new Player(recording, at("detail"));
  await player.open();
}

function state({ status, inProgress, failure }) {
  if (inProgress) return "This recording is still in progress.";
  return `This recording ${status === "failed" ? "has" : "is"} ${status}${failure ? `: ${failure.replaceAll("_", " ")}` : ""}.`;
}

const guarded = (work) => (...values) => work(...values).catch(refused).catch((problem) => {
  at("detail").append(element("p", { className: "error", role: "alert", textContent: problem.message }));
});

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.key.set(at("key").value.trim());
  at("key").value = "";
  guarded(enter)();
});
at("sign-out").addEventListener("click", () => { api.key.forget(); location.hash = ""; if (player) player.close(); gate(); });
at("more").addEventListener("click", guarded(() => fill(true)));
at("search-form").addEventListener("submit", (event) => event.preventDefault());
let typing;
at("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(guarded(() => fill()), 250); });
addEventListener("hashchange", guarded(route));
if (api.key.get()) guarded(enter)(); else gate();
