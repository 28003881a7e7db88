"""Derivations: golden text of the lessons, every line true, sharing, colours, hostile names."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.drawing.figure import scene_of
from graphgrad.drawing.palette import FACTORS, badge, factor_color, on_background
from graphgrad.errors import GradientError, GraphError, MissingValueError
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE
from graphgrad.proof.marks import latex_of, letter, operation, text_of
from graphgrad.proof.notation import Notation

from . import goldens

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")


# -- the lessons ---------------------------------------------------------------------------------


def book():
    """Row 15, named as in the book's figure: the chain is 1 · 1 · 2."""
    x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
    x1 = (x * w).named("x1")
    x2 = (x1 + b).named("x2")
    return abs(4 - x2).named("loss"), [w, b]


def two_weights():
    """Row 16: x → z₁ → ŷ → J."""
    x, w1, w2, t = (gg.var(n, v) for n, v in zip(("x", "w1", "w2", "t"), (2, 0.5, 3, 1)))
    z = (w1 * x).named("z1")
    y = (w2 * z).named("ŷ")
    return ((y - t) ** 2).named("J"), [w2, w1]


def three_sigmoids():
    """Row 17: three sigmoids in a chain, two weights each."""
    a, weights = gg.var("x", 1.0), {}
    for k, (slope, shift) in zip("₁₂₃", ((0.5, -0.3), (0.8, 0.2), (-0.6, 0.9))):
        w, b = gg.var(f"w{k}₁", slope), gg.var(f"w{k}₂", shift)
        weights[k] = w
        a = gg.sigmoid((w * a + b).named(f"z{k}")).named(f"σ{k}")
    return ((a - 1) ** 2).named("Loss"), [weights["₃"], weights["₂"]]


def two_layers():
    """Row 18: the two-layer network in matrices."""
    x, y = gg.var("x", [1.0, -2.0, 0.5]), gg.var("y", [0.0, 1.0])
    W1, b1 = gg.var("W¹", [[0.5, 0.25, 1.0], [-1.0, 0.5, 0.0]]), gg.var("b¹", [0.5, 0.0])
    W2, b2 = gg.var("W²", [[1.0, -0.5], [0.25, 2.0]]), gg.var("b²", [0.0, -1.0])
    a1 = gg.sigmoid((W1 @ x + b1).named("z¹")).named("a¹")
    a2 = gg.sigmoid((W2 @ a1 + b2).named("z²")).named("a²")
    return gg.sum((a2 - y) ** 2).named("J"), [W2, b2, W1, b1]


def logistic():
    """Row 32 for one unit: cross-entropy over a sigmoid simplifies to (a − t) x."""
    x, w, b, t = (gg.var(n, v) for n, v in zip("xwbt", (2, 0.5, -1, 1)))
    a = gg.sigmoid((w * x + b).named("z")).named("a")
    return (-t * gg.log(a) - (1 - t) * gg.log(1 - a)).named("L"), [w, b]


LESSONS = {
    "15-book": book, "16-two-weights": two_weights, "17-three-sigmoids": three_sigmoids,
    "18-two-layers": two_layers, "32-logistic": logistic,
}  # fmt: skip
each_lesson = pytest.mark.parametrize("name", LESSONS)


@each_lesson
@pytest.mark.parametrize("kind", ["txt", "tex"])
def test_golden(name, kind):
    d = gg.derive(*LESSONS[name]())
    goldens.compare(f"derive-{name}.{kind}", (d.text if kind == "txt" else d.latex()) + "\n")


def test_row_15_has_the_numbers_of_the_book():
    d = gg.derive(*book())
    assert [str(line) for line in d.parts[0].lines if line.reason.startswith("values")] == [
        "= 1 · 1 · 2"
    ]
    assert [p.value for p in d.parts] == [2.0, 1.0]


