"""Errors in expression text: the sentence, the place marked, what is never echoed."""

from __future__ import annotations

import pytest

from graphgrad.errors import DtypeError, ParseError, ShapeError
from graphgrad.parser import parse
from graphgrad.parsing.excerpt import Text, visible
from graphgrad.parsing.reader import Reader

from .excerpts import marked

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

    builder = Builder(Text("1 + f(2)"), {}, {}, {})
    with pytest.raises(ParseError, match=r"function cannot take these settings: .*says") as caught:
        builder.make(4, 8, function)
    assert marked(caught.value) == "f(2)"
    with pytest.raises(ParseError, match="no single node"):
        builder.make(4, 8, lambda: (1, 2))


def test_values_for_names_that_do_not_occur() -> None:
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
