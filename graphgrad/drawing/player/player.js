// Shows one frame after another. All texts and states come from Python; nothing is computed here
// but where we are. Texts carry a tab before and after a name that bears a bar.

const $ = (id) => document.getElementById(id);

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

const data = await unpack($("data").textContent);
const svg = $("graph"), stage = $("stage"), slider = $("slider");
const last = data.captions.length - 1;
const STATES = { p: "pending", c: "current", d: "done", i: "idle" };
let frame = -1, phase = "", playing = 0, settling = 0, pointed = "", focused = "";
let asked = null; // what the quiz asks for
let hiding = false; // whether it hides local derivatives
const breakpoints = new Set();

// -- texts --------------------------------------------------------------------------------------

const plain = (text) => text.replace(/\t([^\t]*)\t/g, "adjoint of $1");

function write(element, text) {
  if (!text.includes("\t")) { element.textContent = text; return; }
  const inSvg = element.namespaceURI === svg.namespaceURI;
  element.replaceChildren(...text.split("\t").map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    const bar = inSvg ? document.createElementNS(svg.namespaceURI, "tspan")
      : document.createElement("span");
    if (!inSvg) bar.className = "bar";
    bar.textContent = part;
    return bar;
  }));
}

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  write(element, text);
  return element;
}

// -- the items of the picture ---------------------------------------------------------------------

/** The last entry of a list of [frame, value] that holds at frame i. */
function at(changes, i) {
  let low = 0, high = changes.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (changes[middle][0] <= i) low = middle; else high = middle - 1;
  }
  return changes[low][1];
}

const timeline = (text) => [...text.matchAll(/(\d+)(\D)/g)].map((m) => [+m[1], STATES[m[2]]]);

class Item {
  constructor(id, kind, states) {
    this.id = id;
    this.kind = kind;
    this.states = typeof states === "string" ? timeline(states) : states;
    this.element = $(id);
    this.handle = this.element.querySelector("rect") || this.element; // what takes the focus
    this.base = this.element.getAttribute("class").replace(/ \w+$/, "");
    this.shown = "";
    if (kind === "dot") this.name = this.element.querySelector("text").textContent;
  }

  /** The frames at which something of it changes. */
  moments() { return new Set(this.timelines().flat().map(([i]) => i)); }

  timelines() { return [this.states]; }

  show(i) {
    const state = at(this.states, i) + (asked && asked.item === this ? " asked" : "");
    if (state === this.shown) return false;
    this.shown = state;
    this.element.setAttribute("class", `${this.base} ${state}`);
    return true;
  }
}

class Box extends Item {
  constructor(id, [name, states, made, values, adjoints]) {
    super(id, "box", states);
    Object.assign(this, { name, made, values, adjoints, value: null, adjoint: null });
    this.role = this.base.split(" ")[1];
    const rows = [...this.element.querySelectorAll("text:not(.name)")];
    this.valueRows = rows.filter((row) => !row.classList.contains("adj"));
    this.adjointRows = rows.filter((row) => row.classList.contains("adj"));
  }

  show(i) {
    const kind = asked && asked.item === this ? asked.kind : "";
    const value = kind === "value" ? ["?"] : at(this.values, i);
    const adjoint = kind === "adjoint" ? [`\t${this.name}\t = ?`] : at(this.adjoints, i);
    let changed = super.show(i);
    if (value !== this.value) { this.fill(this.valueRows, this.value = value); changed = true; }
    if (adjoint !== this.adjoint) {
      this.fill(this.adjointRows, this.adjoint = adjoint);
      changed = true;
    }
    if (changed) this.announce();
  }

  timelines() { return [this.states, this.values, this.adjoints]; }

  fill(rows, lines) { rows.forEach((row, k) => write(row, lines[k] || "")); }

  announce() {
    const what = data.titles[this.id] || this.name;
    const text = [`${this.role} ${what}, ${this.value.join(" ")}`, ...this.adjoint].join("; ");
    this.handle.setAttribute("aria-label", plain(text));
  }
}

class Arrow extends Item {
  constructor(id, [states, box, dot, made]) {
    super(id, "arrow", states);
    Object.assign(this, { box, dot, made });
    const texts = this.element.querySelectorAll("text");
    [this.local, this.part] = [...texts].map(read);
    this.label = texts[0];
  }

  show(i) {
    if (!super.show(i)) return;
    const local = phase === "forward" || !this.local || this.hidden() ? "" : `: ${this.local}`;
    const part = local && !this.shown.startsWith("pending") ? `; ${this.part}` : "";
    const text = `edge from ${items.get(this.box).name} to ${result(this.dot)}${local}${part}`;
    this.element.setAttribute("aria-label", plain(text));
  }

  hidden() { return hiding && this.shown.startsWith("pending"); }
}

/** The text of an SVG label, with tabs for its bars. */
function read(element) {
  const parts = [...element.childNodes];
  return parts.map((n) => (n.nodeType === 1 ? `\t${n.textContent}\t` : n.data)).join("");
}

/** What an operation makes: the name of its box; for a group, the group's. */
function result(dot) {
  const item = items.get(dot);
  return item.base.includes("set") ? `group ${item.name}` : items.get(makes.get(dot)).name;
}