def test_row_17_marks_the_bracket_as_already_computed():
    first, second = gg.derive(*three_sigmoids()).parts
    assert first.terms[0].shared == 0
    assert second.terms[0].shared == 2
    braces = [m for m in second.lines[0].right.walk() if m.brace]
    assert [str(m) for m in braces] == ["(∂Loss/∂σ₃ · ∂σ₃/∂z₃)"]
    assert braces[0].brace.text.startswith("already computed")
    product = np.prod(second.terms[0].values[:2])
    assert f"{product:.4g}".replace("-", "−") in braces[0].brace.text


def test_row_18_is_written_as_a_lecturer_writes_it():
    d = gg.derive(*two_layers())
    rows = [str(p.lines[1].right) for p in d.parts]
    assert rows == [
        "(∂J/∂a² ⊙ σ′(z²)) (a¹)ᵀ",
        "∂J/∂a² ⊙ σ′(z²)",
        "(((W²)ᵀ (∂J/∂a² ⊙ σ′(z²))) ⊙ σ′(z¹)) xᵀ",
        "((W²)ᵀ (∂J/∂a² ⊙ σ′(z²))) ⊙ σ′(z¹)",
    ]
    shapes = [n.text for n in text_of(d.parts[0].lines[1].right)[1]]
    assert shapes == ["2×1", "2×1", "1×2"]


def test_row_32_simplifies_to_the_difference():
    for part, shown in zip(gg.derive(*logistic()).parts, ["(a − t)·x", "a − t"]):
        assert [str(x.right) for x in part.lines if x.reason == "simplified"] == [shown]


# -- every line is true --------------------------------------------------------------------------

FUNCTIONS = {
    "tanh": np.tanh, "σ": lambda x: 1 / (1 + np.exp(-x)), "exp": np.exp, "log": np.log,
    "max": np.maximum, "relu": lambda x: np.maximum(x, 0), "sin": np.sin, "cos": np.cos,
    "sign": np.sign, "where": np.where, "root": np.sqrt, "abs": abs, "place": lambda x: x,
    "step": lambda x: np.heaviside(x, 0.5),
}  # fmt: skip
SIGNS = {"−": "-", "·": "*", "²": "**2", "^": "**", "√": "root", " = ": " == ", "∞": "inf"}


def value_of(text: str, values: dict[str, float]) -> float:
    """Return what a line of a scalar derivation comes to."""
    for sign, python in SIGNS.items():
        text = text.replace(sign, python)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    names = sorted(values, key=len, reverse=True)
    for k, name in enumerate(names):
        text = re.sub(rf"(?<![\w₀-₉]){re.escape(name)}(?![\w₀-₉(])", f"V[{k}]", text)
    return float(eval(text, {"V": [values[n] for n in names], "inf": np.inf, **FUNCTIONS}))


OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
    lambda a, b: gg.tanh(a), lambda a, b: gg.sigmoid(b), lambda a, b: a**2, lambda a, b: -b,
    lambda a, b: gg.maximum(a, b), lambda a, b: gg.exp(0.25 * a), lambda a, b: 1 / b,
    lambda a, b: 2 * a + 1, lambda a, b: 1 - a, lambda a, b: gg.sin(a),
]  # fmt: skip


def random_graph(choices):
    """Build a scalar graph from (operation, input, input, named) choices."""
    pool = [gg.var(f"a{k}", v) for k, v in enumerate((0.7, 1.3, -0.4))]
    leaves = list(pool)
    for k, (operation_, a, b, named) in enumerate(choices):
        node = OPERATIONS[operation_ % len(OPERATIONS)](pool[a % len(pool)], pool[b % len(pool)])
        if named:
            node.name = f"n{k}"
        pool.append(node)
    return pool[-1], leaves


choices = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.booleans()),
    min_size=1,
    max_size=14,
)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@quick
@given(choices, st.sampled_from([None, True, False]), st.sampled_from([None, "recursion"]))
def test_every_line_comes_to_the_gradient(made, every, form):
    y, leaves = random_graph(made)
    with np.errstate(all="ignore"):
        d = gg.derive(y, leaves, every=every, form=form, digits=15)
        values = known_values(d)
        if not all(abs(v) < 1e6 for v in values.values()):
            return
        for part in d.parts:
            left = ""
            for line in part.lines:
                left = str(line.left) if line.left else left
                if "∂" in str(line.right):
                    continue
                goal = values.get(left, float(part.value))
                found = value_of(str(line.right), values)
                assert found == pytest.approx(goal, rel=1e-6, abs=1e-9), (left, str(line))


