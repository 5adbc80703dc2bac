// One recording: its lanes as waveforms, its words in step with the sound, and the keys that drive it.
import * as api from "./api.js";
import { clock, element, person } from "./format.js";
import WaveSurfer from "./vendor/wavesurfer.esm.js";
import Hover from "./vendor/hover.esm.js";
import Timeline from "./vendor/timeline.esm.js";

const SPEEDS = [0.75, 1, 1.25, 1.5, 2, 2.5, 3];
const PLAY = "M4 2.5v11l9-5.5z";
const PAUSE = "M4 2.5h3v11H4zM9 2.5h3v11H9z";
const GAP_SECONDS = 1.5;
const TURN_SECONDS = 3;
const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];
const LABEL_PIXELS = 52;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Opaque, for what is played is drawn as dense as what is to come.
const faint = (name) => `color-mix(in srgb, ${color(name)} 40%, ${color("surface")})`;
const nonce = document.querySelector('meta[name="csp-nonce"]').content;

export class Player {
  constructor(recording, root) {
    this.recording = recording;
    this.root = root;
    this.gaps = [];
    this.turns = [];
    this.media = new Audio();
    this.media.preload = "metadata";
    this.stop = new AbortController();
  }

  async open() {
    const { id } = this.recording;
    const pixels = Math.max(64, Math.ceil((this.recording.duration * (this.recording.sampleRate || 8000)) / 4000 / 64) * 64);
    const [sound, shape, timeline, words] = await Promise.all([
      api.link(id, "stereo", "wav"),
      api.waveform(id, "stereo", pixels),
      api.timeline(id),
      api.transcript(id).catch(() => ({ turns: [] })),
    ]);
    this.words = [{ call: this.recording.call, turns: words.turns || [] }, ...(await this.others(timeline))];
    if (this.stop.signal.aborted) return;
    this.timeline = timeline;
    this.pieces = laid(timeline, this.recording);
    this.duration = timeline.heard.reduce((sum, { start, end }) => sum + end - start, 0);
    this.gaps = silences(shape, this.duration);
    this.renew(sound);
    this.draw(shape);
  }

  // The words of other calls that are heard in it, as far as they may be read.
  async others({ heard }) {
    const originals = new Map(heard.map(({ callId, recordingId }) => [callId, recordingId]));
    originals.delete(this.recording.call.id);
    const found = await Promise.all([...originals.values()].map((id) => api.recording(id).catch(() => ({}))));
    return found.filter(({ transcript }) => transcript).map(({ call, transcript: { turns } }) => ({ call, turns }));
  }

  renew(sound) {
    this.expires = Date.parse(sound.expiresAt) || sound.expiresAt * 1000;
    this.media.src = sound.url;
  }

  draw(shape) {
    const wave = element("div", { className: "wave" });
    const names = ["customer", "assistant"].map((role) =>
      element("span", { className: role, title: person(this.recording.call, role), textContent: person(this.recording.call, role) }));
    wave.append(...this.pauses().flatMap(({ places, reason }) => places.map((place) => this.shade(place, "paused", `Paused: ${reason || "no reason given"}`))));
    wave.append(...this.timeline.masks.map(({ start, end, lane }) => this.shade([start, end], `masked ${lane || ""}`, `Redacted: ${lane || "all sides"}`)));
    const lanes = element("div", { className: "lanes" }, element("div", { className: "lane-names" }, ...names), wave);
    this.root.append(element("div", { className: "card" }, lanes, this.controls(), this.spans()), this.transcript());
    this.surfer = WaveSurfer.create({
      container: wave, media: this.media, cspNonce: nonce, height: 64, normalize: false, barWidth: 2, barGap: 1,
      peaks: channels(shape), duration: this.duration, cursorColor: color("ink"), dragToSeek: true,
      splitChannels: ["customer", "assistant"].map((role) => ({ waveColor: faint(role), progressColor: color(role) })),
      plugins: [
        Hover.create({ lineColor: color("soft"), labelBackground: color("surface"), labelColor: color("ink") }),
        Timeline.create({ height: 18, ...labelled(this.duration, wave.clientWidth), style: { color: color("soft"), fontSize: "11px" } }),
      ],
    });
    this.surfer.on("timeupdate", (seconds) => this.follow(seconds));
    this.listen();
  }

  pauses() {
    const own = (piece) => piece.of === this.timeline.recordingId;
    return this.timeline.pauses.map(({ start, end, reason }) => ({ reason, places: placesOf(this.pieces, own, start, end ?? Infinity) }));
  }

