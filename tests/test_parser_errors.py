"""Errors in expression text: the sentence, the place marked, what is never echoed."""

from __future__ import annotations

import ast

import pytest

from graphgrad.errors import DtypeError, ParseError, ShapeError
from graphgrad.parser import parse
from graphgrad.parsing.excerpt import Text, visible
from graphgrad.parsing.reader import Reader
from graphgrad.parsing.scan import statements

from .excerpts import marked

# -- errors ------------------------------------------------------------------------------------

ERRORS = [
    # text, fragments of the sentence, what is marked
    ("", ["expected an expression"], ""),
    (" ;\n ", ["expected an expression"], ""),
    ("x +", ["the statement ends here: expected a value"], ""),
    ("x +; y", ["the statement ends here"], ";"),
    ("x *\ny", ["the statement ends here"], ""),
    ("x^2", ["'^'", "use ** for powers"], "^"),
    ("x ^= 2", ["use ** for powers"], "^"),
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
    ("(x := 3)", ["name = value"], ":="),
    ("x += 1", ["one name = expression"], "x += 1"),
    ("x **= 2", ["one name = expression"], "x **= 2"),
    ("x -> y", ["'->' does not fit here"], "->"),
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
    ("x₁", ["'x₁' is no name: allowed are"], "x₁"),
    # words
    ("lambda x: x", ["'lambda' is a Python keyword", "write lambda_"], "lambda"),
    ("class + 1", ["Python keyword", "class_"], "class"),
    ("import os", ["'import' is a Python keyword"], "import"),
    ("[a for a in x]", ["Python keyword"], "for"),
    ("x in y", ["Python keyword"], "in"),
    ("x is y", ["Python keyword"], "is"),
    ("yield x", ["Python keyword"], "yield"),
    ("await x", ["Python keyword"], "await"),
    ("ｉｆ", ["Python keyword"], "ｉｆ"),
    ("__import__('os').system('ls')", ["one underscore at most"], "__import__"),
    ("x.__class__", ["one underscore at most"], "__class__"),
    ("__x = 3", ["one underscore at most"], "__x"),
    # attributes, calls, indices
    ("x.shape", [".shape", "only .T"], "x.shape"),
    ("x.sum()", ["write sum(…)"], "x.sum"),
    ("x.T()", ["only a named function"], "x.T()"),
    ("x.", ["the statement ends here"], ""),
    ("x.2", ["'.2' does not fit here"], ".2"),
    ("sine(x)", ["unknown function 'sine'", "did you mean sin"], "sine"),
    ("print(x)", ["unknown function 'print'", "print*(…)"], "print"),
    ("eval(x)", ["unknown function 'eval'"], "eval"),
    ("x + x(3)", ["'x' is no function", "x*(…)"], "x"),
    ("2(x)", ["only a named function"], "2(x)"),
    ("(x)(y)", ["unknown function 'x'"], "x"),
    ("exp(x)(y)", ["only a named function"], "exp(x)(y)"),
    ("exp()", ["exp: missing a required argument: 'x'", "exp(x)"], "exp()"),
    ("exp(x, y)", ["exp: too many positional arguments", "exp(x)"], "exp(x, y)"),
    ("sum(x, axes=0)", ["keyword argument 'axes'", "sum(x, axis=None, keepdims=False)"],
     "sum(x, axes=0)"),
    ("1 + clip(x)", ["missing a required argument: 'low'", "clip(x, low, high)"], "clip(x)"),
    ("max(x, y, axis=0)", ["multiple values for argument 'axis'"], "max(x, y, axis=0)"),
    ("max()", ["missing a required argument"], "max()"),
    ("pow(x)", ["pow(base, exponent)"], "pow(x)"),
    ("sum(x, axis=0, axis=1)", ["'axis' is given twice"], "axis=1"),
    ("sum(axis=0, x)", ["positional argument follows keyword"], ")"),
    ("sum(*x)", ["Starred is not in the grammar"], "*x"),
    ("sum(**x)", ["no place for **"], "**x"),
    ("stack(3)", ["stack takes a list"], "3"),
    ("one_hot([0], 99999999)", ["at most 1000000"], "99999999"),
    ("one_hot([0], 10**9)", ["at most 1000000"], "10**9"),
    ("cast(x, float)", ["'cast' cannot be called here"], "cast"),
    ("slice(x, 0)", ["write x[1:3]"], "slice"),
    ("x[]", ["']' does not fit here"], "]"),
    ("x[1:2:3:4]", ["':' does not fit here"], ":"),
    ("x[1:y]", ["bounds of a slice are integers"], "1:y"),
    ("x[1:2.5]", ["bounds of a slice are integers"], "1:2.5"),
    ("x[True:]", ["bounds of a slice are integers"], "True:"),
    ("x[,0]", ["',' does not fit here"], ","),
    ("x[*y]", ["Starred is not in the grammar"], "*y"),
    ("...", ["are settings"], "..."),
    # brackets and neighbours
    ("(x", ["'(' was never closed"], "("),
    ("x + [1, (2]", ["']' does not match"], "]"),
    ("x)", ["unmatched ')'"], ")"),
    ("abs(x; y", ["'(' was never closed"], "("),
    ("2x", ["'2x' is neither", "as in 2*x"], "2x"),
    ("2 x", ["'x' does not fit here", "for a product write *"], "x"),
    ("x y", ["'y' does not fit here", "for a product write *"], "y"),
    ("x 2", ["'2' does not fit here", "for a product write *"], "2"),
    ("größe y", ["'y' does not fit here"], "y"),
    ("sum(x y)", ["this is no expression"], "x y"),
    ("x, y", ["tuples are settings"], "x, y"),
    ("x = y = 2", ["one name = expression"], "x = y = 2"),
    ("x, y = 2", ["one name = expression"], "x, y = 2"),
    ("[x][0] = 2", ["one name = expression"], "[x][0] = 2"),
    ("x.T = 2", ["one name = expression"], "x.T = 2"),
    ("x : 2", ["one name = expression"], "x : 2"),
    ("if x: y", ["one name = expression"], "if x: y"),
    ("x else y", ["'else' does not fit here"], "else"),
    ("x if y > 0", ["this is no expression"], "x if y > 0"),
    ("if x", ["the statement ends here"], ""),
    ("a =", ["expected a value"], ""),
    ("= 2", ["'=' does not fit here"], "="),
    ("2 = x", ["this is no expression"], "2"),
    ("(x = 2)", ["this is no expression"], "x = 2"),
    ("*x", ["Starred is not in the grammar"], "*x"),
    # literals
    ("1j", ["'1j' is neither"], "1j"),
    ("0x10", ["'0x10' is neither"], "0x10"),
    ("1__0", ["neither"], "1__0"),
    ("1.2.3", ["neither"], "1.2.3"),
    ("1if x > 0 else 2", ["neither"], "1if"),
    ("007", ["this is no expression"], "00"),
    ("1e999", ["too large"], "1e999"),
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
    ("x**5000", ["exponent 5000: at most 1000 in size"], "5000"),
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
    ("x; y", ["this value is not used"], "x"),
    ("x*2\ny", ["this value is not used", "(line 1)"], "x*2"),
    ("y = x*2\ny $ 3", ["(line 2)"], "$"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fragments", "mark"), ERRORS, ids=lambda p: repr(p)[:30])
def test_parse_error(text, fragments, mark) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message.split("\n")[0]
    assert marked(caught.value) == mark
    assert caught.value.__cause__ is None


def test_the_whole_message() -> None:
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
def test_errors_of_operations_keep_their_class(text, values, kind, fragment, mark) -> None:
    with pytest.raises(kind) as caught:
        parse(text, **values)
    assert type(caught.value) is kind
    assert fragment in str(caught.value)
    assert marked(caught.value) == mark


@pytest.mark.parametrize("problem", [TypeError, OverflowError, KeyError, ValueError])
def test_errors_nobody_foresaw_are_marked_too(problem) -> None:
    def function():
        raise problem("what it says")

    reader = Reader(Text("1 + f(2)"))
    (tree,) = statements(reader.text)
    with pytest.raises(ParseError, match=r"function cannot take these settings: .*says") as caught:
        reader.make(tree.value.right, function)
    assert marked(caught.value) == "f(2)"
    with pytest.raises(ParseError, match="no single node"):
        reader.make(tree.value, lambda: (1, 2))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x % 2", "Mod"), ("x // 2", "FloorDiv"), ("x ^ 2", "BitXor"), ("x << 2", "LShift"),
        ("x is x", "Is"), ("x in x", "In"), ("lambda: x", "Lambda"), ("{x}", "Set"), ("{}", "Dict"),
        ("[y for y in x]", "ListComp"), ("'x'", "Constant"), ("b'x'", "Constant"),
        ("f'{x}'", "JoinedStr"), ("(x := 2)", "NamedExpr"), ("await x", "Await"), ("*x", "Starred"),
        ("(yield)", "Yield"), ("2j", "Constant"),
    ],
)  # fmt: skip
def test_trees_are_refused_even_without_the_scan(code, name) -> None:
    reader = Reader(Text(code), {"x": 1})
    with pytest.raises(ParseError, match=f"what Python calls {name} is not in the grammar"):
        reader.read(ast.parse(code).body[0].value)