def known_values(d):
    names = Wording(d.tape, 15).names
    values = {}
    for node, name in names.items():
        if node.op != "constant":
            values[name] = float(d.tape.value(node))
        if d.tape.adjoint(node) is not None:
            values[plain(adjoint(name))] = float(d.tape.adjoint(node))
    return values


@quick
@given(choices, st.sampled_from([None, True]))
def test_products_sum_to_the_adjoint_and_sharing_is_real(made, every):
    y, leaves = random_graph(made)
    d = gg.derive(y, leaves, every=every)
    if d.form != "products":
        return
    seen = []
    for part in d.parts:
        with np.errstate(all="ignore"):
            found = sum(np.prod(t.values) for t in part.terms)
            expected = gg.grad(y, part.wrt).value
        if np.isfinite(expected) and abs(expected) < 1e12:
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert part.value == pytest.approx(expected, rel=1e-9, abs=1e-9)
        for term in part.terms:
            common = [longest(term.chain, other) for other in seen]
            assert term.shared == max(common, default=0)
            seen.append(term.chain)
        marked = [m for line in part.lines[:1] for m in line.right.walk() if m.brace]
        alone = len(part.terms) == 1 and len(part.terms[0].chain) == 1
        assert len(marked) == (0 if alone else sum(t.shared > 0 for t in part.terms))


def longest(a, b):
    count = 0
    for x, y in zip(a, b):
        if x is not y:
            break
        count += 1
    return count


# -- matrices: the formulas as linear algebra ----------------------------------------------------


def columns(value):
    array = np.asarray(value, float)
    return array.reshape(-1, 1) if array.ndim == 1 else array


MATRIX = {
    "#1": lambda a: a, "(#1)": lambda a: a, "#1ᵀ": lambda a: a.T, "−#1": lambda a: -a,
    "#1 #2": lambda a, b: a @ b, "#1 #2 #3": lambda a, b, c: a @ b @ c,
    "#1 ⊙ #2": lambda a, b: same(a, b) * b, "#1 ⊘ #2": lambda a, b: same(a, b) / b,
    "#1·#2": lambda a, b: a * b, "#1/#2": lambda a, b: a / b, "#1²": lambda a: a**2,
    "#1 + #2": lambda a, b: a + b, "#1 − #2": lambda a, b: a - b, "2·#1": lambda a: 2 * a,
    "σ(#1)": FUNCTIONS["σ"], "tanh(#1)": np.tanh, "step(#1)": lambda a: np.heaviside(a, 0.0),
    "exp(#1)": np.exp, "cos(#1)": np.cos,
}  # fmt: skip


def same(a, b):
    assert np.shape(a) == np.shape(b), "⊙ needs equal shapes"
    return a


def evaluated(mark, values, ones):
    """Return a formula as NumPy's linear algebra computes it, all vectors columns."""
    if not mark.inner:
        if mark.text == "𝟏":
            return ones
        if mark.text in values:
            return columns(values[mark.text])
        return float(mark.text.replace("−", "-"))
    return MATRIX[mark.text](*[evaluated(m, values, ones) for m in mark.inner])


def batch():
    rng = np.random.default_rng(5)
    X, Y = gg.var("X", rng.normal(size=(4, 3))), gg.var("Y", rng.normal(size=(4, 2)))
    W1, b1 = gg.var("W1", rng.normal(size=(3, 5))), gg.var("b1", rng.normal(size=5))
    W2, b2 = gg.var("W2", rng.normal(size=(5, 2))), gg.var("b2", rng.normal(size=2))
    Z = (X @ W1 + b1).named("Z")
    A = gg.relu(Z).named("A")
    P = (A @ W2 + b2).named("P")
    return gg.mean((P - Y) ** 2).named("J"), [W2, b2, W1, b1]


