"""Expression text to graph: values, structure, errors with their marks, hostile text, fuzz."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import graphgrad as gg
from graphgrad.errors import DtypeError, GraphError, ParseError, ShapeError
from graphgrad.graph import Node, ancestors
from graphgrad.ops.define import Elementwise
from graphgrad.parser import missing, parse, parse_value, split_assignment
from graphgrad.parsing.calls import NOT_IN_TEXT, vocabulary
from graphgrad.parsing.excerpt import MAX_LENGTH, Text, clean, visible
from graphgrad.parsing.grammar import MAX_DEPTH
from graphgrad.parsing.tokens import MAX_TOKENS, names, tokenize

from .rulebook import ALL, masks, settled

X = {"x": 2.0, "y": -3.0, "z": 0.5}
V = {"v": [1.0, 2.0, 3.0], "W": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}


def value(text, **values):
    """Return the value of the text, given those of X and V whose names occur in it."""
    used, assigned = names(tokenize(clean(text)))
    known = {k: n for k, n in {**X, **V}.items() if k in used and k not in assigned}
    return parse(text, **known, **values).value


def marked(error):
    """Return the stretch of the excerpt that the caret marks."""
    line, caret = str(error).split("\n")[-2:]
    start = caret.index("^")
    assert set(caret) <= set(" ^~")
    assert line.startswith("    ")
    return line[start : len(caret)]


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # numbers
        ("3", 3.0), ("2.5", 2.5), (".5", 0.5), ("2.", 2.0), ("1e-3", 0.001), ("1_000", 1000.0),
        ("1E+2", 100.0), ("9007199254740993", 2.0**53), ("007", 7.0), ("1e308", 1e308),
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
        ("W.T[0]", [1, 4]), ("(W @ v)[1]", 32.0), ("[1, 2, 3][1]", 2.0), ("W[-2:, 1:2]", [[2], [5]]),
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
        ("sum(\n  v,\n  axis=0,\n)", 6.0), ("a = x # first\r\na + 1\r\n", 3.0), ("pi = 3; pi*2", 6.0),
        ("e = x; e*2", 4.0),
    ],
)  # fmt: skip
def test_value(text, expected):
    got = value(text)
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert np.shape(got) == np.shape(expected)


def test_values_are_given_by_name():
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


CASES = [(p, case) for p, case in settled(ALL) if p.name not in NOT_IN_TEXT]


@pytest.mark.parametrize(("primitive", "case"), CASES, ids=lambda p: getattr(p, "name", ""))
def test_every_primitive_can_be_called(primitive, case):
    spelling = spelled(primitive, case)
    if spelling is None:
        pytest.skip("the case has a setting that text cannot write")
    text, values = spelling
    scope = {"__builtins__": {}, primitive.name: primitive, **values}
    expected = eval(text, scope)  # of text made above
    np.testing.assert_allclose(parse(text, **values).value, expected, rtol=1e-15)


def test_every_function_is_covered():
    tried = {p.name for p, case in CASES if spelled(p, case)}
    assert set(gg.PRIMITIVES) - tried == set(NOT_IN_TEXT) - {"index"}
    assert set(gg.functions.__all__) - {"index"} <= set(vocabulary())


# -- structure ---------------------------------------------------------------------------------


def operations(text, **values):
    return [n.op for n in ancestors(parse(text, **values)) if n.op != "variable"]


def test_the_graph_is_the_one_python_makes():
    x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
    made = [n.op for n in ancestors(gg.abs(4 - (x * w + b))) if n.op != "variable"]
    assert made == operations("abs(4 - (x*w + b))")
    loss = parse("abs(4 - (x*w + b))", x=2, w=3, b=1)
    loss.backward()
    assert {n.name: n.grad for n in ancestors(loss) if n.op == "variable"} == {
        "x": 3.0, "w": 2.0, "b": 1.0,
    }  # fmt: skip


def test_nodes_are_made_in_the_order_of_writing():
    nodes = ancestors(parse("p*q + [r, s] * (t if u > 1 else z)[None]"))
    assert [n.name or n.op for n in nodes] == [
        "p", "q", "mul", "r", "s", "stack", "t", "u", "constant", "greater", "z", "where", "slice",
        "mul", "add",
    ]  # fmt: skip


def test_a_name_is_one_node():
    node = parse("x*x + x")
    assert node.inputs[0].inputs == (node.inputs[1],) * 2


def test_a_number_is_a_float64_constant():
    node = parse("3")
    assert (node.op, node.dtype, type(node.value)) == ("constant", np.float64, float)
    assert parse("2*3").dtype == np.float64
    assert parse("[1, 2]").dtype == np.float64
    assert parse("where(x > 0, 1, 2)").dtype == np.float64
    assert operations("-1") == operations("(1)") == ["constant"]
    assert parse("pi").name == "π"
    assert parse("-pi").name == "−π"


def test_a_number_takes_the_type_of_what_it_meets():
    x = np.ones(3, np.float32)
    for text in ("2*x", "x - 0.1", "maximum(0, x)", "x**3", "2**x", "x if x > 0 else 0"):
        assert parse(text, x=x).dtype == np.float32, text
    assert parse("argmax(x) + 1", x=x).dtype == np.int64
    assert parse("argmax(x) + 0.5", x=x).dtype == np.float64
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
def test_operations(text, ops):
    assert operations(text, **{n: [0.5] for n in ("x",) if n in text}) == ops


def test_the_middle_of_a_chain_is_made_once():
    less, more = parse("0 < exp(x) < 2").inputs
    assert less.inputs[1] is more.inputs[0]


def test_nothing_is_computed_or_shared_between_texts():
    first, second = parse("x + 1", x=1), parse("x + 1", x=5)
    assert (first.value, second.value) == (2.0, 6.0)


def test_a_scope_around_it_holds():
    with gg.scope("layer"):
        node = parse("softmax(x)", x=[1, 2])
    assert node.scope == "layer/softmax"
    assert {n.scope for n in ancestors(node) if n.op == "variable"} == {"layer"}


def test_threads_do_not_mix():
    def work(k):
        node = parse(f"a = x*{k}\na + {k}", x=1)
        return node.value, node.source.text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(200))) == [(2.0 * k, f"a + {k}") for k in range(200)]


# -- names -------------------------------------------------------------------------------------


def labels(text):
    return [n.name for n in ancestors(parse(text)) if n.name]


def test_assigned_names_label_nodes():
    assert labels("x1 = x*w; x2 = x1 + b; loss = abs(4 - x2)") == [
        "x", "w", "x1", "b", "x2", "loss",
    ]  # fmt: skip
    assert labels("c = 3; c*x") == ["c", "x"]
    assert labels("A = [1, 2]; A[0]") == ["A"]
    assert labels("t = x\nt*2") == labels("t = (x)\nt*2") == labels("t = +x; t*2") == ["x"]
    assert labels("a = x*2; b = a; b + 1") == ["x", "a"]
    assert labels("p = pi; p*2") == ["π"]


def test_the_last_statement_is_the_result():
    assert parse("a = x*2; b = x + 1").name == "b"
    assert parse("a = x*2; a").name == "a"


def test_missing_names_in_order():
    assert missing(parse("x*w + b*x", w=3)) == ["x", "b"]
    assert missing(parse("1 + 2")) == []


def test_sources():
    node = parse("a = x * w\nloss = abs(\n  4 -   a)")
    where = {n.name or n.op: (n.source.line, n.source.text) for n in ancestors(node)}
    assert where == {
        "x": (1, "x"), "w": (1, "w"), "a": (1, "x * w"), "constant": (3, "4"),
        "sub": (3, "4 - a"), "loss": (2, "abs( 4 - a)"),
    }  # fmt: skip
    assert repr(node.source) == "<expression>:2: abs( 4 - a)"
    assert parse("2*(x + 1)").inputs[1].source.text == "x + 1"
    assert {n.source.text for n in ancestors(parse("softmax(x)", x=[1]))} == {"x", "softmax(x)"}


def test_sources_of_long_text_are_cut():
    nodes = ancestors(parse(" + ".join("x" * 500)))
    assert max(len(n.source.text) for n in nodes) in (200, 201)
    assert nodes[-1].source.text.endswith("…")


# -- errors ------------------------------------------------------------------------------------

ERRORS = [
    # text, fragments of the sentence, what is marked
    ("", ["no expression"], ""),
    (" ;\n ", ["no expression"], ""),
    ("x +", ["the text ends here: expected a value"], ""),
    ("x +; y", ["the statement ends here"], ";"),
    ("x *\ny", ["the statement ends here"], ""),
    ("x^2", ["'^'", "use ** for powers"], "^"),
    ("x % 2", ["'%'", "remainder"], "%"),
    ("x // 2", ["'//'", "floor(a / b)"], "//"),
    ("x << 2", ["'<<'"], "<<"),
    ("x <> 2", ["use !="], "<>"),
    ("x => 2", ["use >="], "=>"),
    ("x =< 2", ["use <="], "=<"),
    ("x && y", ["use & or the word and"], "&&"),
    ("x || y", ["use | or the word or"], "||"),
    ("!x", ["use not"], "!"),
    ("x ? 1 : 2", ["write a if x > 0 else b"], "?"),
    ("x := 3", ["name = value"], ":="),
    ("x += 1", ["write a new name"], "+="),
    ("x **= 2", ["write a new name"], "**="),
    ("x -> y", ["functions are not defined"], "->"),
    ("x = {1: 2}", ["'{'", "use ( )"], "{"),
    ("'abc'", ["text in quotes"], "'"),
    ('"abc"', ["text in quotes"], '"'),
    ("f'{x}'", ["text in quotes"], "'"),
    ("b'x'", ["text in quotes"], "'"),
    ("x['a']", ["text in quotes"], "'"),
    ("a·b", ["use * for a product"], "·"),
    ("a × b", ["use * for a product"], "×"),
    ("a − b", ["use the hyphen"], "−"),
    ("x²", ["use ** for powers"], "²"),
    ("Wᵀ", ["use .T"], "ᵀ"),
    ("√x", ["sqrt(x)"], "√"),
    ("a ≤ b", ["use <="], "≤"),
    ("x $ y", ["'$' is not in the grammar: allowed are"], "$"),
    ("x \\\n y", ["inside brackets"], "\\"),
    ("x @= y", ["write a new name"], "@="),
    ("x₁", ["'₁' is not in the grammar"], "₁"),
    # words
    ("lambda x: x", ["'lambda'", "call it lam"], "lambda"),
    ("lambda", ["Python keyword", "call it lam"], "lambda"),
    ("class + 1", ["Python keyword", "class_"], "class"),
    ("import os", ["'import' cannot stand here"], "import"),
    ("[a for a in x]", ["no loops or comprehensions"], "for"),
    ("x in y", ["no loops or comprehensions"], "in"),
    ("x is y", ["use == to compare"], "is"),
    ("yield x", ["Python keyword"], "yield"),
    ("await x", ["Python keyword"], "await"),
    ("a if b elif c", ["a if p else b if q else c"], "elif"),
    ("__import__('os').system('ls')", ["two underscores"], "__import__"),
    ("x.__class__", ["two underscores"], "__class__"),
    ("__x = 3", ["two underscores"], "__x"),
    # attributes, calls, indices
    ("x.shape", [".shape", "only .T"], "shape"),
    ("x.sum()", ["write sum(…)"], "sum"),
    ("x.", ["expected T"], ""),
    ("x.2", ["found '.2'"], ".2"),
    ("sine(x)", ["unknown function 'sine'", "did you mean sin"], "sine"),
    ("print(x)", ["unknown function 'print'", "print*(…)"], "print"),
    ("eval(x)", ["unknown function 'eval'"], "eval"),
    ("x + x(3)", ["'x' is no function", "x*(…)"], "x"),
    ("2(x)", ["only a named function"], "("),
    ("(x)(y)", ["only a named function"], "("),
    ("exp(x)(y)", ["only a named function"], "("),
    ("exp()", ["exp: missing a required argument: 'x'", "exp(x)"], "exp()"),
    ("exp(x, y)", ["exp: too many positional arguments", "exp(x)"], "exp(x, y)"),
    ("sum(x, axes=0)", ["keyword argument 'axes'", "sum(x, axis=None, keepdims=False)"],
     "sum(x, axes=0)"),
    ("1 + clip(x)", ["missing a required argument: 'low'", "clip(x, low, high)"], "clip(x)"),
    ("max(x, y, axis=0)", ["multiple values for argument 'axis'"], "max(x, y, axis=0)"),
    ("max()", ["missing a required argument"], "max()"),
    ("pow(x)", ["pow(base, exponent)"], "pow(x)"),
    ("sum(x, axis=0, axis=1)", ["'axis' is given twice"], "axis"),
    ("sum(axis=0, x)", ["cannot follow one with a name"], "x"),
    ("sum(*x)", ["without a star"], "*"),
    ("sum(**x)", ["without a star"], "**"),
    ("sum(x, axis=1.5)", ["cannot take these settings"], "sum(x, axis=1.5)"),
    ("stack(3)", ["stack takes a list"], "3"),
    ("one_hot([0], 99999999)", ["at most 1000000"], "99999999"),
    ("one_hot([0], 10**9)", ["at most 1000000"], "10**9"),
    ("cast(x, float)", ["'cast' cannot be called here"], "cast"),
    ("slice(x, 0)", ["write x[1:3]"], "slice"),
    ("x[]", ["an index is missing"], "]"),
    ("x[1:2:3:4]", ["at most three bounds"], "1"),
    ("x[1:y]", ["bounds of a slice are integers"], "y"),
    ("x[1:2.5]", ["bounds of a slice are integers"], "2.5"),
    ("x[1:2 3]", ["found '3'", "expected ',' or ']'"], "3"),
    ("x[,0]", ["expected a value"], ","),
    ("...", ["found '...'", "only in an index"], "..."),
    # brackets and neighbours
    ("(x", ["this '(' is never closed"], "("),
    ("x + [1, (2]", ["']' does not close the '('"], "]"),
    ("x)", ["')' closes nothing"], ")"),
    ("abs(x; y", ["this '(' is never closed"], "("),
    ("2x", ["2x is neither", "write 2*x"], "2x"),
    ("2 x", ["found 'x'", "write * between them"], "x"),
    ("x y", ["found 'y'", "write * between them"], "y"),
    ("x 2", ["found '2'", "write * between them"], "2"),
    ("sum(x y)", ["found 'y'"], "y"),
    ("x, y", ["commas stand only"], ","),
    ("x = y = 2", ["one name is assigned"], "="),
    ("[x][0] = 2", ["one name is assigned"], "="),
    ("x.T = 2", ["one name is assigned"], "="),
    ("x : 2", ["a colon stands only"], ":"),
    ("x else y", ["a if x > 0 else b"], "else"),
    ("x if y > 0", ["expected 'else'"], ""),
    ("if x", ["found 'if', expected a value"], "if"),
    ("a =", ["expected a value"], ""),
    ("= 2", ["expected a value"], "="),
    ("2 = x", ["found '='"], "="),
    ("x + not y", ["'not' binds loosely"], "not"),
    ("*x", ["expected a value"], "*"),
    # literals
    ("1j", ["complex"], "1j"),
    ("2.5J", ["complex"], "2.5J"),
    ("0x10", ["not a decimal number"], "0x10"),
    ("1e999", ["too large"], "1e999"),
    ("x + 1e-999", ["too small"], "1e-999"),
    ("True", ["settings"], "True"),
    ("None + 1", ["settings"], "None"),
    ("(1, 2)", ["settings", "written [1, 2]"], "(1, 2)"),
    ("()", ["settings"], "()"),
    ("x * True", ["settings"], "True"),
    ("x**True", ["settings"], "True"),
    ("[1, True]", ["settings"], "True"),
    ("[]", ["an empty list"], "[]"),
    ("[[1, 2], [3]]", ["ragged", "(1,)", "(2,)"], "[3]"),
    ("[1, [2]]", ["ragged"], "[2]"),
    ("[[[1], [2]], [[1, 2], [3, 4]]]", ["ragged", "(2, 2)", "(2, 1)"], "[[1, 2], [3, 4]]"),
    ("[[x, 1], [2]]", ["ragged"], "[2]"),
    # powers
    ("x**5000", ["exponent 5000", "between -1000 and 1000"], "5000"),
    ("x**-1001", ["exponent -1001"], "-1001"),
    ("9**9**9", ["exponent 3.8742e+08"], "9**9"),
    ("n = 3**8; 2**n", ["exponent 6561"], "n"),
    ("pow(2, 5000)", ["exponent 5000"], "5000"),
    ("2**exp(99)", ["exponent 9.88903e+42"], "exp(99)"),
    ("2**[1, 2000]", ["exponent 2000"], "[1, 2000]"),
    # names
    ("sum = 3", ["'sum' is a function: assign to another name"], "sum"),
    ("exp", ["'exp' is a function: write exp(…)"], "exp"),
    ("x + exp", ["'exp' is a function"], "exp"),
    ("a = 1; a = 2", ["'a' is assigned twice"], "a"),
    ("y = x; x = 2", ["'x' is used as a variable before"], "x"),
    ("x = x + 1", ["'x' is used as a variable before"], "x"),
    ("y = pi; pi = 3", ["'pi' is used as a variable before"], "pi"),
    ("x; y", ["this value is not used"], "x"),
    ("x*2\ny", ["this value is not used", "(line 1)"], "x*2"),
    ("y = x*2\ny $ 3", ["(line 2)"], "$"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fragments", "mark"), ERRORS, ids=lambda p: repr(p)[:30])
def test_parse_error(text, fragments, mark):
    with pytest.raises(ParseError) as caught:
        parse(text)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message.split("\n")[0]
    assert marked(caught.value) == mark
    assert caught.value.__cause__ is None


def test_the_whole_message():
    with pytest.raises(ParseError) as caught:
        parse("loss = abs(4 - sine(x))")
    assert str(caught.value) == (
        "unknown function 'sine': did you mean sin or sinh?\n"
        "    loss = abs(4 - sine(x))\n"
        "                   ^~~~"
    )


@pytest.mark.parametrize(
    ("text", "values", "kind", "fragment", "mark"),
    [
        ("1 + x*w", {"x": [1, 2], "w": [1, 2, 3]}, ShapeError, "do not broadcast", "x*w"),
        ("sum(x, axis=2) + 1", {"x": [1]}, ShapeError, "axis 2 is out of range", "sum(x, axis=2)"),
        ("x[5]", {"x": [1, 2]}, ShapeError, "out of bounds", "x[5]"),
        ("x[0]", {}, ShapeError, "taken for scalars: 'x'", "x[0]"),
        ("W @ x + b", {"W": [[1]]}, ShapeError, "taken for scalars: 'x'", "W @ x"),
        ("x + (x > 0) * (x < 0)", {}, DtypeError, "expected numbers", "(x > 0) * (x < 0)"),
        ("a if x else b", {}, DtypeError, "expected a mask", "a if x else b"),
        ("not x", {}, DtypeError, "expected masks", "not x"),
        ("x > 0 & y > 0", {}, DtypeError, "write (x > 0) & (y > 0)", "0"),
        ("x[y]", {"x": [1]}, DtypeError, "indices are float64", "x[y]"),
        ("clip(x, y, 1)", {}, DtypeError, "expected a real number", "clip(x, y, 1)"),
        ("w*x", {"x": "2"}, DtypeError, "expected a number", "x"),
        ("w*x", {"x": [[1], [2, 3]]}, DtypeError, "value of variable 'x'", "x"),
        ("softmax(x)", {"x": 1}, ShapeError, "axis -1", "softmax(x)"),
        ("[x, w]", {"x": [1, 2], "w": [1]}, ParseError, "ragged", "w"),
    ],
)
def test_errors_of_operations_keep_their_class(text, values, kind, fragment, mark):
    with pytest.raises(kind) as caught:
        parse(text, **values)
    assert type(caught.value) is kind
    assert fragment in str(caught.value)
    assert marked(caught.value) == mark


def test_values_for_names_that_do_not_occur():
    with pytest.raises(ParseError) as caught:
        parse("y = x*w + pi; exp(y)", X=2)
    assert str(caught.value) == (
        "a value is given for 'X', which is no variable of the expression; "
        "its variables are 'x', 'w'"
    )
    with pytest.raises(ParseError, match="its variables are none"):
        parse("1 + 2", x=1)
    with pytest.raises(ParseError, match=r"'T', which is no variable"):
        parse("x.T", T=1)
    with pytest.raises(ParseError, match=r"'axis', which is no variable"):
        parse("sum(x, axis=0)", axis=1)
    with pytest.raises(ParseError) as caught:
        parse("x", **{"\x1b[2J": 1})
    assert "\x1b" not in str(caught.value)


def test_a_value_for_an_assigned_name():
    with pytest.raises(ParseError, match="'y' is given a value, but the text assigns it") as caught:
        parse("y = x; y", y=1)
    assert marked(caught.value) == "y"


def test_text_has_to_be_text():
    with pytest.raises(ParseError, match="expected an expression as text, got int"):
        parse(3)
    with pytest.raises(ParseError, match="got bytes"):
        parse(b"x")


# -- excerpts ----------------------------------------------------------------------------------


def test_long_lines_are_windowed():
    text = " + ".join(f"x{k}" for k in range(500))
    at = text.index("x250")
    message = str(Text(text).fault("here", at, at + 4))
    _, line, caret = message.split("\n")
    assert line == f"    …{text[at - 40 : at + 44]}…"
    assert caret == " " * 45 + "^~~~"
    whole = str(Text(text).fault("all", 0, len(text)))
    assert max(map(len, whole.split("\n"))) < 90
    assert marked(Text(text).fault("end", len(text))) == ""


def test_wide_and_combining_characters_keep_the_caret_in_place():
    with pytest.raises(ParseError) as caught:
        parse("日本 + x̄ $ 1")
    # Two columns for each ideograph, none for the macron: 4 of indent, then 4 + 3 + 1 + 1.
    assert str(caught.value).split("\n")[-1] == " " * 13 + "^"


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\x00", r"\x00"), ("\x1b", r"\x1b"), ("\x7f", r"\x7f"), ("\x9b", r"\x9b"),
        ("\u202e", r"\u202e"), ("\u2066", r"\u2066"), ("\u200b", r"\u200b"), ("\ufeff", r"\ufeff"),
        ("\u2028", r"\u2028"), ("\u3164", r"\u3164"), ("\ufe0f", r"\ufe0f"), ("\ud800", r"\ud800"),
        ("\x0c", r"\x0c"), ("\x85", r"\x85"), ("\U000e0001", r"\U000e0001"), ("\x08", r"\x08"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["x{} + 1", "{}", "x + 1 # {}", "'{}'", "y = {}31m\nz"])
def test_invisible_characters_are_refused_and_never_echoed(char, shown, place):
    with pytest.raises(ParseError) as caught:
        parse(place.format(char))
    message = str(caught.value)
    if place[0] != "'":
        assert marked(caught.value) == shown
    assert char not in message
    assert all(c == "\n" or visible(c) == c for c in message)


# -- hostile text ------------------------------------------------------------------------------

DEEP = "levels inside one another"
HOSTILE = {
    "parentheses": ("(" * 100_000 + "x" + ")" * 100_000, "characters"),
    "minus signs": ("-" * 100_000 + "x", "characters"),
    "brackets": ("[" * 100_000 + "x" + "]" * 100_000, "characters"),
    "long": ("x" * (MAX_LENGTH + 1), "20001 characters: at most 20000"),
    "fewer parentheses": ("(" * 4_000 + "x" + ")" * 4_000, DEEP),
    "fewer brackets": ("[" * 4_000 + "1" + "]" * 4_000, DEEP),
    "indices": ("x" + "[x" * 3_000 + "]" * 3_000, DEEP),
    "fewer minus signs": ("-" * 9_000 + "x", DEEP),
    "tildes": ("~" * 9_000 + "x", DEEP),
    "not": ("not " * 4_000 + "x", DEEP),
    "powers": ("x" + "**x" * 4_000, DEEP),
    "signed powers": ("x" + "**-x" * 3_000, DEEP),
    "choices": ("x" + " if x>0 else x" * 1_400, DEEP),
    "calls": ("abs(" * 3_000 + "x" + ")" * 3_000, DEEP),
    "tuples": ("(1," * 2_500 + ")" * 2_500, DEEP),
    "keywords": ("sum(x=" * 1_500 + "x" + ")" * 1_500, DEEP),
    "unclosed": ("(" * 9_000, "never closed"),
    "closing": (")" * 20_000, "closes nothing"),
    "tokens": ("x+" * 9_000 + "x", "more than 10000"),
    "line ends": ("\n" * 20_000, "more than 10000"),
    "digits": ("9" * 5_000, "a number of 5000 characters is too long"),
    "more digits": ("1." + "0" * 19_000, "too long"),
    "exponent digits": ("1e" + "9" * 5_000, "too long"),
    "big exponent": ("1e" + "9" * 300, "too large"),
    "name": ("a" * 20_000, "a name of 20000 characters is too long"),
    "marks": ("x" + "\u0301" * 10_000, "too long"),
    "tower": ("9**9**9**9**9**9", "exponent"),
    "entries": ("broadcast_to(x, (100000, 100000))", "more than"),
    "size": ("reshape(broadcast_to(x, (" + "9" * 300 + ",)), -1)", "more than"),
    "slice of nothing": ("broadcast_to(x, (" + "9" * 300 + ",))[1:]", "more than"),
    "pad": ("pad([1], 999999999999)", "more than"),
    "one_hot": ("one_hot([0], 999999999999)", "at most"),
    "product": ("x" + " @ x" * 9, "needs at least one dimension"),
    "code": ("().__class__.__bases__[0].__subclasses__()", "two underscores"),
    "quotes": ("'" * 20_000, "quotes"),
    "stars": ("x" + "*" * 9_000, "expected a value"),
    "dots": ("x" + "." * 9_000, "found '...'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_in_an_error(name):
    text, fragment = HOSTILE[name]
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert fragment in str(caught.value)
    assert max(map(len, str(caught.value).split("\n"))) < 400


@pytest.mark.parametrize(
    "text",
    [
        "+".join("x" * 3_000), "*".join("x" * (MAX_TOKENS // 2)), "x" + ".T" * 3_000,
        "(x > 0)" + " and x > 0" * 1_500, "x" + " < x" * 2_000, "max(" + "x, " * 3_000 + "1)",
        "[" + "1, " * 4_000 + "1]", "[" + "x, " * 4_000 + "1]", "; ".join("a" * 1),
        "; ".join(f"a{k} = x + {k}" for k in range(800)), "(" * 99 + "x" + ")" * 99,
        "-" * 99 + "x", "x" + "**x" * 99, "[" * 60 + "x" + "]" * 60, "abs(" * 99 + "x" + ")" * 99,
        "x" + " if x > 0 else x" * 97,
    ],
    ids=lambda text: f"{text[:9]}…{len(text)}",
)  # fmt: skip
def test_long_text_that_is_not_deep_is_fine(text):
    assert isinstance(parse(text), Node)


def test_a_long_sum_has_its_value():
    assert parse("+".join("x" * 3_000), x=0.5).value == 1500.0


def test_little_python_stack_is_an_error_of_ours():
    def deeper(left):
        return deeper(left - 1) if left else parse("(" * 99 + "x" + ")" * 99)

    seen = set()
    for depth in range(300, 980, 20):
        try:
            deeper(depth)
        except ParseError as problem:
            assert "Python's stack" in str(problem)
            seen.add("refused")
        except RecursionError:  # not ours: there was no room to begin, or to make the error
            break
        else:
            seen.add("parsed")
    assert "parsed" in seen


def test_depth_is_counted_in_levels():
    assert parse("(" * (MAX_DEPTH - 1) + "x" + ")" * (MAX_DEPTH - 1)).name == "x"
    with pytest.raises(ParseError, match=DEEP):
        parse("(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH)


def test_large_values_may_be_used():
    x = np.broadcast_to(np.float64(1), (4000, 4000))
    assert parse("x*2", x=x).shape == x.shape


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
def test_parse_value(text, expected):
    got = parse_value(text)
    np.testing.assert_array_equal(got, expected)
    assert isinstance(got, float) or (got.dtype == np.float64 and not got.flags.writeable)


@pytest.mark.parametrize(
    ("text", "fragment", "mark"),
    [
        ("", "the text ends here", ""), ("x", "'x' is no number", "x"), ("2x", "neither", "2x"),
        ("exp(1)", "no functions in it", "exp(1)"), ("[1, [2]]", "ragged", "[2]"),
        ("1; 2", "expected the end", "2"), ("1, 2", "expected the end", ","),
        ("[[1, x]]", "'x' is no number", "x"), ("'2'", "quotes", "'"), ("True", "settings", "True"),
        ("__import__('os')", "underscores", "__import__"), ("a = 2", "'a' is no number", "a"),
        ("10**10**10", "exponent", "10**10"), ("[1, 2", "never closed", "["),
    ],
)  # fmt: skip
def test_parse_value_refuses(text, fragment, mark):
    with pytest.raises(ParseError, match=fragment.replace("(", r"\(")) as caught:
        parse_value(text)
    assert marked(caught.value) == mark


def test_a_value_cannot_blow_up():
    column = "[" + ",".join(["[1]"] * 1500) + "]"
    with pytest.raises(ParseError, match="more than 1000000 entries"):
        parse_value(f"{column} * [{','.join('1' * 1500)}]")


def test_split_assignment():
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
        ("x=", "the text ends here", ""), ("x=y", "'y' is no number", "y"),
        ("exp=2", "'exp' is a function", "exp"), ("lambda=2", "call it lam", "lambda"),
        ("x=2q", "neither a number", "2q"), ("x=1;y=2", "expected the end", "y"),
        ("x=\x1b[2J", "cannot be seen", r"\x1b"), ("x.T=2", "expected name=value", "x.T=2"),
        ("a=b=2", "'b' is no number", "b"), ("--x=2", "expected name=value", "--x=2"),
    ],
)  # fmt: skip
def test_split_assignment_refuses(text, fragment, mark):
    with pytest.raises(ParseError, match=fragment) as caught:
        split_assignment(text)
    assert marked(caught.value) == mark


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
    used, assigned = names_of(text)
    values = {k: n for k, n in ANY.items() if k in used and k not in assigned}
    try:
        node = parse(text, **values)
    except GraphError as problem:
        message = str(problem)
        assert all(c == "\n" or visible(c) == c for c in message)
        if isinstance(problem, ParseError):
            marked(problem)
    else:
        assert isinstance(node, Node)


def names_of(text):
    try:
        return names(tokenize(clean(text)))
    except ParseError:
        return [], {}


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_gives_a_graph_or_an_error_of_ours(text):
    survives(text)


@given(st.text(ALPHABET, max_size=40))
@settings(deadline=None, max_examples=500)
def test_text_that_looks_like_expressions(text):
    survives(text)


@given(st.lists(st.sampled_from(SOUP), max_size=14))
@settings(deadline=None, max_examples=800)
def test_soup_of_tokens(tokens):
    survives(" ".join(tokens))


CALLED = sorted(vocabulary())
ARGUMENTS = [
    "x", "W", "s", "1", "-1", "0", "2.5", "1000", "None", "True", "[1, 2]", "[0, 1]", "(0, 1)", "()",
    "[x, x]", "[W, x]", "x > 0", "[[1, 2], [3, 4]]", "argmax(x)", "(1, (2, 3))", "[True, False]",
    "pi", "[x]", "(x, W)", "W[None, None]", "99999999999999999999", "[]", "((1, 1), (0, 2))",
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
@settings(deadline=None, max_examples=1500)
def test_any_call_of_any_function(name, args, keywords):
    listed = [*args, *(f"{key}={part}" for key, part in keywords.items())]
    survives(f"{name}({', '.join(listed)})")


NUMBERS = st.sampled_from(["0.0", "1", "2.5", ".5", "3", "1e-2", "7"])
ATOMS = st.one_of(
    NUMBERS.map(lambda n: (n, f"F({n})")),
    st.sampled_from("xyz").map(lambda n: (n, n)),
)


def _pairs(inner):
    """Return pairs of one expression in our text and in Python with NumPy numbers."""
    powers = st.sampled_from(["", "", "", "**2", "**3", "**-1", "**0.5"])
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
        flat, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), flat, st.sampled_from(["<", ">="]),
        flat,
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
def test_arithmetic_agrees_with_python(pair, point):
    text, python = pair
    x, y, z = map(np.float64, point)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scope = {"__builtins__": {}, "F": np.float64, "x": x, "y": y, "z": z}
        expected = eval(python, scope)  # of arithmetic made above
    used, _ = names(tokenize(clean(text)))
    values = {k: n for k, n in {"x": x, "y": y, "z": z}.items() if k in used}
    np.testing.assert_allclose(parse(text, **values).value, expected, rtol=1e-12, atol=1e-300)
