"""Verification of expressions made to explode: it ends, and says what it could not decide.

Each of these ran for minutes or hours in some earlier form: that the tests end is what they test.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.graph import apply
from graphgrad.proof import budget
from graphgrad.proof.budget import Budget, LateError, attempt, hurried
from graphgrad.proof.partials import LATE
from graphgrad.proof.sampling import Samples
from graphgrad.proof.structures import prove_entries, use_of


def chained(step: Any, count: int, value: float | None = None, dtype: Any = "float64") -> gg.Node:
    y = gg.var("x", dtype=dtype) if value is None else gg.var("x", value, dtype=dtype)
    for k in range(count):
        y = step(y, k)
    return y


def sum_of_products(count: int) -> gg.Node:
    total = gg.const(0.0)
    for k in range(count):
        total = total + gg.sin(gg.var(f"x{k}") * gg.var(f"y{k}"))
    return total


def tower(count: int) -> gg.Node:
    x = gg.var("x")
    y = x
    for _ in range(count):
        y = x**y
    return y


def largest(count: int) -> gg.Node:
    return gg.parse(f"max({', '.join(f'x{k}' for k in range(count))})")


HOSTILE: dict[str, Any] = {
    "squares of squares": lambda: chained(lambda y, k: y * y + 1, 60),
    "powers of powers": lambda: chained(lambda y, k: y**9, 12),
    "exp of exp": lambda: chained(lambda y, k: gg.exp(y), 40),
    "a tower of powers": lambda: tower(30),
    "a huge power": lambda: (gg.var("x", 1.0) + 1) ** 1e300,
    "a thousand terms": lambda: sum_of_products(500),
    "a thousand angles": lambda: chained(lambda y, k: y + gg.sin(y * k), 300, 0.3),
    "nested kinks": lambda: chained(lambda y, k: abs(y - 1 / (k + 2)), 25),
    "the largest of forty": lambda: largest(40),
    "jumps of jumps": lambda: chained(lambda y, k: gg.floor(y * 3.5) * y, 12, 0.5),
    "a long chain": lambda: chained(lambda y, k: gg.sin(y), 3000, 0.5),
    "shared sub-results": lambda: chained(lambda y, k: gg.sin(y) * gg.exp(-y), 80, 0.5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_and_nothing_is_called_wrong(name: str) -> None:
    y = HOSTILE[name]()
    report = gg.verify(y, budget=2.0)
    assert report.ok
    leaves = {row.where for row in report.rows if row.kind == "leaf"}
    assert len(leaves) == sum(n.op == "variable" for n in gg.ancestors(y))
    assert all(row.method for row in report.rows)
    assert report.text(80)
    assert json.loads(report.json())["ok"]


CHAOS: dict[str, Any] = {
    "angles": lambda y, k: y + gg.sin(y * k),
    "logistic map": lambda y, k: 3.9 * y * (1 - y),
    "digits to base 7": lambda y, k: y * 7 - gg.floor(y * 7),
    "poles": lambda y, k: gg.tan(y + k),
}


@pytest.mark.parametrize("name", CHAOS)
@pytest.mark.parametrize(("count", "dtype"), [(30, "float32"), (80, "float64"), (150, "float64")])
def test_rounding_errors_that_grow_on_the_way_condemn_nothing(
    name: str, count: int, dtype: Any
) -> None:
    """Such values have no right digit in floats; they once were called WRONG."""
    report = gg.verify(chained(CHAOS[name], count, dtype=dtype, value=0.3), budget=10.0)
    assert report.wrong == []
    *_, value = report.rows
    assert (value.kind, value.status) == ("value", "not decided")
    assert value.method.startswith("rounding errors alone move it by ")
    assert value.method.endswith(": floats cannot compute this value")


def test_how_many_digits_rounding_errors_leave_is_said() -> None:
    report = gg.verify(chained(CHAOS["logistic map"], 40, 0.3))
    *_, value = report.rows
    assert value.status == "checked"
    assert value.method == (
        "the formulas in 120 digits give the first 5 digits of the computed value: "
        "rounding errors grow on the way"
    )


@pytest.mark.parametrize(("count", "error"), [(1, 1e-8), (10, 1e-4), (40, 0.3)])
def test_a_program_that_is_not_its_formula_is_wrong(count: int, error: float) -> None:
    """Rounding errors excuse what they can explain, and no more."""
    y = chained(CHAOS["logistic map"], count, 0.3)
    sin = gg.PRIMITIVES["sin"]
    bad = dataclasses.replace(sin, forward=lambda x: (1 + error) * np.sin(x))
    report = gg.verify(apply(bad, [y]))
    assert [row.kind for row in report.wrong] == ["value"]
    assert report.wrong[0].method.startswith("formula and program differ by ")


def test_what_was_not_decided_is_said_in_every_row() -> None:
    report = gg.verify(HOSTILE["squares of squares"](), budget=2.0)
    (row,) = [row for row in report.rows if row.status == "not decided"]
    assert row.kind == "leaf"
    assert row.method.startswith("no point with a finite value was found")
    assert not report.complete
    assert report.verdict == "ok, not complete: 180 proved, 1 not decided"
    late = gg.verify(HOSTILE["a thousand terms"](), budget=1e-3)
    assert len(late.rows) > 1000
    assert {row.method for row in late.rows if row.status == "not decided"} == {"time was up"}


def test_jumps_too_close_to_be_told_apart_condemn_nothing() -> None:
    """Between two floats of 120 digits lie many steps of such a floor; it once was called WRONG."""
    report = gg.verify(HOSTILE["jumps of jumps"]())
    assert report.wrong == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["abs(4 - (x*w + b))", "x=2", "w=3", "b=1"], 0, "ok: 9 proved, 1 checked"),
        (["x**x**x**x**x"], 0, "ok: "),
        (["exp(exp(exp(exp(exp(x)))))", "x=1"], 0, "ok: 6 proved"),
        (["x**1e300"], 1, "graphgrad: exponent 1e+300"),
        (["x**x**x**x*y", "--budget", "1e-9"], 0, "ok, not complete"),
        (["x**(9**9**9)"], 1, "graphgrad: "),
        (["(" * 300 + "x" + ")" * 300], 1, "graphgrad: "),
        (["x +"], 1, "graphgrad: "),
        (["x*W"], 0, "ok: 4 proved"),
        (["x", "--rules"], 1, "graphgrad: give either an expression to verify, or --rules"),
        (["x*x", "--budget", "-1"], 1, "budget=-1.0: expected a positive number of seconds"),
    ],
)
def test_the_command_ends_with_the_right_status(
    arguments: list[str], status: int, said: str, capsys: Any
) -> None:
    assert main(["verify", *arguments]) == status
    told = capsys.readouterr()
    assert said in told.out + told.err


@pytest.mark.parametrize("form", ["json", "markdown", "latex"])
def test_the_command_writes_documents(form: str, capsys: Any) -> None:
    assert main(["verify", "tanh(x)", f"--{form}"]) == 0
    report = gg.verify(gg.parse("tanh(x)"))
    told = capsys.readouterr().out
    assert told.split("\n")[0] == getattr(report, form)().split("\n")[0]


def test_a_wrong_rule_makes_the_command_fail(monkeypatch: Any, capsys: Any) -> None:
    tanh = gg.PRIMITIVES["tanh"]
    right = tanh.rules[0]
    wrong = (lambda *args, **settings: 1.001 * right(*args, **settings),)
    monkeypatch.setattr("graphgrad.proof.rules.TABLE", {"tanh": with_rules(tanh, wrong)})
    assert main(["verify", "--rules"]) == 1
    told = capsys.readouterr().out
    assert "WRONG" in told
    assert "at x = " in " ".join(told.split())


def with_rules(p: Any, rules: Any) -> Any:
    return dataclasses.replace(p, partials=rules, rules=rules)


def test_large_arrays_end_within_reason() -> None:
    W, z = gg.var("W", np.ones((30, 30)) / 30), gg.var("z", np.ones(30))
    for _ in range(4):
        z = gg.tanh(W @ z)
    report = gg.verify(gg.sum(z), budget=3.0)
    assert report.ok
    assert {row.status for row in report.rows if row.kind == "leaf"} <= {"proved", "checked"}


def test_what_is_stopped_leaves_no_words_on_the_screen(monkeypatch: Any) -> None:
    """Python prints errors raised while a generator is thrown away; time must not end there."""
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)

    def forever() -> None:
        while True:
            next(k for k in range(3))  # the generator is thrown away after its first number

    for _ in range(50):
        assert attempt(forever, 1e-3, "stopped") == "stopped"
    assert told == []


@pytest.mark.parametrize("asked", range(12))
def test_time_that_is_up_between_two_lines_of_the_watch_itself(
    asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([0.0] * asked)
    monkeypatch.setattr(budget, "clock", lambda: next(left, 100.0))
    assert attempt(lambda: 42, 1.0, "late") in (42, "late")
    assert sys.getprofile() is None


def test_budgets_end_within_a_step() -> None:
    """Nothing of a proof that is late is kept: the next one is whole."""
    node = gg.conv2d(gg.var("x", shape=(1, 2, 3, 4)), gg.var("w", shape=(2, 2, 2, 3)))
    assert prove_entries(use_of(node), 0, Budget(1e-9)) is LATE
    assert prove_entries(use_of(node), 0).status == "proved"
    limit = Budget(1.0)
    limit.check()
    limit.seconds = 1e-9
    with pytest.raises(LateError):
        limit.check()
    assert hurried(lambda: 42, limit, "late") == "late"


def test_samples_stop_inside_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    y = chained(lambda y, k: gg.sin(y), 50, 0.5)
    x = next(n for n in gg.ancestors(y) if n.op == "variable")
    samples = Samples(y, {x: gg.grad(y, x)}, [x], None, True)
    ticks = iter(range(10**9))
    monkeypatch.setattr(budget, "clock", lambda: 0.01 * next(ticks))  # a hundredth each time
    samples.take([x], 20, 1.0)
    assert (samples.seen[x].count, samples.early) == (0, ", then time was up")
    assert next(ticks) < 120