  shade([from, to], className, title) {
    const mark = element("span", { className, title });
    mark.style.left = `${(from / this.duration) * 100}%`;
    mark.style.width = `${((to - from) / this.duration) * 100}%`;
    return mark;
  }

  listen() {
    const options = { signal: this.stop.signal };
    const icon = () => this.icon.setAttribute("d", this.media.paused ? PLAY : PAUSE);
    for (const name of ["play", "pause", "ended"]) this.media.addEventListener(name, icon, options);
    this.media.addEventListener("error", () => this.mend(), options);
    document.addEventListener("keydown", (event) => this.pressed(event), options);
  }

  async mend() {
    if (Date.now() < this.expires) return;
    const at = this.media.currentTime;
    this.renew(await api.link(this.recording.id, "stereo", "wav"));
    this.media.currentTime = at;
    await this.media.play();
  }

  controls() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    this.icon = document.createElementNS("http://www.w3.org/2000/svg", "path");
    this.icon.setAttribute("d", PLAY);
    svg.append(this.icon);
    const play = element("button", { className: "play", type: "button", title: "Play or pause (space)", ariaLabel: "Play or pause" }, svg);
    play.addEventListener("click", () => this.toggle());
    this.time = element("span", { className: "clock", textContent: `${clock(0)} / ${clock(this.duration)}` });
    this.speed = element("select", { title: "Speed", ariaLabel: "Speed" },
      ...SPEEDS.map((rate) => element("option", { value: rate, textContent: `${rate}×`, selected: rate === 1 })));
    this.speed.addEventListener("change", () => { this.media.playbackRate = Number(this.speed.value); });
    this.skip = element("input", { type: "checkbox", checked: false });
    const skip = element("label", {}, this.skip, "Skip silence");
    const keys = element("span", { className: "soft keys", title: "Play or pause, 5 seconds back or on, slower or faster" });
    keys.append(element("kbd", { textContent: "space" }), " ", element("kbd", { textContent: "←" }), " ", element("kbd", { textContent: "→" }), " ", element("kbd", { textContent: "<" }), " ", element("kbd", { textContent: ">" }));
    return element("div", { className: "controls" }, play, this.time, this.speed, skip, element("span", { className: "space" }), keys, this.downloads());
  }

  downloads() {
    const choice = element("select", { title: "Download", ariaLabel: "Download" },
      element("option", { value: "", textContent: "Download…" }),
      ...["wav", "mp3", "ogg", "m4a", "flac"].flatMap((format) => ["stereo", "mono"].map((view) =>
        element("option", { value: `${view} ${format}`, textContent: `${format.toUpperCase()}, ${view}` }))));
    choice.addEventListener("change", async () => {
      const [view, format] = choice.value.split(" ");
      choice.value = "";
      if (format) location.assign((await api.link(this.recording.id, view, format, "attachment")).url);
    });
    return choice;
  }

  spans() {
    const pauses = this.pauses().flatMap(({ reason, places }) => places.map(([from, to]) =>
      `${clock(from)}${from < to ? ` – ${clock(to)}` : ""}: paused${reason ? ` (${reason})` : ""}, nothing was stored`));
    const losses = this.timeline.lanes.filter((lane) => lane.lost > 0).map((lane) => `${lane.name}: ${lane.lost.toFixed(2)} s were lost on the way`);
    const told = [...pauses, ...losses].map((textContent) => element("li", { textContent }));
    return told.length ? element("ul", { className: "spans" }, ...told) : null;
  }

  transcript() {
    const said = this.words.flatMap(({ call, turns }) => turns.map((turn) => ({ call, turn })));
    if (!said.length) return element("p", { className: "soft", textContent: "No transcript yet." });
    this.turns = said.flatMap(({ call, turn }) => {
      const end = turn.end > turn.start ? turn.end : turn.start + TURN_SECONDS;
      const places = placesOf(this.pieces, (piece) => piece.call === call.id, turn.start, end);
      return places.length ? [{ places, button: this.turn(call, turn, places[0][0]) }] : [];
    }).sort((one, other) => one.places[0][0] - other.places[0][0]);
    return element("ol", { className: "turns card" }, ...this.turns.map(({ button }) => element("li", {}, button)));
  }

  turn(call, { role, content }, start) {
    const who = element("span", { className: `who ${role}`, textContent: person(call, role) });
    const button = element("button", { className: "turn", type: "button" },
      element("span", { className: "at", textContent: clock(start) }), element("span", {}, who, content));
    button.addEventListener("click", () => { this.media.currentTime = start; this.media.play(); });
    return button;
  }

  follow(seconds) {
    this.time.textContent = `${clock(seconds)} / ${clock(this.duration)}`;
    for (const { places, button } of this.turns) button.setAttribute("aria-current", places.some(([from, to]) => seconds >= from && seconds < to));
    const gap = this.skip.checked && !this.media.paused && this.gaps.find(([from, to]) => seconds >= from && seconds < to);
    if (gap) this.media.currentTime = gap[1];
  }

  toggle() { return this.media.paused ? this.media.play() : this.media.pause(); }

  pressed(event) {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
    const faster = { "<": -1, ">": 1 }[event.key];
    if (event.key === " " && !event.target.matches("button")) this.toggle();
    else if (step) this.media.currentTime += step;
    else if (faster) this.shift(faster);
    else return;
    event.preventDefault();
  }

  shift(by) {
    const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(this.media.playbackRate) + by))];
    this.media.playbackRate = next;
    this.speed.value = next;
  }

  close() {
    this.stop.abort();
    this.media.pause();
    this.media.removeAttribute("src");
    if (this.surfer) this.surfer.destroy();
  }
}