def test_values_for_names_that_do_not_occur() -> None:
    with pytest.raises(ParseError) as caught:
        parse("y = x*w + pi; exp(y)", X=2)
    assert str(caught.value) == (
        "a value is given for 'X', but the names in the text are 'pi', 'w', 'x', 'y'"
    )
    with pytest.raises(ParseError, match="the names in the text are none"):
        parse("1 + 2", x=1)
    with pytest.raises(ParseError, match=r"given for 'T', but"):
        parse("x.T", T=1)
    with pytest.raises(ParseError, match=r"given for 'axis', but"):
        parse("sum(x, axis=0)", axis=1)
    with pytest.raises(ParseError, match=r"given for 'sum', but"):
        parse("sum(x)", sum=1)
    with pytest.raises(ParseError) as caught:
        parse("x", **{"\x1b[2J": 1})
    assert "\x1b" not in str(caught.value)


def test_a_value_for_an_assigned_name() -> None:
    with pytest.raises(ParseError, match="'y' is given a value, but the text assigns it") as caught:
        parse("y = x; y", y=1)
    assert marked(caught.value) == "y"


def test_text_has_to_be_text() -> None:
    with pytest.raises(ParseError, match="expected an expression as text, got int"):
        parse(3)
    with pytest.raises(ParseError, match="got bytes"):
        parse(b"x")


# -- excerpts ----------------------------------------------------------------------------------


def test_long_lines_are_windowed() -> None:
    text = " + ".join(f"x{k}" for k in range(500))
    at = text.index("x250")
    message = str(Text(text).fault("here", at, at + 4))
    _, line, caret = message.split("\n")
    assert line == f"    …{text[at - 40 : at + 44]}…"
    assert caret == " " * 45 + "^~~~"
    whole = str(Text(text).fault("all", 0, len(text)))
    assert max(map(len, whole.split("\n"))) < 90
    assert marked(Text(text).fault("end", len(text))) == ""


def test_wide_and_combining_characters_keep_the_caret_in_place() -> None:
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
def test_invisible_characters_are_refused_and_never_echoed(char, shown, place) -> None:
    with pytest.raises(ParseError) as caught:
        parse(place.format(char))
    message = str(caught.value)
    if place[0] != "'":
        assert marked(caught.value) == shown
    assert char not in message
    assert all(c == "\n" or visible(c) == c for c in message)
