"""Verification by SymPy: right graphs and rules are proved, wrong ones caught with a real point."""

from __future__ import annotations

import dataclasses

import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE

LESSON = "abs(4 - (x*w + b))"


def test_the_lesson_is_proved_edge_by_edge_and_end_to_end():
    report = gg.verify(gg.parse(LESSON, x=2, w=3, b=1))
    assert report.ok
    assert report.complete
    kinds = [row.kind for row in report.rows]
    assert kinds.count("edge") == 6
    assert kinds.count("leaf") == 3
    assert any("convention: abs′(0) = 0" in row.domain for row in report.rows)


@pytest.mark.parametrize("at", [0.0, 1e-9])
def test_a_kink_is_told_of(at):
    report = gg.verify(gg.relu(gg.var("x", at)))
    assert report.ok
    assert "kink" in str(report)


def wrong(p):
    """Return the primitive with its first derivative wrong by 0.1 %."""
    rule = p.partials[0]
    if callable(rule):
        partials = (lambda y, *xs, **given: 1.001 * rule(y, *xs, **given), *p.partials[1:])
    else:
        partials = (1.001 * rule, *p.partials[1:])
    return dataclasses.replace(p, partials=partials, rules=partials)


SMOOTH = ["exp", "log", "tanh", "sigmoid", "mul", "div", "sub", "square", "sin", "sqrt", "gelu"]


@pytest.mark.parametrize("name", SMOOTH)
def test_a_rule_wrong_by_a_thousandth_is_caught(name, monkeypatch):
    p = TABLE[name]
    assert isinstance(p, Elementwise)
    xs = [gg.var(f"x{k}", 0.7 + 0.2 * k) for k in range(len(p.partials))]
    assert gg.verify(p(*xs)).ok
    bad = wrong(p)
    monkeypatch.setitem(TABLE, name, bad)
    report = gg.verify(bad(*xs))
    assert not report.ok
    caught = next(row for row in report.rows if row.status == "WRONG")
    assert caught.point


def test_the_command_tells_by_its_exit_status(capsys):
    assert main(["verify", LESSON, "x=2", "w=3", "b=1"]) == 0
    assert "proved" in capsys.readouterr().out


def test_round_trip_with_sympy():
    import sympy

    y = gg.parse("tanh(x*w) + exp(-x)", x=0.5, w=2)
    expression = gg.to_sympy(y)
    assert sympy.simplify(expression - gg.to_sympy(gg.from_sympy(expression, x=0.5, w=2))) == 0
    assert gg.from_sympy(expression, x=0.5, w=2).value == pytest.approx(y.value)
