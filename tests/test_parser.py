"""Expression text to graph: values, structure, names, places; values on a command line."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import ParseError
from graphgrad.graph import ancestors
from graphgrad.ops.define import Elementwise
from graphgrad.parser import missing, parse, parse_value, split_assignment
from graphgrad.parsing.calls import NOT_IN_TEXT, vocabulary

from .excerpts import marked, needed
from .rulebook import ALL, masks, settled

X = {"x": 2.0, "y": -3.0, "z": 0.5}
V = {"v": [1.0, 2.0, 3.0], "W": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}


def value(text, **values):
    """Return the value of the text, given those of X and V whose names occur in it."""
    return parse(text, **needed(text, {**X, **V}), **values).value


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # numbers
        ("3", 3.0), ("2.5", 2.5), (".5", 0.5), ("2.", 2.0), ("1e-3", 0.001), ("1_000", 1000.0),
        ("1E+2", 100.0), ("9007199254740993", 2.0**53), ("1e308", 1e308),
        ("9" * 300, float("9" * 300)), ("0e99999", 0.0), ("pi", math.pi), ("π", math.pi),
        # operators, in Python's order
        ("x + y", -1.0), ("x - y - z", 4.5), ("x * y", -6.0), ("x / y / z", 2 / -3 / 0.5),
        ("x - (y - z)", 5.5), ("2 + 3*x", 8.0), ("-x**2", -4.0), ("(-x)**2", 4.0),
        ("2**3**2", 512.0), ("2**-1", 0.5), ("-2**-2", -0.25), ("x**x", 4.0), ("2**x", 4.0),
        ("--x", 2.0), ("+x", 2.0), ("-+-3", 3.0), ("x**0.5", math.sqrt(2)), ("x**pi", 2**math.pi),
        ("6/2*3", 9.0), ("1 - -1", 2.0), ("x*-y", 6.0), ("10 - 2 ** 2", 6.0), ("-1 ** 2", -1.0),
        # comparisons, masks, choices
        ("x < 3", True), ("x <= 2", True), ("x > 2", False), ("x >= 2", True), ("x == 2", True),
        ("x != 2", False), ("0 < x < 3", True), ("0 < x < 2", False), ("3 > x >= 2 > y", True),
        ("x > 0 and y > 0", False), ("x > 0 or y > 0", True), ("not x > 0", False),
        ("(x > 0) & (y < 0)", True), ("(x < 0) | (y > 0)", False), ("~(x > 0)", False),
        ("not not x > 0", True), ("not x > 0 or y < 0", True), ("x < 0 and y > 0 or z > 0", True),
        ("x if x > 0 else y", 2.0), ("x if y > 0 else y if z > 9 else z", 0.5),
        ("1 if x < 0 else 2", 2.0), ("(x if y > 0 else z) + 1", 1.5), ("x == y < z", False),
        # literals of vectors and matrices
        ("[1, 2, 3]", [1, 2, 3]), ("[[1, 2], [3, 4]] @ [1, 1]", [3, 7]), ("[x, y]", [2, -3]),
        ("[[x, 1], [2, y]]", [[2, 1], [2, -3]]), ("[v, [4, 5, 6]]", [[1, 2, 3], [4, 5, 6]]),
        ("[-1, pi][1]", math.pi), ("[[1],]", [[1]]), ("[x,] + [1]", [3]), ("[[[1]]]", [[[1]]]),
        ("([1, 2]) * 2", [2, 4]), ("-[1, 2]", [-1, -2]), ("2 * [1, x]", [2, 4]),
        # indices
        ("v[0]", 1.0), ("v[-1]", 3.0), ("v[1:]", [2, 3]), ("v[::-1]", [3, 2, 1]), ("v[:2]", [1, 2]),
        ("v[0:3:2]", [1, 3]), ("W[0, 1]", 2.0), ("W[:, 0]", [1, 4]), ("W[..., 2]", [3, 6]),
        ("W[1][2]", 6.0), ("v[None].T", [[1], [2], [3]]), ("v[[2, 0]]", [3, 1]), ("W[:]", V["W"]),
        ("v[argmax(v)]", 3.0), ("v[argmax(v) - 1]", 2.0), ("W[[0, 1], [2, 0]]", [3, 4]),
        ("W.T[0]", [1, 4]), ("(W @ v)[1]", 32.0), ("[1, 2, 3][1]", 2.0),
        ("W[-2:, 1:2]", [[2], [5]]),
        # calls
        ("exp(0)", 1.0), ("ln(x)", math.log(2)), ("arctan2(x, y)", math.atan2(2, -3)),
        ("arcsin(z)", math.asin(0.5)), ("arccos(z)", math.acos(0.5)), ("arctan(x)", math.atan(2)),
        ("abs(y)", 3.0), ("pow(x, 3)", 8.0), ("power(x, 2)", 4.0), ("pow(2, x)", 4.0),
        ("max(v)", 3.0), ("max(x, y)", 2.0), ("max(y, 0)", 0.0), ("max(0, x, y, 5)", 5.0),
        ("min(v)", 1.0), ("min(x, y, z)", -3.0), ("max(W, axis=0)", [4, 5, 6]), ("min(1, 2)", 1.0),
        ("sum(W, axis=0)", [5, 7, 9]), ("sum(W, 1, True)", [[6], [15]]), ("sum(W)", 21.0),
        ("sum(W, axis=(0, 1))", 21.0), ("sum(W, axis=-1, keepdims=True)", [[6], [15]]),
        ("mean(W, axis=None)", 3.5), ("clip(y, 0, 1)", 0.0), ("clip(9, -pi, pi)", math.pi),
        ("leaky_relu(y, alpha=0.1)", -3 * 0.1), ("clip(x, high=1, low=-1)", 1.0),
        ("where(v > 1, v, 0)", [0, 2, 3]), ("softmax([0, 0])", [0.5, 0.5]),
        ("stack([x, 1])", [2, 1]), ("stack([v, v], axis=1)", [[1, 1], [2, 2], [3, 3]]),
        ("stack(v)", [1, 2, 3]), ("concatenate([v, [4]])", [1, 2, 3, 4]),
        ("reshape(W, (3, -1))", [[1, 2], [3, 4], [5, 6]]), ("reshape(W, [6])[5]", 6.0),
        ("transpose(W, (1, 0))[2]", [3, 6]), ("take(v, [2, 0])", [3, 1]), ("take(v, -1)", 3.0),
        ("outer([1, 2], [3, 4])", [[3, 4], [6, 8]]), ("pad([1, 2], (1, 0))", [0, 1, 2]),
        ("one_hot([0, 2], 3)", [[1, 0, 0], [0, 0, 1]]), ("one_hot(argmax(v), 3)", [0, 0, 1]),
        ("mse(v, [1, 2, 6])", 3.0), ("softmax_cross_entropy([[0, 0]], [1])", math.log(2)),
        ("argmax(W, axis=1) + 1", [3, 3]), ("sum(x=v)", 6.0), ("exp (0)", 1.0), ("sum(v > 1)", 2),
        ("sum([x, y])", -1.0), ("norm([3, 4],)", 5.0),
        # statements, spaces, comments
        ("a = x*y; b = a + z; b*2", -11.0), ("a = x\nb = a + 1\nb", 3.0), ("a = 3; a", 3.0),
        ("\n;; x + 1 ;\n\n", 3.0), ("a = [1, 2]; a @ a", 5.0), ("a = x; a + x", 4.0),
        ("(x + # two\n 1)", 3.0), ("x\t*\u00a0y", -6.0),
        ("sum(\n  v,\n  axis=0,\n)", 6.0), ("a = x # first\r\na + 1\r\n", 3.0),
        ("pi = 3; pi*2", 6.0), ("e = x; e*2", 4.0), ("argmax(W, axis=1) + [0.5, 1]", [2.5, 3]),
    ],
)  # fmt: skip
def test_value(text, expected) -> None:
    got = value(text)
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert np.shape(got) == np.shape(expected)


def test_values_are_given_by_name() -> None:
    assert parse("text*self", text=2, self=3).value == 6.0  # no name is taken by the function
    assert parse("pi + 1", pi=3).value == 4.0
    assert parse("größe*日本", größe=2, 日本=np.float32(3)).value == 6.0
    assert parse("ﬁ", fi=2).value == 2.0  # one identifier in Python, too
    assert parse("W @ x", W=[[1, 2]], x=np.array([3, 4])).value.tolist() == [11.0]


def spelled(primitive, case):
    """Return a case of the rule book as text, with the values of its variables; None if none."""
    rng = np.random.default_rng(7)
    values = {}

    def name(shape, low=0.2, high=0.9):
        key = f"in{len(values)}"
        values[key] = rng.uniform(low, high, shape)
        return key

    def argument(part):
        if isinstance(part, tuple):
            return name(part)
        return f"[{', '.join(map(name, part))}]" if isinstance(part, list) else literal(part)

    def literal(setting):
        if isinstance(setting, np.ndarray):
            setting = setting.tolist()
        text = repr(setting)
        return None if "'" in text or "slice" in text or "Ellipsis" in text else text

    if isinstance(primitive, Elementwise):
        args = [
            name((), *ends) + " > 0" * mask
            for ends, mask in zip(primitive.domain, masks(primitive), strict=True)
        ]
    else:
        args = [argument(part) for part in case.args]
    settings = {key: literal(setting) for key, setting in case.settings.items()}
    if None in (*args, *settings.values()):
        return None
    listed = [*args, *(f"{key}={setting}" for key, setting in settings.items())]
    return f"{primitive.name}({', '.join(listed)})", values


CALLS = [
    (p, *call) for p, case in settled(ALL) if p.name not in NOT_IN_TEXT
    if (call := spelled(p, case))
]  # fmt: skip


@pytest.mark.parametrize(("primitive", "text", "values"), CALLS, ids=lambda p: str(p)[:40])
def test_every_primitive_can_be_called(primitive, text, values) -> None:
    scope = {"__builtins__": {}, primitive.name: primitive, **values}
    expected = eval(text, scope)  # of text made above
    np.testing.assert_allclose(parse(text, **values).value, expected, rtol=1e-15)


def test_every_function_is_covered() -> None:
    tried = {p.name for p, _, _ in CALLS}
    assert set(gg.PRIMITIVES) - tried == set(NOT_IN_TEXT) - {"index"}
    assert set(gg.functions.__all__) - {"index"} <= set(vocabulary())


# -- structure ---------------------------------------------------------------------------------


def operations(text, **values):
    return [n.op for n in ancestors(parse(text, **values)) if n.op != "variable"]


def test_the_graph_is_the_one_python_makes() -> None:
    x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
    made = [n.op for n in ancestors(gg.abs(4 - (x * w + b))) if n.op != "variable"]
    assert made == operations("abs(4 - (x*w + b))")
    loss = parse("abs(4 - (x*w + b))", x=2, w=3, b=1)
    loss.backward()
    assert {n.name: n.grad for n in ancestors(loss) if n.op == "variable"} == {
        "x": 3.0, "w": 2.0, "b": 1.0,
    }  # fmt: skip


def test_nodes_are_made_in_the_order_of_writing() -> None:
    nodes = ancestors(parse("p*q + [r, s] * (t if u > 1 else z)[None]"))
    assert [n.name or n.op for n in nodes] == [
        "p", "q", "mul", "r", "s", "stack", "t", "u", "constant", "greater", "z", "where", "slice",
        "mul", "add",
    ]  # fmt: skip


def test_a_name_is_one_node() -> None:
    node = parse("x*x + x")
    assert node.inputs[0].inputs == (node.inputs[1],) * 2


def test_a_number_is_a_float64_constant() -> None:
    node = parse("3")
    assert (node.op, node.dtype, type(node.value)) == ("constant", np.float64, float)
    assert parse("2*3").dtype == np.float64
    assert parse("[1, 2]").dtype == np.float64
    assert parse("where(x > 0, 1, 2)").dtype == np.float64
    assert operations("-1") == operations("(1)") == ["constant"]
    assert parse("pi").name == "π"
    assert parse("-pi").name == "−π"


def test_a_number_takes_the_type_of_what_it_meets() -> None:
    x = np.ones(3, np.float32)
    for text in ("2*x", "x - 0.1", "maximum(0, x)", "x**3", "2**x", "x if x > 0 else 0",
                 "x + [1, 2, 0.5]", "[[1, 2, 3]] * x", "x**[1, 2, 3]"):  # fmt: skip
        assert parse(text, x=x).dtype == np.float32, text
    assert parse("argmax(x) + 1", x=x).dtype == np.int64
    assert parse("argmax(x) + 0.5", x=x).dtype == np.float64
    assert parse("argmax(x) + [1, 2]", x=x).dtype == np.int64
    assert parse("argmax(x) + [1, 2.5]", x=x).dtype == np.float64
    assert parse("argmax(x) + 99999999999999999999", x=x).dtype == np.float64


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ("x**2", ["square"]), ("x**2.0", ["square"]), ("x**3", ["power"]), ("x**-1", ["power"]),
        ("x**y", ["pow"]), ("pow(x, 2)", ["square"]), ("n = 2; x**n", ["constant", "pow"]),
        ("2**3", ["constant", "power"]), ("x.T", ["transpose"]), ("x[None]", ["slice"]),
        ("-x", ["neg"]), ("max(x)", ["max"]), ("max(x, y)", ["maximum"]),
        ("0 < x < y", ["constant", "less", "less", "logical_and"]),
        ("x if x > y else y", ["greater", "where"]),
        ("softmax(x)", ["logsumexp", "sub", "exp"]),
    ],
)  # fmt: skip
def test_operations(text, ops) -> None:
    assert operations(text, **{n: [0.5] for n in ("x",) if n in text}) == ops


def test_the_middle_of_a_chain_is_made_once() -> None:
    less, more = parse("0 < exp(x) < 2").inputs
    assert less.inputs[1] is more.inputs[0]


def test_nothing_is_computed_or_shared_between_texts() -> None:
    first, second = parse("x + 1", x=1), parse("x + 1", x=5)
    assert (first.value, second.value) == (2.0, 6.0)


def test_a_scope_around_it_holds() -> None:
    with gg.scope("layer"):
        node = parse("softmax(x)", x=[1, 2])
    assert node.scope == "layer/softmax"
    assert {n.scope for n in ancestors(node) if n.op == "variable"} == {"layer"}


def test_threads_do_not_mix() -> None:
    def work(k):
        node = parse(f"a = x*{k}\na + {k}", x=1)
        return node.value, node.source.text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(200))) == [(2.0 * k, f"a + {k}") for k in range(200)]


# -- names -------------------------------------------------------------------------------------


def labels(text):
    return [n.name for n in ancestors(parse(text)) if n.name]


def test_assigned_names_label_nodes() -> None:
    assert labels("x1 = x*w; x2 = x1 + b; loss = abs(4 - x2)") == [
        "x", "w", "x1", "b", "x2", "loss",
    ]  # fmt: skip
    assert labels("c = 3; c*x") == ["c", "x"]
    assert labels("A = [1, 2]; A[0]") == ["A"]
    assert labels("t = x\nt*2") == labels("t = (x)\nt*2") == labels("t = +x; t*2") == ["x"]
    assert labels("a = x*2; b = a; b + 1") == ["x", "a"]
    assert labels("p = pi; p*2") == ["π"]


def test_the_last_statement_is_the_result() -> None:
    assert parse("a = x*2; b = x + 1").name == "b"
    assert parse("a = x*2; a").name == "a"


def test_missing_names_in_order() -> None:
    assert missing(parse("x*w + b*x", w=3)) == ["x", "b"]
    assert missing(parse("1 + 2")) == []


def test_sources() -> None:
    node = parse("a = x * w\nloss = abs(\n  4 -   a)")
    where = {n.name or n.op: (n.source.line, n.source.text) for n in ancestors(node)}
    assert where == {
        "x": (1, "x"), "w": (1, "w"), "a": (1, "x * w"), "constant": (3, "4"),
        "sub": (3, "4 - a"), "loss": (2, "abs( 4 - a)"),
    }  # fmt: skip
    assert repr(node.source) == "<expression>:2: abs( 4 - a)"
    assert parse("2*(x + 1)").inputs[1].source.text == "x + 1"
    assert {n.source.text for n in ancestors(parse("softmax(x)", x=[1]))} == {"x", "softmax(x)"}


def test_sources_of_long_text_are_cut() -> None:
    nodes = ancestors(parse(" + ".join("x" * 500)))
    assert max(len(n.source.text) for n in nodes) in (200, 201)
    assert nodes[-1].source.text.endswith("…")


# -- values and arguments of the command line --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2.0), ("-2.5", -2.5), ("1e-3", 0.001), ("1/3", 1 / 3), ("pi/2", math.pi / 2),
        ("-inf", -math.inf), ("nan", math.nan), ("2**10", 1024.0), ("[1, 2]", [1.0, 2.0]),
        ("[[1,2],[3,4]]", [[1, 2], [3, 4]]), (" 7\n", 7.0), ("[1, 2]*2", [2.0, 4.0]),
        ("[pi, -1]", [math.pi, -1]), ("+3", 3.0),
    ],
)  # fmt: skip
def test_parse_value(text, expected) -> None:
    got = parse_value(text)
    np.testing.assert_array_equal(got, expected)
    assert isinstance(got, float) or (got.dtype == np.float64 and not got.flags.writeable)


@pytest.mark.parametrize(
    ("text", "fragment", "mark"),
    [
        ("", "expected one value", ""), ("x", "'x' is no number", "x"), ("2x", "neither", "2x"),
        ("exp(1)", "no functions in it", "exp(1)"), ("[1, [2]]", "ragged", "[2]"),
        ("1; 2", "expected one value", "1; 2"), ("1, 2", "tuples are settings", "1, 2"),
        ("[[1, x]]", "'x' is no number", "x"), ("'2'", "quotes", "'"), ("True", "settings", "True"),
        ("__import__('os')", "underscore", "__import__"), ("a = 2", "expected one value", "a = 2"),
        ("10**10**10", "exponent", "10**10"), ("[1, 2", "never closed", "["),
    ],
)  # fmt: skip
def test_parse_value_refuses(text, fragment, mark) -> None:
    with pytest.raises(ParseError, match=fragment.replace("(", r"\(")) as caught:
        parse_value(text)
    assert marked(caught.value) == mark


def test_a_value_cannot_blow_up() -> None:
    column = "[" + ",".join(["[1]"] * 3500) + "]"
    with pytest.raises(ParseError, match="more than 10000000 entries"):
        parse_value(f"{column}*[{','.join('1' * 2900)}]")


def test_split_assignment() -> None:
    assert split_assignment("x=2") == ("x", 2.0)
    assert split_assignment(" learning_rate = 1/4 ") == ("learning_rate", 0.25)
    name, matrix = split_assignment("W=[[1, 2], [3, 4]]")
    assert (name, matrix.tolist()) == ("W", [[1.0, 2.0], [3.0, 4.0]])
    assert split_assignment("ﬁ=1")[0] == "fi"
    assert split_assignment("pi=3") == ("pi", 3.0)


@pytest.mark.parametrize(
    ("text", "fragment", "mark"),
    [
        ("x", "expected name=value", "x"), ("", "expected name=value", ""),
        ("=2", "expected name=value", "=2"), ("2=x", "expected name=value", "2=x"),
        ("x==2", "expected name=value", "x==2"), ("x y=2", "expected name=value", "x y=2"),
        ("x=", "expected a value", ""), ("x=y", "'y' is no number", "y"),
        ("exp=2", "'exp' is a function", "exp"), ("lambda=2", "write lambda_", "lambda"),
        ("x=2q", "neither a number", "2q"), ("x=1;y=2", "expected name=value", "x=1;y=2"),
        ("x=\x1b[2J", "cannot be seen", r"\x1b"), ("x.T=2", "expected name=value", "x.T=2"),
        ("a=b=2", "one name = expression", "a=b=2"), ("--x=2", "expected name=value", "--x=2"),
    ],
)  # fmt: skip
def test_split_assignment_refuses(text, fragment, mark) -> None:
    with pytest.raises(ParseError, match=fragment) as caught:
        split_assignment(text)
    assert marked(caught.value) == mark
