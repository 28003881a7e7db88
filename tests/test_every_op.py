"""Every block of the rule book, by one body over its table.

Proves for each primitive, with nothing here but exceptions naming one: the value is that of the
SymPy form, the shape and type are those the rules foretell, first and second derivatives are
SymPy's and the complex step's, the rule gives the same on arrays, forward mode is the transpose
of reverse mode, the scalar code computes what NumPy computes, nan and ±inf included.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DtypeError, GraphError, ShapeError
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Case, Primitive

from . import checks, rulebook
from .rulebook import ALL, ELEMENTWISE, STRUCTURED

SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1000.0, -1000.0]
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2  # before, float32 scalars became float64
DTYPES = [np.dtype(t) for t in (float, np.float32, np.int64, bool)]


def label(value: Any) -> str | None:
    if isinstance(value, Primitive):
        return value.name
    if isinstance(value, Case):
        listed = [str(a) for a in value.args] + [f"{k}={v}" for k, v in value.settings.items()]
        return re.sub(r"\s+", "", "-".join(listed)) or "plain"
    return None


def over(*pairs: Any) -> Any:
    return pytest.mark.parametrize(("p", "case"), list(pairs), ids=label)


each = pytest.mark.parametrize("p", ALL, ids=label)
each_elementwise = pytest.mark.parametrize("p", ELEMENTWISE, ids=label)
each_setting = over(*rulebook.settled(ELEMENTWISE))
each_call = over(*[(p, case) for p in ALL for case in rulebook.calls(p)])
each_case = over(*rulebook.settled(STRUCTURED))


def test_the_table_holds_both_kinds() -> None:
    assert len(ELEMENTWISE) > 40
    assert len(STRUCTURED) > 20
    assert all(p.name == name for name, p in gg.PRIMITIVES.items())


# -- values --------------------------------------------------------------------------------------


@each_setting
def test_the_value_is_that_of_the_sympy_form(p: Elementwise, case: Case) -> None:
    import sympy as sp

    names = rulebook.symbols(p)
    expression = p.sympy(sp, *names, **rulebook.settings(p, case))
    at = rulebook.points(p)
    for point, actual in zip(zip(*at, strict=True), p(*at, **case.settings), strict=True):
        expected = rulebook.exact(expression, names, [v.item() for v in point])
        assert actual == pytest.approx(expected, rel=1e-12, abs=1e-15), point


@each_call
def test_node_and_plain_arrays_agree_and_have_the_foretold_shape_and_type(
    p: Primitive, case: Case
) -> None:
    for dtype in (float, np.float32):
        y, _ = rulebook.make(p, case, dtype)
        values = [np.asarray(x.value, x.dtype)[()] for x in y.inputs]
        plain = p.forward(*values, **y.settings)
        assert np.shape(plain) == y.shape == np.shape(y.value)
        if y.shape or NUMPY_2:
            assert plain.dtype == y.dtype
        np.testing.assert_array_equal(plain.astype(y.dtype), y.value)


@each_call
def test_plain_numbers_in_plain_numbers_out(p: Primitive, case: Case) -> None:
    y, variables = rulebook.make(p, case)
    given = iter([x.value for x in variables])
    args = [
        next(given) if rulebook.is_shape(a) else [next(given) for _ in a]
        if isinstance(a, list) else a
        for a in case.args
    ]  # fmt: skip
    plain = p(*args, **case.settings)
    assert not isinstance(plain, gg.Node)
    np.testing.assert_array_equal(plain, y.value)


# -- shapes and types ----------------------------------------------------------------------------


@each_elementwise
def test_shapes_broadcast_as_in_numpy(p: Elementwise) -> None:
    for shapes in itertools.product([(), (3,), (2, 1), (2, 3), (0, 3), (4,)], repeat=len(p.domain)):
        inputs = [
            gg.var(f"x{k}", shape=s, dtype=bool if mask else float)
            for k, (s, mask) in enumerate(zip(shapes, rulebook.masks(p), strict=True))
        ]
        try:
            expected = np.broadcast_shapes(*shapes)
        except ValueError:
            with pytest.raises(ShapeError, match=rf"^{p.name}: shapes .* do not broadcast"):
                p(*inputs, **p.cases[0].settings)
        else:
            assert p(*inputs, **p.cases[0].settings).shape == expected


@each_elementwise
def test_every_type_is_foretold_or_refused(p: Elementwise) -> None:
    for kinds in itertools.product(DTYPES, repeat=len(p.domain)):
        inputs = [gg.var(f"x{k}", [1, 1], dtype=d) for k, d in enumerate(kinds)]
        try:
            p.dtype(*kinds)
        except DtypeError:
            assert np.dtype(bool) in kinds or True in rulebook.masks(p)
            with pytest.raises(DtypeError, match=rf"^{p.name}: .*'x0': {kinds[0]}"):
                p(*inputs, **p.cases[0].settings)
            continue
        y = p(*inputs, **p.cases[0].settings)
        plain = p.forward(*[x.value for x in inputs], **y.settings)
        if all(d.kind == "f" for d in kinds):
            assert y.dtype == plain.dtype
        assert np.asarray(y.value).dtype == y.dtype
        np.testing.assert_allclose(np.asarray(y.value, float), np.asarray(plain, float), rtol=1e-6)


@each_call
def test_float32_stays_float32_in_value_and_gradient(p: Primitive, case: Case) -> None:
    y, variables = rulebook.make(p, case, np.float32)
    if y.dtype.kind != "f" or not y.active:
        return
    given = case.settings.get("dtype")
    assert y.dtype == np.dtype(given or np.float32)
    wanted = rulebook.differentiable(variables)
    for gradient in gg.vjp(y, wanted, np.ones(y.shape, y.dtype)):
        assert gradient.dtype == np.float32
    y.sum().backward()
    for x in wanted:
        assert np.asarray(x._grad).dtype == np.float32


# -- derivatives ---------------------------------------------------------------------------------


@each_setting
def test_first_and_second_partials_are_those_of_sympy(p: Elementwise, case: Case) -> None:
    checks.check_partials(p, case)


@each_call
def test_the_backward_rule_is_the_complex_step(p: Primitive, case: Case) -> None:
    checks.check_first_order(p, case)


@each_call
def test_the_backward_rule_of_the_backward_rule_too(p: Primitive, case: Case) -> None:
    checks.check_second_order(p, case)


@each_call
def test_the_rule_runs_on_arrays_as_on_nodes(p: Primitive, case: Case) -> None:
    checks.check_on_arrays(p, case)


@each_call
def test_forward_mode_is_the_transpose_of_reverse_mode(p: Primitive, case: Case) -> None:
    checks.check_forward_mode(p, case)


@each_elementwise
def test_kinks_have_the_partials_the_block_states(p: Elementwise) -> None:
    assert bool(p.kinks) <= bool(p.convention) or all(
        not np.isfinite(k.partials).all() for k in p.kinks
    ), "a kink with a finite partial is a choice: say so in `convention`"
    for kink in p.kinks:
        inputs = [gg.var(f"x{k}", v) for k, v in enumerate(kink.at)]
        y = p(*inputs, **p.cases[0].settings)
        found = [g.value for g in gg.grad(y, inputs)]
        np.testing.assert_array_equal(found, kink.partials)
        y.backward()
        np.testing.assert_array_equal([x.grad for x in inputs], kink.partials)


@each
def test_conventions_and_kinks_come_together(p: Primitive) -> None:
    assert not p.convention or p.convention.endswith(".")
    assert f"Convention: {p.convention}" in p.doc or not p.convention


@over(*[(p, case) for p in ALL if p.linear for case in rulebook.calls(p)])
def test_what_is_called_linear_is(p: Primitive, case: Case) -> None:
    assert p.linear in ("each", "all")
    y, variables = rulebook.make(p, case)
    other = [x.value for x in rulebook.make(p, case, seed=1)[1]]
    groups = [variables] if p.linear == "all" else [[x] for x in variables]
    for moved in groups:
        here = {x: x.value for x in moved}
        there = {x: o for x, o in zip(variables, other, strict=True) if x in here}
        mixed = {x: 2 * here[x] - 3 * there[x] for x in moved}
        at_here, at_there, at_mixed = (gg.evaluate([y], v)[0] for v in (here, there, mixed))
        np.testing.assert_allclose(at_mixed, 2 * at_here - 3 * at_there, rtol=1e-12, atol=1e-13)


# -- scalar code, nan and inf ----------------------------------------------------------------------


@each_setting
def test_the_scalar_code_as_plain_python(p: Elementwise, case: Case) -> None:
    given = rulebook.settings(p, case)
    function = rulebook.code_function(p, given, rulebook.MATH)
    at = [v.tolist() for v in rulebook.points(p)]
    for point, expected in zip(zip(*at, strict=True), p(*map(np.array, at), **case.settings)):
        assert function(*point) == pytest.approx(expected, rel=1e-13, abs=1e-15), point


@each_setting
def test_the_scalar_code_for_large_and_non_finite_numbers(p: Elementwise, case: Case) -> None:
    given = rulebook.settings(p, case)
    function = rulebook.code_function(p, given, rulebook.NUMPY)
    kinds = [[False, True] if mask else SPECIAL for mask in rulebook.masks(p)]
    with np.errstate(all="ignore"):
        for point in itertools.product(*kinds):
            numbers = [np.float64(v) if isinstance(v, float) else v for v in point]
            actual, expected = function(*numbers), p(*numbers, **case.settings)
            np.testing.assert_allclose(actual, expected, rtol=1e-14, err_msg=str(point))


@each_setting
def test_the_scalar_code_does_not_overflow_inside(p: Elementwise, case: Case) -> None:
    """Python's functions raise OverflowError: right where NumPy's result is infinite, too."""
    given = rulebook.settings(p, case)
    function = rulebook.code_function(p, given, rulebook.MATH)
    for large in (800.0, -800.0):
        at = [large if low < 0 or large > 0 else -large for low, _ in p.domain]
        if any(rulebook.masks(p)):
            at = [True if mask else v for v, mask in zip(at, rulebook.masks(p), strict=True)]
        with np.errstate(all="ignore"):
            expected = float(p(*map(np.asarray, at), **case.settings))
        try:
            actual = function(*at)
        except (OverflowError, ValueError):
            assert not math.isfinite(expected)
        else:
            assert actual == pytest.approx(expected, rel=1e-13)


NAN_IS_LOST = {
    "power": "x ** 0 is 1 for every x, as IEEE 754 has it",
}


@each_setting
def test_nan_in_nan_out(p: Elementwise, case: Case) -> None:
    point = [True if mask else np.float64(math.nan) for mask in rulebook.masks(p)]
    with np.errstate(all="ignore"):
        result = p(*point, **case.settings)
    if np.asarray(result).dtype == bool:
        return
    if p.name in NAN_IS_LOST and case.settings.get("exponent") == 0:
        assert result == 1
    else:
        assert math.isnan(result)


@each_case
def test_nan_in_one_entry_reaches_the_result(p: Primitive, case: Case) -> None:
    y, variables = rulebook.make(p, case)
    for x in variables:
        value = np.full(x.shape, math.nan)
        result = np.asarray(gg.evaluate([y], {x: value})[0])
        if result.dtype.kind == "f" and result.size and x.size:
            assert np.isnan(result).any()


# -- texts ---------------------------------------------------------------------------------------


def texts(p: Primitive) -> list[str]:
    found = []
    for case in rulebook.calls(p):
        y, _ = rulebook.make(p, case)
        found += [p.template("text", y.settings), p.template("latex", y.settings)]
    return [t for t in found if t is not None]


@each
def test_templates_name_every_input_once_or_more_and_balance(p: Primitive) -> None:
    inputs = {f"#{k + 1}" for k in range(len(p.rules))}
    for text in texts(p):
        if not p.variadic:
            assert set(re.findall(r"#\d+", text)) == inputs, text
        for opening, closing in ("{}", "[]"):
            assert text.count(opening) == text.count(closing), text
        assert text.count(r"\left") == text.count(r"\right"), text
        assert text.count(r"\begin") == text.count(r"\end"), text


@each
def test_the_docstring_says_returns_and_arguments(p: Primitive) -> None:
    assert p.doc.startswith("Return ")
    assert "Args:" in p.doc


@each
def test_only_the_settings_of_the_block_are_taken(p: Primitive) -> None:
    case = rulebook.calls(p)[0]
    for wrong in ("out", "where", "nonsense"):
        with pytest.raises(TypeError, match=wrong):
            rulebook.make(p, Case(case.args, {**case.settings, wrong: None}))


@each
def test_rules_fit_the_inputs(p: Primitive) -> None:
    y, _ = rulebook.make(p, rulebook.calls(p)[0])
    assert p.variadic or len(p.rules) == len(y.inputs)
    assert p.kind in {"map", "reduce", "matmul", "conv", "move", "gather", "scatter", "random"}
    if isinstance(p, Elementwise):
        assert len(p.partials) == len(p.domain) == len(y.inputs)
        assert p.kind == "map"
        assert p.code
        assert p.sympy


# -- entries -------------------------------------------------------------------------------------


@each_case
def test_entries_on_an_array_of_numbers(p: Primitive, case: Case) -> None:
    """The same sums and products, on an array of Python objects in place of an array of floats."""
    y, _ = rulebook.make(p, case)
    arrays = [
        np.asarray(x.value).astype(object) if x.dtype.kind == "f" else x.value for x in y.inputs
    ]
    if p.entries is None:
        found = p.forward(*arrays, **y.settings)
    else:
        found = p.entries(rulebook.SCALARS, *arrays, **y.settings)
    np.testing.assert_allclose(np.asarray(found, float), y.value, rtol=1e-12, atol=1e-14)


@each_case
def test_entries_on_an_array_of_nodes(p: Primitive, case: Case) -> None:
    y, variables = rulebook.make(p, case)
    if not y.active:
        with pytest.raises(GraphError, match=f"{p.name} has no scalar form"):
            gg.expand(y)
        return
    if not y.size:
        return
    circuit = gg.expand(y)
    assert all(n.shape == () for n in gg.ancestors(circuit) if n.op not in ("stack", "reshape"))
    np.testing.assert_allclose(circuit.value, y.value, rtol=1e-12, atol=1e-14)
    (circuit * circuit).sum().backward()
    (y * y).sum().backward()
    entries = {n.name: n.grad for n in gg.ancestors(circuit) if n.op == "variable"}
    for x in variables:
        for at in np.ndindex(x.shape):
            name = f"{x.name}[{','.join(map(str, at))}]" if at else x.name
            expected = np.asarray(x.grad)[at]
            assert entries.get(name, 0.0) == pytest.approx(expected, rel=1e-10, abs=1e-12), name
