"""Expression text cut into tokens; what the grammar has no place for is refused here, by name.

What one can do: `tokenize` a text; ask `names` which names it uses and which it assigns. The scan
goes over the text once, from left to right, so hostile text costs no more than any other.
"""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from typing import NamedTuple

from graphgrad.parsing.excerpt import Text, visible

__all__ = ["MAX_TOKENS", "Token", "identifier", "names", "tokenize"]

MAX_TOKENS = 10_000
"""The most names, numbers and signs an expression may have."""
MAX_NAME = 100
MAX_DIGITS = 400

WORDS = {"and", "else", "False", "if", "None", "not", "or", "True"}
SIGNS = {
    "+", "-", "*", "/", "**", "@", "<", "<=", ">", ">=", "==", "!=", "&", "|", "~",
    "(", ")", "[", "]", ",", ".", ":", "=", "...",
}  # fmt: skip
PAIRS = {")": "(", "]": "["}

_DIGITS = "[0-9](?:_?[0-9])*"
_NUMBER = re.compile(rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_SPACE = re.compile(r" +|#[^\n]*")
_SIGN = re.compile(
    r"\.\.\.|(?:\*\*|//|<<|>>|[-+*/@%&|^])=|\*\*|//|<<|>>|[<>=!]=|:=|->|<>|=[<>]|&&|\|\||."
)
_NOT_IN_NAMES = "·ᵀ"

_QUOTES = "text in quotes has no place here, only numbers and names"
_AUGMENTED = "write a new name, as in y = x + 1"
REFUSED = {
    "^": "use ** for powers",
    "%": "use a - b*floor(a/b) for the remainder",
    "//": "use floor(a / b)",
    "<<": "use * 2**n",
    ">>": "use / 2**n",
    ":=": "write name = value as a statement of its own, closed by ;",
    "->": "functions are not defined here",
    "<>": "use != for unequal",
    "=<": "use <=",
    "=>": "use >=",
    "&&": "use & or the word and",
    "||": "use | or the word or",
    "!": "use not, or != for unequal",
    "?": "write a if x > 0 else b",
    "{": "use ( ) to group and [ ] for vectors and matrices",
    "}": "use ( ) to group and [ ] for vectors and matrices",
    "\\": "inside brackets a line goes on by itself",
    **dict.fromkeys("'\"`‘’“”", _QUOTES),
    **dict.fromkeys("×·⋅∙", "use * for a product"),
    **dict.fromkeys("−–—", "use the hyphen - for minus"),
    **dict.fromkeys("²³⁴⁵⁶⁷⁸⁹", "use ** for powers"),
    "÷": "use /",
    "√": "use sqrt(x)",
    "≤": "use <=",
    "≥": "use >=",
    "≠": "use !=",
    "∧": "use &",
    "∨": "use |",
    "¬": "use ~",
    "ᵀ": "use .T for the transpose",
}
"""Signs outside the grammar that people write, and what to write in their place."""

_LOOPS = "there are no loops or comprehensions here; operations work on whole arrays"
KEYWORDS = {
    "lambda": "it is a Python keyword, so no variable can have this name: call it lam",
    "for": _LOOPS,
    "while": _LOOPS,
    "in": _LOOPS,
    "is": "use == to compare",
    "elif": "write a if p else b if q else c",
}


class Token(NamedTuple):
    """A stretch of text that means one thing.

    `kind` is name, number, word (of Python's keywords), sign, break (between statements) or end.
    """

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: Text) -> list[Token]:
    """Return the tokens of a text, closed by one of kind "end".

    Raises:
        ParseError: for what is not in the grammar, brackets that do not match, and too much of
            anything.

    Example:
        >>> [t.text for t in tokenize(Text("y = 2*x"))]
        ['y', '=', '2', '*', 'x', '']
    """
    tokens: list[Token] = []
    brackets: list[Token] = []
    at = 0
    while at < len(text.text):
        if space := _SPACE.match(text.text, at):
            at = space.end()
            continue
        token = _token(text, at)
        at = token.end
        if token.kind == "break" and brackets:
            if token.text == "\n":
                continue
            raise _unclosed(text, brackets[-1])
        _match(text, token, brackets)
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            message = f"more than {MAX_TOKENS} names, numbers and signs: split the expression"
            raise text.fault(message, token.start, token.end)
    if brackets:
        raise _unclosed(text, brackets[-1])
    end = len(text.text.rstrip())
    return [*tokens, Token("end", "", end, end)]


