"""Reports in narrow terminals: cards where a table would cut, last steps of long gradients."""

from __future__ import annotations

import unicodedata

import numpy as np
from rich.cells import cell_len

import graphgrad as gg
from graphgrad.proof.findings import Row
from graphgrad.proof.partials import WRONG
from graphgrad.proof.report import Report

LESSON = "abs(4 - (x*w + b))"
DEEP = {
    "W": np.linspace(-1, 1, 36).reshape(6, 6).tolist(),
    "x": np.linspace(0.1, 0.6, 6).tolist(),
}


def deep() -> Report:
    return gg.verify(gg.parse("sum(tanh(W @ tanh(W @ tanh(W @ x)))**2)", **DEEP))


def test_what_a_table_would_cut_is_shown_in_cards() -> None:
    found = gg.verify(gg.parse("v @ tanh(W @ x)", W=[[1, 1], [-1, 1]], v=[2, -1], x=[2, 3]))
    shown = found.text(80)
    assert "✓   ∂v₃/∂W     end to end  [2×2]   everywhere\n" in shown
    assert "    both       entry [0,0]: v[0]·x[0]·(1 − tanh(W[0,0]·x[0] + W[0,1]·x[1])²)\n" in shown
    assert "    SymPy      1 − tanh(v₁)²\n    rule book  1 − v₂²\n" in shown
    assert "derivative " not in shown
    assert "derivative " in found.text(160)
    assert "derivative " in gg.verify(gg.parse(LESSON)).text(80), "what fits stays a table"


def test_cards_say_where_they_hold_and_what_is_wrong() -> None:
    row = Row(
        "edge", "∂y/∂x\nand 2 more", WRONG, of="y = x²", formula="2·x" * 30, rule="2.002·x",
        domain="x ≠ 0 (kink)", point={"x": "11/16"}, values=("1.375", "1.376375"),
        method="they differ", note="here x = 0",
    )  # fmt: skip
    lines = Report("x²", [row], 0.1, 1.0).text(60).split("\n")
    assert lines[1] == "✗   ∂y/∂x and 2 more  y = x²"
    assert "    holds      x ≠ 0 (kink)" in lines
    assert "    WRONG: they differ" in lines
    assert "    at x = 11/16: derivative 1.375, rule 1.376375" in lines
    assert "    here x = 0" in lines
    assert max(map(cell_len, lines)) <= 60


def test_a_gradient_too_long_to_be_written_shows_its_last_step() -> None:
    rows = {row.where: row for row in deep().rows if row.kind == "leaf"}
    assert unicodedata.normalize("NFC", rows["∂v₈/∂W"].rule) == unicodedata.normalize(
        "NFC",
        "outer(v̄₁, x) + outer(v̄₃, v₂) + outer(v̄₅, v₄)  (v̄₁ = ∂v₈/∂v₁, v̄₃ = ∂v₈/∂v₃, v̄₅ = ∂v₈/∂v₅)",
    )
    assert rows["∂v₈/∂x"].tex["rule"] == r"W^{\top} \, \bar{v}_{1}"
    assert "gg.derive has it factor by factor" in rows["∂v₈/∂x"].formula
