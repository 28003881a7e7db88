"""Defining an operation: one block is enough for every check, and contradictions are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DefinitionError
from graphgrad.ops.define import case, elementwise, kink, number, structured
from graphgrad.primitive import TABLE

from . import checks, rulebook


@pytest.fixture(autouse=True)
def _table_as_before() -> Iterator[None]:
    before = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(before)


def _scaled(x: Any, scale: float) -> Any:
    return (x,), {"scale": number("scale", scale)}


def define_wave(**changes: Any) -> Any:
    block: dict[str, Any] = {
        "doc": "Return scale · sin x + |x|.",
        "prepare": _scaled,
        "forward": lambda x, scale: scale * np.sin(x) + np.abs(x),
        "analytic": lambda x, scale: scale * np.sin(x) + np.where(np.real(x) < 0, -x, x),
        "partials": [lambda y, x, scale: scale * gg.cos(x) + gg.sign(x)],
        "sympy": lambda sp, x, scale: sp.nsimplify(scale) * sp.sin(x) + sp.Abs(x),
        "code": "({scale} * sin({0}) + abs({0}))",
        "latex": r"w\left(#1\right)",
        "domain": [(-2.0, 3.0)],
        "cases": [case(scale=2.0), case(scale=-0.5)],
        "convention": "wave′(0) = scale.",
        "kinks": [kink(0.0, 2.0)],
    }
    return elementwise("wave", **{**block, **changes})


def test_one_block_is_all_the_checks_need() -> None:
    p = define_wave()
    assert TABLE["wave"] is p
    assert p(gg.var("x", [0.0, 1.0]), scale=3).value.tolist() == [0.0, 3 * np.sin(1) + 1]
    assert p(0.0, scale=3) == 0.0
    for each in p.cases:
        checks.check_partials(p, each)
    for each in rulebook.calls(p):
        for check in checks.EVERY_RULE:
            check(p, each)
    code = rulebook.code_function(p, {"scale": 2.0}, rulebook.MATH)
    assert code(1.5) == pytest.approx(p(1.5, scale=2.0), rel=1e-15)
    assert "Convention: wave′(0) = scale." in p.doc


def test_a_structured_block_too() -> None:
    p = structured(
        "double_reverse",
        doc="Return 2 x, reversed.",
        forward=lambda x: 2 * x[::-1],
        shape=lambda x: x,
        kind="move",
        vjp=[lambda g, y, x: 2 * g[::-1]],
        linear="each",
        cases=[case((3,)), case((2, 2))],
    )
    for each in p.cases:
        for check in checks.EVERY_RULE:
            check(p, each)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"domain": [(0.0, 1.0)] * 2}, "wave: 1 partials, but 2 domains"),
        ({"cases": ()}, "wave: give at least one case, with settings for the tests to try"),
    ],
)
def test_blocks_that_contradict_themselves(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DefinitionError, match=text):
        define_wave(**changes)
    assert "wave" not in TABLE


def test_a_name_is_given_once() -> None:
    define_wave()
    with pytest.raises(DefinitionError, match="primitive 'wave' is defined twice"):
        define_wave()


def test_a_structured_block_needs_a_case() -> None:
    with pytest.raises(DefinitionError, match="nothing: give at least one case"):
        structured(
            "nothing",
            doc="Return x.",
            forward=lambda x: x,
            shape=lambda x: x,
            kind="move",
            vjp=[lambda g, y, x: g],
        )