def row_vectors():
    rng = np.random.default_rng(6)
    x, W, V = (gg.var(n, rng.normal(size=s)) for n, s in (("x", 3), ("W", (3, 2)), ("V", (2, 2))))
    h = gg.tanh((x @ W).named("z")).named("h")
    return ((h @ V) @ h).named("J"), [V, W, x]


@pytest.mark.parametrize("build", [two_layers, batch, row_vectors])
@pytest.mark.parametrize("form", [None, "recursion"])
def test_matrix_formulas_are_linear_algebra(build, form):
    loss, leaves = build()
    d = gg.derive(loss, leaves, form=form, digits=17)
    values = {n: d.tape.value(x) for x, n in Wording(d.tape, 17).names.items()}
    for x, n in Wording(d.tape, 17).names.items():
        if d.tape.adjoint(x) is not None:
            values[plain(adjoint(n))] = d.tape.adjoint(x)
    checked = 0
    for part in d.parts:
        left = ""
        for line in part.lines:
            left = str(line.left) if line.left else left
            text = str(line.right)
            if "∂" in text or "′" in text or "[" in text or "ℝ" in text:
                continue
            goal = columns(values.get(left, part.value))
            size = next(n.shape[0] for n in d.tape.nodes if n.ndim and n.name in ("X", "x"))
            found = evaluated(line.right, values, np.ones((size, 1)))
            np.testing.assert_allclose(found, goal, rtol=1e-9, atol=1e-12, err_msg=text)
            checked += 1
    assert checked >= len(leaves)


def test_numbers_in_matrices_are_those_of_the_tape():
    loss, leaves = two_layers()
    d = gg.derive(loss, leaves, digits=12)
    for part in d.parts:
        shown = str(part.lines[-1].right).replace("−", "-")
        turned = shown.endswith("ᵀ")
        rows = [[float(v) for v in row.split()] for row in shown.strip("[]ᵀ").split(";")]
        found = np.array(rows).T if turned else np.array(rows)
        np.testing.assert_allclose(found, columns(loss_gradient(loss, part.wrt)), rtol=1e-10)


def loss_gradient(loss, x):
    return gg.grad(loss, x).value


STRUCTURED = [p for p in TABLE.values() if not isinstance(p, Elementwise)]


@pytest.mark.parametrize("p", STRUCTURED, ids=lambda p: p.name)
def test_every_structured_operation_has_a_derivation(p):
    for case in p.cases:
        leaves = []

        def leaf(shape, leaves=leaves):
            value = np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape)
            leaves.append(gg.var(f"x{len(leaves)}", value))
            return leaves[-1]

        def is_shape(a):
            return isinstance(a, tuple) and all(isinstance(k, int) for k in a)

        args = [
            leaf(a) if is_shape(a) else [leaf(s) for s in a] if isinstance(a, list) else a
            for a in case.args
        ]
        if not leaves:
            continue
        y = p(*args, **case.settings)
        if not y.active:
            continue
        loss = gg.sum(gg.sin(y.named("y")))
        for form in (None, "recursion"):
            d = gg.derive(loss, leaves, form=form)
            assert d.text
            balanced(d.latex())


# -- choices and conventions ---------------------------------------------------------------------


def test_the_total_derivative_is_told_from_the_partial_one():
    x = gg.var("x", 2.0)
    u = (x**2).named("u")
    d = gg.derive((x * u).named("y"), x)
    assert str(d.parts[0].lines[0]) == "dy/dx = ∂y/∂x + ∂y/∂u · ∂u/∂x"
    assert "dy/dx counts all paths" in d.notes[0]
    assert d.parts[0].value == 12.0


def test_an_input_used_twice_is_one_factor():
    x = gg.var("x", 3.0)
    d = gg.derive((x * x).named("y"), x)
    assert str(d.parts[0].lines[0]) == "∂y/∂x = 2·x"


