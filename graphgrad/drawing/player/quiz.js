// The quiz: asks for the next number before it is shown, and says which mistake a wrong one is.
// Questions, answers and the numbers of usual mistakes come from Python, by frame.

let queue = [], right = 0, tried = 0;

/** Collects the questions about the next step; called whenever the frame changes. */
function pose() {
  if ($("quiz").hidden && !asked) return;
  const kinds = $("quiz").hidden ? [] : $("kinds").value.split(" ");
  if (hiding !== kinds.includes("local")) {
    hiding = !hiding;
    for (const item of items.values()) { item.shown = ""; item.show(frame); }
  }
  svg.classList.toggle("hiding", hiding);
  queue = (data.quiz[frame + 1] || []).filter(([kind]) => kinds.includes(kind));
  ask();
}

/** Asks the first question of the queue; hides its answer on the picture. */
function ask() {
  const before = asked;
  if (asked && asked.kind === "local") write(asked.item.label, asked.item.local);
  asked = queue.length ? { kind: queue[0][0], item: items.get(queue[0][1]) } : null;
  if (asked && asked.kind === "local") write(asked.item.label, "?");
  $("reply").hidden = !asked;
  write($("question"), asked ? queue[0][2] : frame === last ? `The end: ${right} of ${tried} right.`
    : "The next step has no number to ask for: go one step on.");
  for (const change of [before, asked]) if (change) change.item.show(frame);
}

function judge(event) {
  event.preventDefault();
  const given = number($("answer").value);
  if (!asked) return;
  if (Number.isNaN(given)) {
    say("wrong", "Expected a number, such as −0.5, 1e-3 or 2/3.");
    return;
  }
  const [, , , answer, tolerance, mistakes] = queue[0];
  const near = (value) => Math.abs(given - value) <= tolerance;
  tried += 1;
  if (near(answer)) {
    right += 1;
    accept("right", "Right: ");
  } else {
    const known = mistakes.find(([value]) => near(value));
    say("wrong", known ? known[1] : "Not yet. Look at the numbers on the picture, or press Show.");
  }
}

/** Reads a number as people write it, with − or -, and fractions; NaN for anything else. */
function number(text) {
  const parts = text.trim().replace(/[−–]/g, "-").replace(",", ".").split("/");
  if (parts.length > 2 || parts.some((part) => !part.trim())) return NaN;
  return parts.map(Number).reduce((a, b) => a / b);
}

function say(kind, text) {
  $("verdict").className = kind;
  write($("verdict"), text);
  $("answer").select();
}

/** Shows the answer and goes on to the next question, or to the next frame. */
function accept(kind, words) {
  if (!asked) return;
  const local = asked.kind === "local";
  const answer = local ? asked.item.local : data.captions[frame + 1];
  queue.shift();
  $("answer").value = "";
  if (queue.length) ask(); else go(frame + 1);
  say(kind, words + answer);
}

$("quiz").addEventListener("submit", judge);
$("kinds").addEventListener("change", pose);
press("reveal", () => accept("", ""));
press("ask", () => {
  $("quiz").hidden = !$("quiz").hidden;
  $("ask").setAttribute("aria-pressed", String(!$("quiz").hidden));
  $("verdict").textContent = "";
  right = tried = 0;
  pose();
  if (asked) $("answer").focus();
});

// -- the beginning --------------------------------------------------------------------------------

function start() {
  slider.max = last;
  write($("longest"), data.captions.reduce((a, b) => (b.length > a.length ? b : a)));
  fit();
  if (scale < 0.75 * LEGIBLE) zoom(LEGIBLE, 0, 0);
  go(0);
}

start();
