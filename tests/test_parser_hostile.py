"""Hostile and random expression text: an error of ours, at once, or the right graph."""

from __future__ import annotations

import sys
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from graphgrad.errors import GraphError, ParseError
from graphgrad.graph import Node
from graphgrad.parser import parse
from graphgrad.parsing.calls import vocabulary
from graphgrad.parsing.excerpt import MAX_LENGTH, visible
from graphgrad.parsing.reader import MAX_DEPTH
from graphgrad.parsing.scan import MAX_OPERATORS

from .excerpts import marked, needed

# -- hostile text ------------------------------------------------------------------------------

DEEP = "levels inside one another"
MUCH = "100 brackets inside one another and 1000 operators, not more"
HOSTILE = {
    "parentheses": ("(" * 100_000 + "x" + ")" * 100_000, "characters"),
    "minus signs": ("-" * 100_000 + "x", "characters"),
    "brackets": ("[" * 100_000 + "x" + "]" * 100_000, "characters"),
    "long": ("x" * (MAX_LENGTH + 1), "20001 characters: at most 20000"),
    "fewer parentheses": ("(" * 4_000 + "x" + ")" * 4_000, MUCH),
    "fewer brackets": ("[" * 4_000 + "1" + "]" * 4_000, MUCH),
    "indices": ("x" + "[x" * 3_000 + "]" * 3_000, MUCH),
    "indices after one another": ("x" + "[0]" * 1_001, MUCH),
    "fewer minus signs": ("-" * 9_000 + "x", MUCH),
    "few minus signs": ("-" * 900 + "x", DEEP),
    "minus signs in brackets": ("-(" * 99 + "--x" + ")" * 99, DEEP),
    "tildes": ("~" * 9_000 + "x", MUCH),
    "few tildes": ("~" * 900 + "x", DEEP),
    "not": ("not " * 4_000 + "x", MUCH),
    "few not": ("not " * 900 + "x", DEEP),
    "powers": ("x" + "**x" * 4_000, MUCH),
    "few powers": ("x" + "**x" * 900, DEEP),
    "signed powers": ("x" + "**-x" * 3_000, MUCH),
    "few signed powers": ("x" + "**-x" * 400, DEEP),
    "choices": ("x" + " if x>0 else x" * 1_400, MUCH),
    "few choices": ("x" + " if x>0 else x" * 300, DEEP),
    "calls": ("abs(" * 3_000 + "x" + ")" * 3_000, MUCH),
    "calls of calls": ("abs" + "(x)" * 3_000, MUCH),
    "few calls of calls": ("abs" + "(x)" * 900, DEEP),
    "tuples": ("(1," * 2_500 + ")" * 2_500, MUCH),
    "keywords": ("sum(x=" * 1_500 + "x" + ")" * 1_500, MUCH),
    "unclosed": ("(" * 9_000, MUCH),
    "few unclosed": ("(" * 99, "never closed"),
    "closing": (")" * 20_000, "unmatched"),
    "operators": ("x+" * 9_000 + "x", MUCH),
    "attributes": ("x" + ".T" * 9_000, MUCH),
    "comparisons": ("x" + "<x" * 9_000, MUCH),
    "statements": ("x;" * 10_000, "not used"),
    "line ends": ("\n" * 20_000, "expected an expression"),
    "digits": ("9" * 5_000, "a number of 5000 characters is too long"),
    "more digits": ("1." + "0" * 19_000, "too long"),
    "exponent digits": ("1e" + "9" * 5_000, "too long"),
    "big exponent": ("1e" + "9" * 300, "too large"),
    "name": ("a" * 20_000, "a word of 20000 characters is too long"),
    "marks": ("x" + "\u0301" * 10_000, "too long"),
    "tower": ("9**9**9**9**9**9", "exponent"),
    "entries": ("broadcast_to(x, (100000, 100000))", "more than"),
    "size": ("reshape(broadcast_to(x, (" + "9" * 300 + ",)), -1)", "more than"),
    "slice of nothing": ("broadcast_to(x, (" + "9" * 300 + ",))[1:]", "more than"),
    "pad": ("pad([1], 999999999999)", "more than"),
    "one_hot": ("one_hot([0], 999999999999)", "at most"),
    "product": ("x" + " @ x" * 9, "needs at least one dimension"),
    "dimensions": ("[" * 90 + "1" + "]" * 90, "dimension"),
    "code": ("().__class__.__bases__[0].__subclasses__()", "one underscore"),
    "quotes": ("'" * 20_000, "quotes"),
    "stars": ("x" + "*" * 9_000, MUCH),
    "few stars": ("x" + "*" * 900, "does not fit here"),
    "dots": ("x" + "." * 9_000, MUCH),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_in_an_error(name) -> None:
    text, fragment = HOSTILE[name]
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert fragment in str(caught.value)
    assert max(map(len, str(caught.value).split("\n"))) < 400


@pytest.mark.parametrize(
    "text",
    [
        "+".join("x" * MAX_OPERATORS), "*".join("x" * MAX_OPERATORS), "x" + ".T" * MAX_OPERATORS,
        "(x > 0)" + " and x > 0" * 499, "x" + " < x" * MAX_OPERATORS, "max(" + "x, " * 3_000 + "1)",
        "[" + "1, " * 4_000 + "1]", "[" + "x, " * 4_000 + "1]", "[" + "-1, " * 4_000 + "1]",
        "; ".join(f"a{k} = x + {k}" for k in range(800)), "(" * 100 + "x" + ")" * 100,
        "-" * 99 + "x", "x" + "**x" * 99, "[" * 60 + "x" + "]" * 60, "abs(" * 99 + "x" + ")" * 99,
        "x" + " if x > 0 else x" * 97, "((x" + "+x" * 400 + ")" + "+x" * 400 + ")" + "[None]" * 50,
    ],
    ids=lambda text: f"{text[:9]}…{len(text)}",
)  # fmt: skip
def test_long_text_that_is_not_deep_is_fine(text) -> None:
    assert isinstance(parse(text), Node)


def test_a_long_sum_has_its_value() -> None:
    assert parse("+".join("x" * 1_000), x=0.5).value == 500.0


@pytest.mark.parametrize(
    "text", ["abs(" * 99 + "x" + ")" * 99, "+".join("x" * 1_000), "-" * 99 + "x", "x**" * 99 + "x"]
)
def test_little_python_stack_is_an_error_of_ours(text) -> None:
    def deeper(left):
        return deeper(left - 1) if left else parse(text)

    limit = sys.getrecursionlimit()
    refused = []
    for depth in range(300, limit, 20):
        try:
            deeper(depth)
        except ParseError as problem:
            refused.append(str(problem))
        except RecursionError:  # not ours: no room was left to begin, or to make the error
            break
    assert refused
    assert all("Python's stack" in message for message in refused)


def test_depth_is_counted_in_levels() -> None:
    assert parse("-" * (MAX_DEPTH - 1) + "x", x=1).value == (-1) ** (MAX_DEPTH - 1)
    with pytest.raises(ParseError, match=DEEP):
        parse("-" * MAX_DEPTH + "x")


def test_operators_are_counted_for_each_statement_by_itself() -> None:
    half = "+".join("x" * (MAX_OPERATORS // 2))
    assert parse(f"a = {half}; b = {half}; c = {half}; a + b + c", x=1).value == 1500.0


def test_large_values_may_be_used() -> None:
    x = np.broadcast_to(np.float64(1), (4000, 4000))
    assert parse("x*2", x=x).shape == x.shape


# -- fuzz --------------------------------------------------------------------------------------

ALPHABET = "xyw019.e+-*/@<>=!&|~()[],:;if els\n#^%'\"π²\x1b\u202e_TN"
SOUP = [
    "x", "y", "v", "W", "f", "pi", "1", "2.5", "0", "-1", "1e9", "+", "-", "*", "/", "**", "@",
    "<", ">=", "==", "&", "|", "~", "not", "and", "or", "if", "else", "(", ")", "[", "]", ",",
    ":", ";", "\n", "=", ".T", "...", "None", "True", "axis=", "keepdims=", "lambda", "a = ", "b",
    "[[1, 2], [3, 4]]", "(0, 1)", "x > 0", "-", "(", ")", "(", ")",
]  # fmt: skip
ANY = {"x": [1.0, 2.0], "W": [[1.0, 2.0], [3.0, 4.0]]}


def survives(text):
    try:
        node = parse(text, **needed(text, ANY))
    except GraphError as problem:
        message = str(problem)
        assert all(c == "\n" or visible(c) == c for c in message)
        if isinstance(problem, ParseError):
            marked(problem)
    else:
        assert isinstance(node, Node)


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_gives_a_graph_or_an_error_of_ours(text) -> None:
    survives(text)


@given(st.text(ALPHABET, max_size=40))
@settings(deadline=None, max_examples=500)
def test_text_that_looks_like_expressions(text) -> None:
    survives(text)


@given(st.lists(st.sampled_from(SOUP), max_size=14))
@settings(deadline=None, max_examples=500)
def test_soup_of_tokens(tokens) -> None:
    survives(" ".join(tokens))


CALLED = sorted(vocabulary())
ARGUMENTS = [
    "x", "W", "s", "1", "-1", "0", "2.5", "1000", "None", "True", "[1, 2]", "[0, 1]", "(0, 1)",
    "()", "[x, x]", "[W, x]", "x > 0", "[[1, 2], [3, 4]]", "argmax(x)", "(1, (2, 3))",
    "[True, False]", "pi", "[x]", "(x, W)", "W[None, None]", "99999999999999999999", "[]",
    "((1, 1), (0, 2))",
]  # fmt: skip
KEYS = [
    "axis", "keepdims", "alpha", "shape", "axes", "size", "stride", "padding", "seed", "dtype",
    "value", "indices", "rate", "delta", "ddof", "low", "x",
]  # fmt: skip


@given(
    st.sampled_from(CALLED),
    st.lists(st.sampled_from(ARGUMENTS), max_size=4),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ARGUMENTS), max_size=2),
)
@settings(deadline=None, max_examples=600)
def test_any_call_of_any_function(name, args, keywords) -> None:
    listed = [*args, *(f"{key}={part}" for key, part in keywords.items())]
    survives(f"{name}({', '.join(listed)})")


NUMBERS = st.sampled_from(["0.0", "1", "2.5", ".5", "3", "1e-2", "7"])
ATOMS = st.one_of(
    NUMBERS.map(lambda n: (n, f"F({n})")),
    st.sampled_from("xyz").map(lambda n: (n, n)),
)


def _pairs(inner):
    """Return pairs of one expression in our text and in Python with NumPy numbers."""
    powers = st.sampled_from(["", "", "", "**2", "**3", "**-1"])
    group = inner.map(lambda p: (f"({p[0]})", f"({p[1]})"))
    signs = st.sampled_from(["", "", "-", "--", "+"])
    term = st.builds(
        lambda sign, p, power: (sign + p[0] + power, sign + p[1] + power),
        signs, ATOMS | group, powers,
    )  # fmt: skip
    flat = st.builds(
        lambda first, rest: (
            first[0] + "".join(f" {op} {p[0]}" for op, p in rest),
            first[1] + "".join(f" {op} {p[1]}" for op, p in rest),
        ),
        term,
        st.lists(st.tuples(st.sampled_from("+-*/"), term), max_size=4),
    )
    compared = st.builds(
        lambda a, op, b, op2, c: tuple(f"{a[k]} {op} {b[k]} {op2} {c[k]}" for k in (0, 1)),
        flat, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        flat, st.sampled_from(["<", ">="]), flat,
    )  # fmt: skip
    mask = st.builds(
        lambda negated, a, word, b: tuple(f"{negated}{a[k]} {word} {b[k]}" for k in (0, 1)),
        st.sampled_from(["", "not "]), compared, st.sampled_from(["and", "or"]), compared,
    )  # fmt: skip
    chosen = st.builds(
        lambda a, m, b: tuple(f"{a[k]} if {m[k]} else {b[k]}" for k in (0, 1)), flat, mask, flat
    )
    return flat | chosen


@given(
    st.recursive(ATOMS, _pairs, max_leaves=12),
    st.tuples(*[st.floats(-4, 4).map(lambda f: round(f, 2))] * 3),
)
@settings(deadline=None, max_examples=400)
def test_arithmetic_agrees_with_python(pair, point) -> None:
    text, python = pair
    x, y, z = map(np.float64, point)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scope = {"__builtins__": {}, "F": np.float64, "x": x, "y": y, "z": z}
        expected = eval(python, scope)  # of arithmetic made above
    values = needed(text, {"x": x, "y": y, "z": z})
    np.testing.assert_allclose(parse(text, **values).value, expected, rtol=1e-12, atol=1e-300)