def test_unnamed_results_get_letters_only_where_nothing_has_a_name():
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    loss = abs(4 - x * w)
    assert str(gg.derive(loss, w).lines[0]) == "∂v₃/∂w = ∂v₃/∂v₂ · ∂v₂/∂v₁ · ∂v₁/∂w"
    assert len(gg.derive(loss, w, every=False).parts[0].terms[0].chain) == 1
    named = abs(4 - (x * w).named("p")).named("L")
    assert str(gg.derive(named, w).lines[0]) == "∂L/∂w = ∂L/∂p · ∂p/∂w"
    assert len(gg.derive(named, w, every=True).parts[0].terms[0].chain) == 3


def test_a_shared_result_keeps_its_letter():
    x = gg.var("x", 0.5)
    e = gg.exp(x)
    d = gg.derive((gg.sin(e).named("s") * e).named("y"), x)
    assert "v₁" in d.text


def test_long_bundles_are_cut_into_steps():
    x = gg.var("x", 0.5)
    h = x
    for _ in range(28):
        h = gg.sin(h)
    h.name = "h"
    d = gg.derive((h * 2).named("y"), x)
    assert max(len(k.edges) for p in d.parts for t in p.terms for k in t.chain) <= 1


def test_many_paths_are_written_as_a_recursion():
    x = gg.var("x", 0.3)
    h = x
    for k in range(5):
        h = (gg.sin(h).named(f"s{k}") + gg.cos(h).named(f"c{k}")).named(f"h{k}")
    d = gg.derive(h, x)
    assert d.form == "recursion"
    assert str(d.lines[0]) == "h̄₄ = 1"
    assert "x̄ = c̄₀ · ∂c₀/∂x + s̄₀ · ∂s₀/∂x" in [str(line) for line in d.lines]
    assert d.parts[0].value == pytest.approx(gg.grad(h, x).value)
    with pytest.raises(GraphError, match="more than 8 paths"):
        gg.derive(h, x, form="products")


def test_a_recursion_visits_nothing_twice():
    loss, (w2, w1) = two_weights()
    first, second = gg.derive(loss, [w2, w1], form="recursion").parts
    lefts = [str(line.left) for line in (*first.lines, *second.lines) if line.left]
    assert lefts == ["J̄", "ŷ̄", "w̄₂", "z̄₁", "w̄₁"]
    braces = [m for line in second.lines for m in line.right.walk() if m.brace]
    assert [str(m) for m in braces] == ["ŷ̄"]


def test_a_chain_of_thousands_works():
    x = gg.var("x", 0.5)
    h = x
    for _ in range(1500):
        h = gg.sin(h)
    d = gg.derive(h, x)
    assert d.form == "recursion"
    assert len(d.lines) > 1500


def test_conventions_at_kinks_are_told():
    k = gg.var("k", 0.0)
    notes = gg.derive(gg.relu(k).named("r") * 2, k).notes
    assert "Convention for relu: relu′(0) = 0. This run is at such a point." in notes
    k.value = 1.0
    notes = gg.derive(gg.relu(k).named("r") * 2, k).notes
    assert "Convention for relu: relu′(0) = 0." in notes


def test_rounded_numbers_are_not_called_equal():
    x = gg.var("x", 1.0)
    for value, relation in ((1.0, "≈"), (0.0, "=")):
        x.value = value
        *_, last = gg.derive(gg.exp(x).named("y"), x).lines
        assert last.relation.text == relation