// What of calls' clocks is heard, each stretch with its place in the recording. An original has all of the call around
// it, so that what is nowhere in its sound has a place at one of its ends.
function laid({ heard, recordingId }, { id, call }) {
  let next = 0;
  const pieces = heard.map(({ start, end, begins, recordingId: of, callId }) => {
    const at = next;
    next += end - start;
    return { start, end, begins, at, of, call: callId };
  });
  const edge = (time, at) => ({ start: time, end: time, begins: 0, at, of: id, call: call.id });
  return id === recordingId ? [edge(0, 0), ...pieces, edge(Infinity, next)] : pieces;
}

// Where in the recording a stretch of the clock of the pieces of its own is heard: where they sound by then, if any of
// them does; a point where it was left out between two others.
function placesOf(pieces, isOwn, start, end) {
  const lying = pieces.filter((piece) => isOwn(piece) && start < piece.end && end > piece.start);
  const sounding = lying.filter(({ begins }) => end > begins);
  const placed = (sounding.length ? sounding : lying)
    .map((piece) => [start, end].map((time) => piece.at + Math.min(Math.max(time, piece.start), piece.end) - piece.start));
  const isLeftOut = (piece, n) => n && isOwn(piece) && pieces[n - 1].of === piece.of && pieces[n - 1].end <= start && end <= piece.start;
  return placed.length ? placed : pieces.filter(isLeftOut).map(({ at }) => [at, at]);
}

// As many of the clock's times under the waveform as can be read.
function labelled(duration, pixels) {
  const step = STEPS.find((seconds) => (duration / seconds) * LABEL_PIXELS <= pixels) || STEPS.at(-1);
  const isCut = (seconds) => ((duration - seconds) / duration) * pixels < LABEL_PIXELS * 0.75;
  const formatTimeCallback = (seconds) => (isCut(seconds) ? "" : clock(Math.round(seconds)));
  return { timeInterval: step / 5, primaryLabelInterval: step, secondaryLabelInterval: step, formatTimeCallback };
}

function channels({ data, channels: count, bits }) {
  const scale = bits === 8 ? 128 : 32768;
  return Array.from({ length: count }, (_, channel) => {
    const points = new Float32Array(data.length / count);
    for (let pair = 0; pair * 2 * count < data.length; pair += 1) {
      points[pair * 2] = data[(pair * count + channel) * 2] / scale;
      points[pair * 2 + 1] = data[(pair * count + channel) * 2 + 1] / scale;
    }
    return points;
  });
}

function silences({ data, channels: count, bits }, duration) {
  const quiet = (bits === 8 ? 128 : 32768) * 0.01;
  const pixels = data.length / (2 * count);
  const found = [];
  for (let pixel = 0, from = null; pixel <= pixels; pixel += 1) {
    const silent = pixel < pixels && data.slice(pixel * 2 * count, (pixel + 1) * 2 * count).every((v) => Math.abs(v) < quiet);
    if (silent && from === null) from = pixel;
    if (!silent && from !== null) {
      const span = [(from / pixels) * duration, (pixel / pixels) * duration];
      if (span[1] - span[0] > GAP_SECONDS) found.push([span[0] + 0.3, span[1] - 0.3]);
      from = null;
    }
  }
  return found;
}
