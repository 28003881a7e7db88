"""The checkers are checked: they find right numbers, and notice every rule made wrong by 0.1 %."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Primitive

from . import checks, rulebook
from .rulebook import ALL, ELEMENTWISE

WRONG_BY = 1.001


def scaled(rule: Any) -> Any:
    """Return a rule, or a number that is one, wrong by 0.1 %; 0.001 where it is 0."""
    if not callable(rule):
        return rule * WRONG_BY or 0.001

    def wrong(*args: Any, **settings: Any) -> Any:
        return rule(*args, **settings) * WRONG_BY

    return wrong


def broken(p: Primitive, i: int) -> Primitive:
    rules = (*p.rules[:i], scaled(p.rules[i]), *p.rules[i + 1 :])
    more = {"partials": rules} if isinstance(p, Elementwise) else {}
    return dataclasses.replace(p, rules=rules, **more)


def noticed(check: Callable[..., None], p: Primitive) -> list[str]:
    """Return the messages of the calls at which a checker notices."""
    messages = []
    for case in p.cases if check is checks.check_partials else rulebook.calls(p):
        try:
            check(p, case)
        except AssertionError as problem:
            messages.append(str(problem))
    return messages


def every_rule(primitives: list[Any]) -> Any:
    pairs = [(p, i) for p in primitives for i, r in enumerate(p.rules) if r is not None]
    return pytest.mark.parametrize(("p", "i"), pairs, ids=[f"{p.name}-{i}" for p, i in pairs])


# -- rules made wrong ------------------------------------------------------------------------------


@every_rule(ALL)
def test_the_complex_step_notices_a_rule_wrong_by_a_thousandth(p: Primitive, i: int) -> None:
    messages = noticed(checks.check_first_order, broken(p, i))
    assert messages
    for part in ("gradient of", "rule:", "complex_step:", "tolerance:", "x0 = "):
        assert part in messages[0]


@every_rule(ELEMENTWISE)
def test_sympy_notices_a_partial_wrong_by_a_thousandth(p: Elementwise, i: int) -> None:
    messages = noticed(checks.check_partials, broken(p, i))
    assert messages
    for part in (f"∂{p.name}/∂x{i} at [", "settings", "rule:", "SymPy:", "tolerance:"):
        assert part in messages[0]


def test_sympy_notices_a_partial_that_is_right_but_cannot_be_differentiated() -> None:
    p: Any = gg.PRIMITIVES["exp"]
    detached = dataclasses.replace(p, partials=(lambda y, x: gg.const(np.exp(x.value)),))
    assert "∂exp/∂x0∂x0" in noticed(checks.check_partials, detached)[0]


def test_the_second_order_check_notices_a_rule_inside_a_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from graphgrad.ops import elementwise

    monkeypatch.setattr(elementwise, "cos", broken(gg.PRIMITIVES["cos"], 0))
    assert noticed(checks.check_first_order, gg.PRIMITIVES["sin"]) == []
    assert noticed(checks.check_second_order, gg.PRIMITIVES["sin"])


def test_the_check_on_arrays_notices_a_rule_that_knows_what_it_runs_on() -> None:
    p: Any = gg.PRIMITIVES["exp"]
    partial = (lambda y, x: y if isinstance(y, gg.Node) else WRONG_BY * y,)
    assert noticed(checks.check_on_arrays, dataclasses.replace(p, partials=partial, rules=partial))


@pytest.mark.parametrize("name", [p.name for p in ALL if not p.linear and p.kind == "reduce"
                                  and p.rules != (None,)])  # fmt: skip
def test_the_check_of_forward_mode_notices_a_false_claim_of_linearity(name: str) -> None:
    p = dataclasses.replace(gg.PRIMITIVES[name], linear="each")
    assert noticed(checks.check_forward_mode, p)


# -- the methods -----------------------------------------------------------------------------------


def cubic(at: list[Any]) -> Any:
    x, y = at
    return x**3 * y + np.exp(x)


def test_the_complex_step_is_exact_to_rounding() -> None:
    found = checks.complex_step(cubic, [1.5, 2.0], [1.0, -1.0])
    assert found == pytest.approx(3 * 1.5**2 * 2.0 + np.exp(1.5) - 1.5**3, rel=1e-15)


def test_central_differences_are_close() -> None:
    found = checks.central_difference(cubic, [1.5, 2.0], [1.0, -1.0])
    assert found == pytest.approx(3 * 1.5**2 * 2.0 + np.exp(1.5) - 1.5**3, rel=1e-9)


def test_both_methods_check_a_gradient() -> None:
    x, w = gg.var("x", [[1.0, 2.0], [3.0, 4.0]]), gg.var("w", np.linspace(-1, 1, 20))
    y = gg.tanh(x.sum(axis=0)) * gg.sin(w).sum()
    checks.check_gradient(y, [x, w])
    checks.check_gradient(y, x, method=checks.central_difference, rtol=1e-7)


def test_a_mismatch_prints_point_argument_both_numbers_and_tolerance() -> None:
    x = gg.var("x", 2.0)
    y = broken(gg.PRIMITIVES["square"], 0)(x)
    with pytest.raises(AssertionError) as caught:
        checks.check_gradient(y, x)
    assert str(caught.value).splitlines()[1:] == [
        "  at x = 2.",
        "  rule: 4.004, complex_step: 4.0, tolerance: 4.0e-09",
    ]
    assert "towards 'x' along 1." in str(caught.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, -1.0])
def test_nan_inf_zero_and_the_wrong_sign_are_noticed(wrong: float) -> None:
    p: Any = gg.PRIMITIVES["exp"]
    y = dataclasses.replace(p, partials=(lambda y, x: y * wrong,))(gg.var("x", [1.0, 2.0]))
    with pytest.raises(AssertionError, match="tolerance"):
        checks.check_gradient(y, y.inputs[0])


def test_a_gradient_of_another_shape_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gg.var("x", [1.0, 2.0])
    monkeypatch.setattr(gg, "vjp", lambda y, wrt, weights: [gg.const(1.0)])
    with pytest.raises(AssertionError, match=r"gradient of shape \(\)"):
        checks.check_gradient(x * x, x)
