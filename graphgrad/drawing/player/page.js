// What surrounds the picture's frames: details of one item, zoom, buttons, keys, the mouse.

// -- details of a node or an edge -----------------------------------------------------------------

function describe() {
  const item = items.get(pointed || focused || data.focus[frame]);
  const numbers = [];
  $("formula").replaceChildren();
  if (!item) write($("what"), caption(frame));
  else if (item.kind === "box") {
    write($("what"), `${item.role} ${item.name}`);
    showFormula(item, data.titles[item.id]);
    numbers.push(["value", item.value.join("\n")], ["adjoint", item.adjoint.join("\n")]);
    for (const arrow of items.values()) {
      if (arrow.box !== item.id || !arrow.part || phase === "forward") continue;
      if (/pending|idle/.test(arrow.shown)) continue;
      numbers.push([`from ${result(arrow.dot)}`, arrow.part]);
    }
  } else if (item.kind === "arrow") {
    write($("what"), `edge from ${items.get(item.box).name} to ${result(item.dot)}`);
    showFormula(item, "");
    const rule = item.local && item.local.includes("←") ? "rule" : "local derivative";
    if (item.local && !item.hidden()) numbers.push([rule, item.local]);
    if (item.part && latest(item) !== undefined) numbers.push(["contribution", item.part]);
  } else write($("what"), data.titles[item.id] || "");
  $("numbers").replaceChildren(...numbers.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
}

/** The formula of the latest step of an item; before the first, only what will be computed. */
function showFormula(item, title) {
  const made = latest(item);
  if (made === undefined) {
    if (title && item.made.length) $("formula").replaceChildren(make("p", title));
    return;
  }
  if (!data.formulas[made]) {
    $("formula").replaceChildren(make("p", data.captions[made]));
    return;
  }
  const parsed = new DOMParser().parseFromString(data.formulas[made], "application/xml");
  $("formula").replaceChildren(document.importNode(parsed.documentElement, true));
}

/** The last frame up to now in which a step of the item was made. */
const latest = (item) => item.made.filter((i) => i <= frame).pop();

// -- zoom -----------------------------------------------------------------------------------------

const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
const LEGIBLE = 0.8; // a picture that would be drawn much smaller than this starts at its beginning
let scale = 1, fitted = true;
const fitting = () => Math.min(1.6, (stage.clientWidth - 2) / width);

function zoom(to, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const before = scale;
  fitted = to === fitting();
  scale = Math.max(0.05, Math.min(8, to));
  svg.style.width = `${width * scale}px`;
  svg.style.height = `${height * scale}px`;
  stage.classList.toggle("wide", width * scale > stage.clientWidth + 1);
  stage.scrollLeft = (stage.scrollLeft + x) * scale / before - x;
  stage.scrollTop = (stage.scrollTop + y) * scale / before - y;
}

const fit = () => zoom(fitting());

/** Brings an item into sight when the picture is larger than its window. */
function follow(item) {
  if (!item || scale <= fitting()) return;
  const seen = stage.getBoundingClientRect(), it = item.element.getBoundingClientRect();
  if (it.left < seen.left || it.right > seen.right) {
    stage.scrollLeft += (it.left + it.right - seen.left - seen.right) / 2;
  }
  if (it.top < seen.top || it.bottom > seen.bottom) {
    stage.scrollTop += (it.top + it.bottom - seen.top - seen.bottom) / 2;
  }
}

// -- controls -------------------------------------------------------------------------------------

const press = (id, action) => $(id).addEventListener("click", action);
const step = (target) => { pause(); go(target); };
press("first", () => step(0));
press("back", () => step(frame - 1));
press("next", () => step(frame + 1));
press("last", () => step(last));
press("play", play);
press("run", run);
press("in", () => zoom(scale * 1.3));
press("out", () => zoom(scale / 1.3));
press("fit", fit);
slider.addEventListener("input", () => step(+slider.value));

function isDark() {
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  if (scheme === "light" || scheme === "dark") return scheme === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

press("theme", () => {
  document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select")) return;
  const item = itemOf(event.target);
  const pressing = event.target.closest("button, summary, [role=button]");
  const keys = { ArrowLeft: () => step(frame - 1), ArrowRight: () => step(frame + 1),
    Home: () => step(0), End: () => step(last), 0: fit,
    "+": () => zoom(scale * 1.3), "-": () => zoom(scale / 1.3) };
  if (item) keys.b = keys.Enter = keys[" "] = () => toggle(item);
  else if (!pressing) keys[" "] = play;
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

svg.addEventListener("pointerover", (event) => {
  const item = itemOf(event.target);
  pointed = item ? item.id : "";
  describe();
});
svg.addEventListener("pointerleave", () => { pointed = ""; describe(); });
svg.addEventListener("focusin", (event) => { focused = itemOf(event.target).id; describe(); });
svg.addEventListener("focusout", () => { focused = ""; describe(); });

let dragged = null; // where the mouse went down, and how far it has moved since
svg.addEventListener("mousedown", (event) => {
  if (event.button) return;
  dragged = { x: event.clientX, y: event.clientY, far: false };
  event.preventDefault(); // so that the keys stay with the page, and no text is selected
  if (document.activeElement) document.activeElement.blur();
});
addEventListener("mousemove", (event) => {
  if (!dragged || !event.buttons) return;
  const dx = event.clientX - dragged.x, dy = event.clientY - dragged.y;
  if (!dragged.far && Math.hypot(dx, dy) < 5) return;
  dragged = { x: event.clientX, y: event.clientY, far: true };
  stage.scrollBy(-dx, -dy);
});
svg.addEventListener("click", (event) => {
  if (!dragged || !dragged.far) toggle(itemOf(event.target));
  dragged = null;
});
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return; // a pinch on a touchpad; without it the wheel scrolls
  event.preventDefault();
  const seen = stage.getBoundingClientRect();
  zoom(scale * Math.exp(-event.deltaY / 200), event.clientX - seen.left, event.clientY - seen.top);
}, { passive: false });
addEventListener("resize", () => { if (fitted) fit(); });