def names(tokens: list[Token]) -> tuple[list[str], dict[str, Token]]:
    """Return the names used as values, in order, and those assigned with their first token.

    Example:
        >>> used, assigned = names(tokenize(Text("y = exp(x); sum(y, axis=0)")))
        >>> used, list(assigned)
        (['x', 'y'], ['y'])
    """
    used: dict[str, None] = {}
    assigned: dict[str, Token] = {}
    first = True
    for k, token in enumerate(tokens):
        if token.kind == "name":
            following = tokens[k + 1].text
            if following == "=":
                if first:
                    assigned.setdefault(token.text, token)
            elif following != "(" and not (k and tokens[k - 1].text == "."):
                used[token.text] = None
        first = token.kind == "break"
    return list(used), assigned


def identifier(name: str) -> str:
    """Return the name as Python reads it: ``ﬁ`` and ``fi`` are the same (NFKC, PEP 3131)."""
    return unicodedata.normalize("NFKC", name)


def _token(text: Text, at: int) -> Token:
    c = text.text[at]
    if c in ";\n":
        return Token("break", c, at, at + 1)
    if number := _NUMBER.match(text.text, at):
        return _number(text, at, number.end())
    if c.isidentifier() and c not in _NOT_IN_NAMES:
        return _name(text, at, _name_end(text.text, at))
    sign = _SIGN.match(text.text, at)
    assert sign is not None
    if sign[0] in SIGNS:
        return Token("sign", sign[0], at, sign.end())
    if sign[0] != "=" and sign[0].endswith("=") and sign[0] not in REFUSED:
        hint = _AUGMENTED
    else:
        hint = REFUSED.get(
            sign[0],
            "allowed are names, numbers, brackets, functions, + - * / ** @, comparisons, & | ~",
        )
    raise text.fault(f"{sign[0]!r} is not in the grammar: {hint}", at, sign.end())


def _number(text: Text, start: int, end: int) -> Token:
    digits = text.text[start:end]
    if len(digits) > MAX_DIGITS:
        message = f"a number of {len(digits)} characters is too long: at most {MAX_DIGITS}"
        raise text.fault(message, start, end)
    stop = _name_end(text.text, end)
    if stop > end and text.text[end] not in _NOT_IN_NAMES:
        raise text.fault(_glued(digits, text.text[end:stop]), start, stop)
    value = float(digits)
    if math.isinf(value):
        message = f"{digits[:30]} is too large: the largest float64 is about 1.8e308"
        raise text.fault(message, start, end)
    if value == 0 and re.search("[1-9]", re.split("[eE]", digits)[0]):
        raise text.fault(f"{digits[:30]} is too small: as a float64 it would be 0", start, end)
    return Token("number", digits, start, end)


def _glued(digits: str, letters: str) -> str:
    """Return the sentence about a number that runs into a name."""
    both = visible(digits + letters)[:MAX_NAME]
    if letters in ("j", "J"):
        return f"{both} is a complex number: only real numbers are allowed"
    if digits == "0" and letters[0] in "xXoObB":
        return f"{both} is not a decimal number: write it with the digits 0 to 9"
    product = f"{digits[:30]}*{letters[:30]}"
    return f"{both} is neither a number nor a name: for a product write {product}"


def _name_end(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end] not in _NOT_IN_NAMES and ("a" + text[end]).isidentifier():
        end += 1
    return end


def _name(text: Text, start: int, end: int) -> Token:
    if end - start > MAX_NAME:
        message = f"a name of {end - start} characters is too long: at most {MAX_NAME}"
        raise text.fault(message, start, end)
    name = identifier(text.text[start:end])
    if name in WORDS:
        return Token("word", name, start, end)
    if keyword.iskeyword(name):
        hint = KEYWORDS.get(
            name,
            "it is a Python keyword, and the text holds only expressions and name = expression; "
            f"as a variable call it {name}_",
        )
        raise text.fault(f"'{name}' cannot stand here: {hint}", start, end)
    if name.startswith("__"):
        message = f"{name!r}: names that begin with two underscores are not allowed"
        raise text.fault(message, start, end)
    return Token("name", name, start, end)


def _match(text: Text, token: Token, brackets: list[Token]) -> None:
    """Keep the open brackets; refuse one that closes another than the last opened."""
    if token.text in PAIRS.values():
        brackets.append(token)
    elif token.text in PAIRS:
        if not brackets:
            raise text.fault(f"'{token.text}' closes nothing: remove it", token.start)
        opened = brackets.pop()
        if opened.text != PAIRS[token.text]:
            message = f"'{token.text}' does not close the '{opened.text}' opened before it"
            raise text.fault(message, token.start)


def _unclosed(text: Text, opened: Token) -> Exception:
    return text.fault(f"this '{opened.text}' is never closed", opened.start)