const makes = new Map(Object.values(data.links)); // the box an operation makes
const items = new Map();
for (const [id, given] of Object.entries(data.boxes)) items.set(id, new Box(id, given));
for (const [id, given] of Object.entries(data.dots)) items.set(id, new Item(id, "dot", given));
for (const [id, given] of Object.entries(data.arrows)) items.set(id, new Arrow(id, given));
for (const [id, [dot]] of Object.entries(data.links)) {
  items.set(id, new Item(id, "link", items.get(dot).states));
}

/** The item that answers for an element: a dot stands for the box it makes, a group for itself. */
function itemOf(target) {
  const group = target.closest("#graph g[id]");
  const item = group && items.get(group.id);
  if (!item) return null;
  if (item.kind === "link") return items.get(data.links[item.id][1]);
  return item.kind === "dot" && !item.base.includes("set") ? items.get(makes.get(item.id)) : item;
}

const changes = data.captions.map(() => []); // by frame: the items that are not as the frame before
for (const item of items.values()) {
  const { element, handle, kind } = item;
  for (const i of item.moments()) changes[i].push(item);
  if (kind === "arrow") {
    const hit = element.querySelector("path").cloneNode();
    hit.setAttribute("class", "hit");
    element.append(hit);
    element.setAttribute("role", "img");
  } else if (kind === "box" || item.base.includes("set")) {
    handle.setAttribute("role", "button");
    handle.setAttribute("aria-pressed", "false");
    if (kind === "dot") handle.setAttribute("aria-label", data.titles[item.id]);
  } else continue;
  handle.setAttribute("tabindex", "0");
}
// The labels say in words what the texts of the picture say.
for (const text of svg.querySelectorAll("text")) text.setAttribute("aria-hidden", "true");

// -- going from frame to frame --------------------------------------------------------------------

const starts = []; // [phase, first frame, last frame]
for (const [name, count] of data.phases) {
  const first = starts.length ? starts[starts.length - 1][2] + 1 : 0;
  starts.push([name, first, first + count - 1]);
  const button = make("button", name[0].toUpperCase() + name.slice(1));
  button.type = "button";
  button.addEventListener("click", () => { pause(); go(first); });
  $("phases").append(button);
}

/** Which step of which phase a frame is; its caption begins so. */
function where(i) {
  const [name, first, end] = starts.find((s) => i <= s[2]);
  return i === first ? `${name}, start` : `${name}, step ${i - first} of ${end - first}`;
}

function caption(i) {
  const text = data.captions[i];
  return starts.some((s) => s[1] === i) ? text : `${where(i)}:   ${text}`;
}

function go(target) {
  const i = Math.max(0, Math.min(last, target));
  if (i === frame) return;
  const near = Math.abs(i - frame) === 1;
  const touched = near ? changes[Math.max(i, frame)] : items.values();
  frame = i;
  render(touched);
  if (!settling) settling = requestAnimationFrame(settle);
}

/** Makes the page show the frame; only what differs is touched. */
function render(touched) {
  const now = starts.findIndex(([, , end]) => frame <= end);
  if (phase !== starts[now][0]) {
    phase = starts[now][0];
    svg.setAttribute("class", phase === "forward" ? "forward" : "backward");
    [...$("phases").children].forEach((b, k) => {
      if (k === now) b.setAttribute("aria-current", "true"); else b.removeAttribute("aria-current");
    });
  }
  for (const item of touched) item.show(frame);
  write($("said"), caption(frame));
  slider.value = frame;
  slider.setAttribute("aria-valuetext", where(frame));
  $("first").disabled = $("back").disabled = frame === 0;
  $("next").disabled = $("last").disabled = frame === last;
  pose();
}

/** What need not be done more often than the screen is drawn. */
function settle() {
  settling = 0;
  describe();
  follow(items.get(data.focus[frame] || data.focus[frame + 1]));
}

const stops = (i) => [...breakpoints].some((id) => at(items.get(id).states, i) === "current");

function pause() {
  clearTimeout(playing);
  playing = 0;
  $("play").classList.remove("playing");
  $("play").setAttribute("aria-label", "Play");
  $("said").setAttribute("aria-live", "polite");
}

function play() {
  if (playing) { pause(); return; }
  if (frame === last) go(0);
  $("play").classList.add("playing");
  $("play").setAttribute("aria-label", "Pause");
  $("said").setAttribute("aria-live", "off"); // a reader of the page could not keep up
  const tick = () => {
    if (frame + 1 === last || stops(frame + 1)) pause();
    else playing = setTimeout(tick, 1000 / +$("speed").value);
    go(frame + 1);
  };
  playing = setTimeout(tick, 1000 / +$("speed").value);
}

function run() {
  pause();
  let i = frame + 1;
  while (i < last && !stops(i)) i += 1;
  go(i);
}

function toggle(item) {
  if (!item || item.kind === "arrow") return;
  const on = !breakpoints.delete(item.id);
  if (on) breakpoints.add(item.id);
  item.handle.setAttribute("aria-pressed", String(on));
  const mark = item.element.querySelector(".stop");
  if (mark) mark.remove();
  else {
    const dot = document.createElementNS(svg.namespaceURI, "circle");
    const corner = item.element.querySelector("rect");
    for (const [key, value] of [["class", "stop"], ["r", 5], ["cx", +corner.getAttribute("x") + 4],
      ["cy", +corner.getAttribute("y") + 4]]) dot.setAttribute(key, value);
    item.element.append(dot);
  }
  $("run").disabled = breakpoints.size === 0;
}
