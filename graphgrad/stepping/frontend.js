// The stepper's side in the browser: asks Python for a moment, shows the one that comes.

function element(tag, properties, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const phases = model.get("_phases");
  const last = phases.reduce((sum, [, steps]) => sum + steps + 1, 0) - 1;
  const go = (moment) => {
    model.set("moment", Math.max(0, Math.min(last, moment)));
    model.save_changes();
  };
  const here = () => model.get("moment");

  const button = (sign, name, target) => {
    const made = element("button", { type: "button", textContent: sign, title: name });
    made.setAttribute("aria-label", name);
    made.addEventListener("click", () => go(target()));
    return made;
  };
  const start = button("|◀\uFE0E", "Start", () => 0);
  const back = button("◀\uFE0E", "Back", () => here() - 1);
  const next = button("▶\uFE0E", "Next", () => here() + 1);
  const end = button("▶\uFE0E|", "End", () => last);
  const slider = element("input", { type: "range", min: 0, max: last, step: 1 });
  slider.setAttribute("aria-label", "Moment");
  slider.addEventListener("input", () => go(Number(slider.value)));

  let first = 0;
  const jumps = phases.map(([name, steps]) => {
    const target = first;
    first += steps + 1;
    return button(name, `Start of the ${name} pass`, () => target);
  });
  const place = element("output", { className: "graphgrad-place" });
  const sentence = element("p", { className: "graphgrad-sentence" });
  sentence.setAttribute("aria-live", "polite");
  const picture = element("div", { className: "graphgrad-picture" });
  const bar = element("div", { className: "graphgrad-bar" }, [
    start, back, next, end, slider, ...jumps, place,
  ]);
  const root = element("div", { className: "graphgrad-stepper", tabIndex: 0 }, [
    bar, sentence, picture,
  ]);
  root.setAttribute("role", "group");
  root.toggleAttribute("data-lm-suppress-shortcuts", true);
  root.setAttribute("aria-label", `Steps of ${model.get("_title")}; arrow keys move`);

  const keys = {
    ArrowRight: () => here() + 1, ArrowLeft: () => here() - 1, Home: () => 0, End: () => last,
  };
  root.addEventListener("keydown", (event) => {
    // JupyterLab leaves keys to us, such as d d and the slider's arrows; Ctrl+S and its like it keeps.
    const ours = !event.ctrlKey && !event.altKey && !event.metaKey;
    root.toggleAttribute("data-lm-suppress-shortcuts", ours);
    if (!ours) return;
    event.stopPropagation();
    if (!(event.key in keys) || event.target === slider) return;
    event.preventDefault();
    go(keys[event.key]());
  });

  const show = () => {
    const shown = model.get("_shown");
    const steps = phases.find(([name]) => name === shown.phase)[1];
    place.textContent = `${shown.phase} ${shown.step}/${steps}`;
    sentence.textContent = shown.sentence;
    const page = new DOMParser().parseFromString(shown.picture, "image/svg+xml");
    picture.replaceChildren(document.importNode(page.documentElement, true));
    slider.setAttribute("aria-valuetext", place.textContent);
    jumps.forEach((jump, k) => jump.setAttribute("aria-pressed", phases[k][0] === shown.phase));
  };
  const track = () => {
    slider.value = here();
    start.disabled = back.disabled = here() === 0;
    next.disabled = end.disabled = here() === last;
    if (root.contains(document.activeElement) && document.activeElement.disabled) root.focus();
  };
  model.on("change:_shown", show);
  model.on("change:moment", track);
  el.replaceChildren(root);
  track();
  show();
  return () => {
    model.off("change:_shown", show);
    model.off("change:moment", track);
  };
}

export default { render };