def test_leaves_without_a_path():
    x, other = gg.var("x", 2.0), gg.var("other", 1.0)
    d = gg.derive(gg.where(x > 0, other, 3.0).named("y"), [x, gg.var("far", [1.0, 2.0]), other])
    assert [str(p.lines[0]) for p in d.parts] == ["∂y/∂x = 0", "∂y/∂far = 0", "∂y/∂other = [x > 0]"]
    assert d.parts[0].lines[0].reason == "no path with a gradient leads there"
    assert d.parts[1].lines[0].reason == "the loss does not depend on it"
    assert d.parts[1].value.tolist() == [0.0, 0.0]
    assert str(gg.derive(x, x).lines[0]) == "∂x/∂x = 1"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: gg.derive(x, x), GradientError, "cotangent"),
        (lambda x: gg.derive(gg.sum(x), 3), TypeError, "not iterable"),
        (lambda x: gg.derive(gg.sum(x), [3]), GradientError, "cannot differentiate towards 3"),
        (lambda x: gg.derive(gg.sum(x), []), GradientError, "no node"),
        (lambda x: gg.derive(gg.sum(x), x, form="prose"), GraphError, "'prose': expected"),
        (lambda x: gg.derive(gg.sum(x), x, digits=0), GraphError, "digits=0"),
        (lambda x: gg.derive(gg.sum(x), gg.const(1.0)), GradientError, "depends on no variable"),
        (lambda x: gg.derive(gg.sum(x), gg.var("i", 1, dtype=int)), GradientError, "int64"),
        (lambda x: gg.derive(gg.sum(x) * gg.var("q"), x), MissingValueError, "'q'"),
        (lambda x: gg.derive(gg.tape(gg.sum(x), cotangent=2.0), x), GradientError, "cotangent 2"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(gg.var("x", [1.0, 2.0]))


# -- LaTeX, MathML, HTML -------------------------------------------------------------------------


def balanced(latex: str) -> None:
    """Demand that braces, \\left and environments close, and that no exponent is doubled."""
    depth = 0
    for found in re.finditer(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        assert depth >= 0, latex
    assert depth == 0
    assert latex.count(r"\left(") == latex.count(r"\right)")
    assert len(re.findall(r"\\left\b", latex)) == len(re.findall(r"\\right\b", latex))
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", latex):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert not re.search(r"\^\{[^{}]*\}\^", latex)
    assert not re.search(r"_\{[^{}]*\}_", latex)


@each_lesson
@pytest.mark.parametrize("form", [None, "recursion"])
def test_latex_is_balanced_and_mathml_well_formed(name, form):
    loss, leaves = LESSONS[name]()
    d = gg.derive(loss, leaves, form=form)
    balanced(d.latex())
    assert d.latex().isascii() or "\N{COMBINING OVERLINE}" not in d.latex()
    root = ET.fromstring(d.mathml())
    assert root.tag == "{http://www.w3.org/1998/Math/MathML}math"
    assert len(list(root.iter("{http://www.w3.org/1998/Math/MathML}mtr"))) >= len(d.lines)
    ET.fromstring(d._repr_html_())
    assert set(d._repr_mimebundle_()) == {"text/plain", "text/html", "text/latex"}


@each_lesson
def test_latex_is_plain_ascii(name):
    assert gg.derive(*LESSONS[name]()).latex().isascii()


HOSTILE = [
    "</math><script>alert(1)</script>", r"\input{/etc/passwd}", "$x$", "a & b", "{", "}", "x#1",
    "#1", "50%", r"\\", "a^2_b^3_c", "<b>", "]]>", "\x1b[31m", "\u202eabc", "变量", "x" * 60,
    r"\style{color:red}{x}", "'\"`", "W²", "ŷ",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name):
    x, w = gg.var(name, 0.5), gg.var("w", 2.0)
    for y in ((gg.tanh(x * w).named(name + "!") ** 2).named("L"), gg.sum(gg.stack([x, w]) * w)):
        for form in (None, "recursion"):
            d = gg.derive(y, [x, w], form=form)
            balanced(d.latex())
            html = d._repr_html_()
            root = ET.fromstring(html)
            assert "<script" not in html
            assert not [e for e in root.iter() if "color:red" in e.get("style", "")]
            assert "\x1b" not in d.text
            assert "\u202e" not in d.text


def test_without_the_converter_html_is_text(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "latex2mathml", None)
    monkeypatch.setitem(__import__("sys").modules, "latex2mathml.converter", None)
    assert gg.derive(*book())._repr_html_().startswith("<pre>Forward pass")


PROBE = """<script>
const lines = [...document.querySelectorAll("math > mtable > mtr")];
const rows = lines.map(r => r.getBoundingClientRect());
const good = rows.filter(r => r.height > 8 && r.width > 40).length;
document.title = [good, rows.length, document.querySelectorAll("merror").length].join(" ");
</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here to lay out MathML")
@each_lesson
def test_chromium_lays_out_every_row(name, tmp_path):
    page = tmp_path / "page.html"
    body = gg.derive(*LESSONS[name]())._repr_html_()
    page.write_text(f"<!doctype html><meta charset=utf-8>{body}{PROBE}", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found, done.stderr[-2000:]
    good, rows, errors = map(int, found.groups())
    assert good == rows > 5
    assert errors == 0


def test_marks_are_written_with_the_brackets_they_need():
    power = operation("exp(#1)", "e^{#1}", [letter("x", "x")], 9)
    assert latex_of(operation("#1²", "#1^{2}", [power], 4)) == "(e^{x})^{2}"
    index = operation("#1[0]", "#1_{[0]}", [letter("x₁", "x_{1}")], 9)
    assert latex_of(index) == "{x_{1}}_{[0]}"
    raised = letter("W²", "W^{2}")
    assert latex_of(operation("#1ᵀ", r"#1^{\top}", [raised], 5)) == r"(W^{2})^{\top}"


def test_formulas_of_rules_are_tidy():
    a = gg.var("a", [1.0, 2.0])
    written = {
        str(Notation({}).write(node))
        for node in (gg.const(1.0) * a, a * (1 / gg.exp(a)), -(gg.const(2.0) * a) / 6, a + a)
    }
    assert written == {"a", "a ⊘ exp(a)", "−a/3", "2·a"}


# -- colours: the same on formula and picture ------------------------------------------------------


def test_each_factor_has_one_colour_on_formula_and_edge():
    loss, leaves = two_weights()
    d = gg.derive(loss, leaves)
    for part in d.parts:
        for term in part.terms:
            for link in term.chain:
                numbers = {d.numbers[e] for e in link.edges}
                assert len(numbers) == 1
                color = factor_color(numbers.pop()[0])
                assert {d.colors[e] for e in link.edges} == {color}
                rgb = ",".join(str(int(color[k : k + 2], 16)) for k in (1, 3, 5))
                assert rf"\textcolor[RGB]{{{rgb}}}" in d.latex()
                assert color in d.mathml()


def test_the_picture_bears_colours_and_numbers():
    loss, leaves = two_weights()
    d = gg.derive(loss, leaves)
    source = gg.draw(loss, phase="backward", derivation=d).source
    for edge, color in d.colors.items():
        assert f'color="{color}", penwidth=2.6' in source
        assert d.badges[edge] in source
    assert "①" not in gg.draw(loss, phase="backward").source
    assert "factors of the derivation" in source
    arrows = scene_of(loss, derivation=d).arrows
    assert {a.box.name for a in arrows if not a.factors} == {"x", "t"}


def test_print_and_dark_pictures():
    loss, leaves = book()
    d = gg.derive(loss, leaves)
    gray = gg.draw(loss, phase="backward", derivation=d, theme="print").source
    assert not [c for c in FACTORS if c in gray]
    assert "①" in gray
    dark = gg.draw(loss, phase="backward", derivation=d, theme="dark").source
    assert on_background(FACTORS[0], "#16181d") in dark


def test_an_edge_of_two_factors_bears_both_numbers():
    loss, leaves = three_sigmoids()
    d = gg.derive(loss, leaves)
    shared = [n for n in d.numbers.values() if len(n) > 1]
    assert shared == [(3, 4)]
    assert "③④" in gg.draw(loss, phase="backward", derivation=d).source


def test_a_derivation_of_another_graph_is_refused():
    d = gg.derive(*book())
    with pytest.raises(GraphError, match="another graph"):
        gg.draw(two_weights()[0], phase="backward", derivation=d)


SIMULATIONS = {  # Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def linear(color):
    c = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    t = np.array(XYZ) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", SIMULATIONS)
def test_colours_can_be_told_apart(eye):
    seen = [lab(np.array(SIMULATIONS[eye]) @ linear(c)) for c in FACTORS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 18
    for color in FACTORS:
        luminance = linear(color) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) >= 4.5


def test_badges():
    assert [badge(k) for k in (1, 10, 20, 21)] == ["①", "⑩", "⑳", "(21)"]
