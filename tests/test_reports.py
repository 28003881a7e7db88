"""Reports of verifications: tables, notebooks, documents; formulas as people write them."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import rich.console
import sympy as sp
from rich.cells import cell_len

import graphgrad as gg
from graphgrad.explain import latex as converter
from graphgrad.explain.formulas import render
from graphgrad.proof.findings import Row
from graphgrad.proof.partials import UNDECIDED, WRONG
from graphgrad.proof.report import Report
from graphgrad.proof.rules import verify_rules
from graphgrad.proof.sigmoids import readable, with_sigmoids
from graphgrad.proof.signs import signs_out
from graphgrad.proof.texts import latex, text

from .browser import offline_pages, one_chromium  # noqa: F401
from .test_derive import balanced

LESSON = "abs(4 - (x*w + b))"
LOGISTIC = "p = sigmoid(w*x + b); -y*log(p) - (1 - y)*log(1 - p)"
GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "lesson 15": (LESSON, {"x": 2, "w": 3, "b": 1}),
    "logistic": (LOGISTIC, {}),
    "layer": ("y = relu(W @ x); sum(y**2)/2", {"W": [[1, 2], [3, 4]], "x": [1, 2]}),
    "softmax": ("p = softmax(W @ x); -log(p[0])", {"W": [[1, 2], [3, 4]], "x": [1, 2]}),
    "choices": ("where(x > y, x*x, y) + max(x, y) + x**y + floor(x)", {"x": 3, "y": 2}),
    "greek": ("theta*sigma**2 + log(lambda_1)", {}),
}


def report(name: str) -> Report:
    expression, values = GRAPHS[name]
    return gg.verify(gg.parse(expression, **values))


each_graph = pytest.mark.parametrize("name", GRAPHS)


# -- terminals -----------------------------------------------------------------------------------


@each_graph
@pytest.mark.parametrize("width", [60, 80, 160])
def test_tables_fit_and_lose_nothing(name: str, width: int) -> None:
    found = report(name)
    lines = found.text(width).split("\n")
    assert max(map(cell_len, lines)) <= width
    said = "".join("".join(lines).split())
    assert all("".join(row.status.split()) in said for row in found.rows)
    assert lines[-1] == found.summary
    first = found.rows[0]
    assert width < 80 or first.where.split()[0] in found.text(width)


def test_a_report_is_printed_as_wide_as_the_terminal(monkeypatch: Any, capsys: Any) -> None:
    found = report("layer")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert 80 < max(map(cell_len, str(found).split("\n"))) <= 100
    monkeypatch.setenv("COLUMNS", "72")
    print(found)
    assert capsys.readouterr().out == found.text(72) + "\n"
    assert repr(found) == found.text(72)


def test_rich_prints_a_report_in_colours() -> None:
    console = rich.console.Console(width=90, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(report("lesson 15"))
    assert "\x1b[32m✓\x1b[0m" in capture.get()
    assert "9 proved, 1 checked" in capture.get()


# -- documents -----------------------------------------------------------------------------------


def test_notebooks_get_text_and_html() -> None:
    found = report("lesson 15")
    bundle = found._repr_mimebundle_()
    assert bundle == {"text/plain": str(found), "text/html": found.html()}


@each_graph
def test_html_is_well_formed_and_its_formulas_are_mathml(name: str) -> None:
    found = report(name)
    page = found.html()
    assert "\\" not in page, "LaTeX was left over"
    root = ET.fromstring(page)
    rows = root.findall(".//tbody/tr")
    assert len(rows) == len(found.grouped())
    for row, made in zip(found.grouped(), rows, strict=True):
        formulas = sum("math" in element.tag for element in made.iter())
        assert formulas == sum(row.tex.get(k, "") != "" for k in row.tex if k != "words")
        assert f"{row.status}" in "".join(made.itertext())
    edges = [row for row in found.rows if row.kind == "edge"]
    assert all({"where", "of", "rule"} <= set(row.tex) for row in edges)


@each_graph
def test_latex_is_balanced(name: str) -> None:
    written = report(name).latex()
    balanced(written.replace(r"\begin{longtable}{", r"\begin{longtable} {"))
    assert written.count("$") % 2 == 0
    rows = written.split("\\endhead\n")[1].split("\n")
    assert all(len(re.findall(r"(?<!\\)&", row)) >= 4 for row in rows if row.startswith("$\\frac"))
    assert not re.search("[^\x00-\x7f]", written), "a sign that TeX does not know"


def test_latex_of_the_rule_book_is_balanced() -> None:
    written = verify_rules([gg.PRIMITIVES[n] for n in ("abs", "pow", "where", "clip")]).latex()
    balanced(written.replace(r"\begin{longtable}{", r"\begin{longtable} {"))


@each_graph
def test_markdown_has_the_same_columns_in_every_row(name: str) -> None:
    lines = [line for line in report(name).markdown().split("\n") if line.startswith("|")]
    assert len(lines) == len(report(name).grouped()) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


@each_graph
def test_json_holds_every_row(name: str) -> None:
    found = report(name)
    data = json.loads(found.json())
    assert data["ok"] is True
    assert data["seconds"] > 0
    assert [r["where"] for r in data["rows"]] == [r.where for r in found.rows]


HOSTILE = "<b>x|`$_&\\ \x1b[31m"


def test_hostile_names_stay_names_everywhere() -> None:
    found = gg.verify(gg.log(gg.var(HOSTILE, 2.0)) * gg.var("50%_{a}", 3.0))
    assert "\x1b" not in found.text(100) + found.html() + found.latex() + found.markdown()
    assert "<b>x" not in found.html()
    ET.fromstring(found.html())
    assert "<b>x" not in found.markdown()
    balanced(found.latex().replace(r"\begin{longtable}{", r"\begin{longtable} {"))


def test_a_wrong_row_shows_its_point_in_every_form() -> None:
    row = Row(
        "edge", "∂y/∂x", WRONG, formula="2·x", rule="2.002·x", point={"x": "11/16"},
        values=("1.375", "1.376375"), method="they differ", difference="−0.002·x",
    )  # fmt: skip
    found = Report("x²", [row, Row("leaf", "∂y/∂x", UNDECIDED)], 0.1, 1.0)
    assert (found.ok, found.complete) == (False, False)
    said = "at x = 11/16: derivative 1.375, rule 1.376375, difference −0.002·x"
    assert row.counterexample == said
    whole = found.text(160)
    assert said in " ".join(whole.split())
    assert whole.split("\n")[-1].startswith("WRONG: 1 not decided, 1 WRONG")
    assert said in html.unescape(found.html())
    assert "11/16" in found.latex()
    assert "11/16" in found.markdown()
    assert json.loads(found.json())["rows"][0]["point"] == {"x": "11/16"}


def test_html_without_the_converter_is_text(monkeypatch: Any) -> None:
    def missing(_: str) -> str:
        raise gg.errors.MissingDependencyError("no latex2mathml")

    monkeypatch.setattr("graphgrad.proof.documents.mathml", missing)
    found = report("lesson 15")
    assert "<math" not in found.html()
    assert "1 where v₃ &gt; 0, −1 where v₃ &lt; 0" in found.html()
    assert converter.mathml("x")


PROBE = """<p id="said"></p><script>
const boxes = [...document.querySelectorAll("math")].map((m) => m.getBoundingClientRect());
const bad = document.querySelectorAll("merror").length;
const table = document.querySelector("table").getBoundingClientRect();
const good = boxes.filter((b) => b.width > 2 && b.height > 5).length;
said.textContent = [boxes.length, good, bad, Math.round(table.width)].join(" ");
</script>"""


@each_graph
def test_chromium_shows_every_formula(name: str, pages: Any) -> None:
    body = f"<!doctype html><meta charset=utf-8>{report(name).html()}{PROBE}"
    page = pages(body)
    formulas, good, bad, width = map(int, page.inner_text("#said").split())
    assert formulas == good > 5
    assert bad == 0
    assert width < 1900


# -- formulas as people write them ---------------------------------------------------------------

X, W, B, Y = sp.symbols("x w b y", real=True)


def sigmoid(u: Any) -> Any:
    return 1 / (1 + sp.exp(-u))


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (sp.diff(sigmoid(X), X), "σ(x)·(1 − σ(x))"),
        (sp.diff(sp.log(1 + sp.exp(X)), X), "σ(x)"),
        (sp.diff(1 / (1 + sp.exp(X)), X), "−σ(x)·(1 − σ(x))"),
        (sp.diff(-Y * sp.log(sigmoid(W * X + B)), W), "−x·y·(1 − σ(w·x + b))"),
        (sp.diff(X**W, X), "w·x^(w − 1)"),
        (sp.diff((W * X + B - Y) ** 2, W), "2·x·(w·x + b − y)"),
        (sp.diff(sp.sin(X) * X**2, X), "x²·cos(x) + 2·x·sin(x)"),
        (sp.diff(sigmoid(Y * sigmoid(X)), X), "y·σ(x)·(1 − σ(x))·σ(y·σ(x))·(1 − σ(y·σ(x)))"),
        (sp.diff(abs(4 - (X * W + B)), W), "x·sign(w·x + b − 4)"),
    ],
)
def test_derivatives_are_short_and_still_equal(expression: Any, shown: str) -> None:
    found = readable(expression)
    assert sorted(text(found)) == sorted(shown)
    assert text(found).replace("·", "").count("σ") == shown.count("σ")
    back = found.replace(lambda f: f.func.__name__ == "σ", lambda f: sigmoid(f.args[0]))
    rng = np.random.default_rng(0)
    for _ in range(5):
        at = dict(zip((X, W, B, Y), map(sp.Float, rng.uniform(0.3, 2.0, 4))))
        assert float(back.subs(at)) == pytest.approx(float(expression.subs(at)), rel=1e-12)


def test_sums_are_written_as_on_the_board() -> None:
    sums = {
        W * X + B: ("w·x + b", "w x + b"),
        1 + sp.exp(-X): ("1 + exp(−x)", "1 + e^{- x}"),
        1 - X**2: ("1 − x²", "1 - x^{2}"),
        X**2 + X + 1: ("x² + x + 1", "x^{2} + x + 1"),
        4 - (W * X + B): ("4 − w·x − b", "4 - w x - b"),
    }
    for e, shown in sums.items():
        assert (text(e), latex(e)) == shown
    assert text(with_sigmoids(Y * sigmoid(X) ** 2)) == "y·σ(x)²"
    assert text(with_sigmoids(Y * (1 + sp.exp(-X)))) == "y/σ(x)"
    assert text(with_sigmoids(sp.log(1 + sp.exp(-X)))) == "log(1 + exp(−x))"
    assert latex(sp.Heaviside(X) ** 2) == r"\operatorname{step}\left(x\right)^{2}"
    assert latex(with_sigmoids(sigmoid(X))) == r"\sigma{\left(x \right)}"


def test_conditions_on_constants_are_not_said() -> None:
    rows = {r.where: r.domain for r in gg.verify(gg.parse("x/2 + 3**x + 1/x")).rows}
    assert rows["∂v₁/∂x"] == "everywhere"
    assert rows["∂v₂/∂x"] == "everywhere"
    assert rows["∂v₄/∂x"] == "x ≠ 0"


def test_a_tie_is_said_with_the_names_of_the_graph() -> None:
    (row, *_) = gg.verify(gg.parse("max(u, v)")).rows
    assert row.formula == "1 where u > v, 0 where u < v"
    assert row.domain == "u ≠ v (kink; convention: where u = v, each gets half of the gradient)"


@pytest.mark.parametrize(
    ("expression", "shown"),
    [("heaviside(x)*x", "step(x)"), ("floor(2*x)*x + sign(x)*x", "⌊2·x⌋ + sign(x)"),
     ("heaviside(x)", "0")],
)  # fmt: skip
def test_derivatives_are_written_as_they_are_beside_jumps(expression: str, shown: str) -> None:
    row = gg.verify(gg.parse(expression)).rows[-1]
    assert (row.kind, row.status, row.formula) == ("leaf", "proved", shown)


def test_numbers_come_back_as_they_were_written() -> None:
    rows = gg.verify(gg.parse("0.5*sin(3*t) + t/3*0.1")).rows
    assert [r.formula for r in rows if r.kind == "leaf"] == ["1/30 + 1.5·cos(3·t)"]
    (row,) = [r for r in gg.verify(gg.parse("sin(3*t)/2")).rows if r.kind == "leaf"]
    assert (row.formula, row.rule) == ("3·cos(3·t)/2", "3·cos(3·t)/2")


def test_derivatives_of_a_network_read_as_on_the_board() -> None:
    p = "sigmoid(v*tanh(w*x + b) + c)"
    rows = {r.where: r for r in gg.verify(gg.parse(f"-(y*log({p}) + (1 - y)*log(1 - {p}))")).rows}
    assert rows["∂v₂₀/∂c"].formula == "σ(v·tanh(w·x + b) + c) − y"
    assert rows["∂v₂₀/∂b"].formula == "v·(1 − v₃²)·(v₆ − y)"
    chain = gg.parse("(y - sigmoid(w4*tanh(w3*sigmoid(w2*tanh(w1*x + b1) + b2) + b3) + b4))**2")
    rows = [r for r in gg.verify(chain).rows if r.kind == "leaf"]
    (row,) = [r for r in rows if r.where.endswith("/∂w₂")]
    assert row.formula == "−2·v₃·v₆·(1 − v₆)·v₁₂·(1 − v₁₂)·v₁₃·w₃·w₄·(1 − v₉²)"
    assert row.rule == "−2·v₁₃·v₁₂·(1 − v₁₂)·w₄·(1 − v₉²)·w₃·v₆·(1 − v₆)·v₃"


def test_entries_of_matrix_derivatives_are_in_letters() -> None:
    x, w = gg.var("x", [1.0, 2.0]), gg.var("W", [[0.1, 0.2], [0.3, 0.4]])
    u = gg.var("U", [[0.1, 0.2], [0.3, 0.4]])
    a = gg.sigmoid(u @ gg.sigmoid(w @ x))
    rows = gg.verify(gg.sum((a - gg.const([1.0, 0.0])) ** 2)).rows
    (row,) = [r for r in rows if r.kind == "leaf" and r.where.endswith("/∂U")]
    assert row.formula == "entry [0,0]: 2·v₂[0]·v₄[0]·(1 − v₄[0])·v₅[0]"
    assert row.rule == "(2·v₅ ⊙ v₄ ⊙ (1 − v₄)) v₂ᵀ"


def test_minus_signs_are_gathered() -> None:
    a, b, c = (gg.var(n, 2.0) for n in "abc")
    found = [signs_out(n) for n in (-((-a) / b) + (-c), gg.exp((-a) * b) - (-c), -a - b, -a + b)]
    assert [render(n) for n in found] == ["a/b − c", "exp(−(a·b)) + c", "−(a + b)", "b − a"]


def test_long_derivatives_are_written_in_the_letters_of_the_graph() -> None:
    (row,) = [r for r in report("layer").rows if r.where.endswith("/∂x") and r.kind == "leaf"]
    assert row.rule == "Wᵀ (y ⊙ step(v₁))"
    assert row.formula == "entry [0]: W[0,0]·y[0]·step(v₁[0]) + W[1,0]·y[1]·step(v₁[1])"
    assert r"W^{\top}" in row.tex["rule"]


def test_latex_of_arrays_holds_nothing_that_tex_does_not_know() -> None:
    mask, x = gg.const([1.0, 0.0]), gg.var("x", [1.0, 2.0])
    w = gg.var("W1", [[1.0, 2.0], [3.0, 4.0]])
    report = gg.verify(gg.sum(gg.tanh(w @ x) * mask * gg.tanh(w @ gg.tanh(x))))
    assert report.latex().isascii()
    assert r"\begin{bmatrix} 1 \\ 0 \end{bmatrix}" in "".join(
        row.tex["rule"] for row in report.rows if row.kind == "edge"
    )
    assert "·[1 0]ᵀ  [2]" in "".join(row.of for row in report.rows)
    entry = next(r for r in report.rows if r.kind == "leaf" and "W" in r.where)
    assert "(v_{2})_{0}" in entry.tex["formula"]


def test_large_reports_say_what_their_letters_are() -> None:
    x = gg.var("x", 0.5)
    y = x
    for _ in range(30):
        y = gg.tanh(x * y)
    assert "in the order in which they are computed" in gg.verify(y).notes[0]
