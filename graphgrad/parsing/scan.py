"""Expression text to Python's own syntax trees, after a scan that makes this safe.

What one can do: cut a text into the trees of its `statements`, and ask for the `span` of a tree.
The scan refuses words and signs outside the language, with what to write in their place, and more
of anything than Python's parser can take.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Iterator
from unicodedata import normalize

from graphgrad.parsing.excerpt import Text

__all__ = ["MAX_BRACKETS", "MAX_OPERATORS", "Tree", "span", "statements"]

MAX_OPERATORS = 1000
"""The most operators in a statement, signs of list entries not counted. A sum of 1000 terms is a
tree 1000 levels deep, about a third of what Python 3.11 can build."""
MAX_BRACKETS = 100
MAX_LETTERS = 400
TOO_MUCH = (
    f"a statement may have {MAX_BRACKETS} brackets inside one another and {MAX_OPERATORS} "
    "operators, not more: assign parts to names"
)

WORDS = {"and", "or", "not", "if", "else", "True", "False", "None"}
PUNCTUATION = set("(),;]\n")
OPERATORS = {*"+-*/@<>=&|~.:[", "**", "<=", ">=", "==", "!=", "and", "or", "not", "if", "else"}
HINTS = {
    "use ** for powers": "^ ² ³ ⁴ ⁵ ⁶ ⁷ ⁸ ⁹",
    "use * for a product": "× · ⋅ ∙",
    "use the hyphen - for minus": "− – —",
    "use a - b*floor(a/b) for the remainder": "%",
    "use floor(a / b)": "//",
    "use * 2**n or / 2**n": "<< >>",
    "write name = value as a statement of its own, closed by ;": ":=",
    "write a if x > 0 else b": "?",
    "use ( ) to group and [ ] for vectors and matrices": "{ }",
    "inside brackets a line goes on by itself": "\\",
    "text in quotes has no place here, only numbers and names": "' \" ` ‘ ’ “ ”",
    "use & or the word and": "&& ∧",
    "use | or the word or": "|| ∨",
    "use not, or != for unequal": "! ¬",
    "use !=": "<> ≠",
    "use <=": "=< ≤",
    "use >=": "=> ≥",
    "use /": "÷",
    "use sqrt(x)": "√",
    "use .T for the transpose": "ᵀ",
}
REFUSED = {sign: hint for hint, signs in HINTS.items() for sign in signs.split()}
"""Signs outside the language that people write, and what to write in their place."""
ALLOWED = "allowed are names, numbers, brackets, functions, + - * / ** @, comparisons, & | ~"

_SIGNS = sorted({*REFUSED, "**", "<=", ">=", "==", "!="}, key=len, reverse=True)
_LETTER = rf"(?:[A-Za-z0-9_]|[^\x00-\x7f{''.join(s for s in REFUSED if not s.isascii())}])"
_TOKEN = re.compile(
    rf"(?P<number>\.?[0-9](?:[eE][+-]?[0-9]|\.|{_LETTER})*)|(?P<word>{_LETTER}+)"
    rf"|(?P<sign>{'|'.join(map(re.escape, _SIGNS))}|[^ ])"
)
Tree = ast.expr | ast.keyword | ast.stmt


def statements(text: Text) -> list[ast.stmt]:
    """Return the statements of a text, which stand on lines of their own or have ; between them.

    Raises:
        ParseError: for what is outside the language, or too much, or no Python.
        RecursionError: when too little of the stack is left.

    Example:
        >>> [ast.unparse(tree) for tree in statements(Text("y = 2*x  # doubled\\n;y + (\\n1)"))]
        ['y = 2 * x', 'y + 1']
    """
    code = re.sub("#[^\n]*", lambda comment: " " * len(comment[0]), text.text)
    return [_tree(text, code[start:end], start) for start, end in _cuts(text, code)]


def span(tree: Tree) -> tuple[int, int]:
    """Return where a tree begins and ends, in characters of the whole text."""
    return tree.col_offset, tree.end_col_offset or 0


def _cuts(text: Text, code: str) -> Iterator[tuple[int, int]]:
    """Check every word, number and sign; give where the statements begin and end."""
    start = depth = operators = 0
    before = ""
    for token in _TOKEN.finditer(code):
        sign = token[0]
        if problem := _problem(sign, token.lastgroup):
            raise text.fault(problem, *token.span())
        if sign == ";" or (sign == "\n" and depth == 0):
            if before:
                yield start, token.start()
            depth, operators, before = 0, 0, ""
        elif sign != "\n":
            start = start if before else token.start()
            depth = max(0, depth + (sign in ("(", "[")) - (sign in (")", "]")))
            opens = before in ("", "(", "[", ",")
            operators += (sign in OPERATORS and not opens) or before + sign == ")("
            if depth > MAX_BRACKETS or operators > MAX_OPERATORS:
                raise text.fault(TOO_MUCH, *token.span())
            before = sign
    if before:
        yield start, len(code)


def _problem(token: str, kind: str | None) -> str:
    """Return what is wrong with a number, a word or a sign."""
    if kind == "sign":
        known = token in OPERATORS or token in PUNCTUATION
        return "" if known else f"{token!r} is not in the grammar: {REFUSED.get(token, ALLOWED)}"
    if len(token) > MAX_LETTERS:
        return f"a {kind} of {len(token)} characters is too long: at most {MAX_LETTERS}"
    shown, name = repr(token[:60]), normalize("NFKC", token)
    if kind == "number":
        try:
            large = math.isinf(float(token))
        except ValueError:
            return f"{shown} is neither a number nor a name: for a product write *, as in 2*x"
        return f"{shown} is too large: the largest float64 is about 1.8e308" if large else ""
    if not token.isidentifier():
        return f"{shown} is no name: {ALLOWED}"
    if keyword.iskeyword(name) and token not in WORDS:
        return f"{shown} is a Python keyword without a meaning here; as a name write {name}_"
    return f"{shown}: a name begins with one underscore at most" if name[:2] == "__" else ""


def _tree(text: Text, code: str, start: int) -> ast.stmt:
    """Return the tree of the statement `code`, which stands at `start` in the text."""
    code = code.replace("\n", " ").rstrip()  # line ends are left only inside brackets
    try:
        (statement,) = ast.parse(code).body
    except SyntaxError as problem:
        raise _misfit(text, code, start, problem) from None
    except MemoryError as problem:  # Python's word for too little stack inside its parser
        raise RecursionError from problem
    # Python counts bytes of UTF-8 from the start of the statement.
    places = [start + k for k, c in enumerate(code) for _ in c.encode()] + [start + len(code)]
    for node in ast.walk(statement):
        if isinstance(node, ast.expr | ast.keyword | ast.stmt):
            node.col_offset = places[node.col_offset]
            node.end_col_offset = places[node.end_col_offset or 0]
    return statement


def _misfit(text: Text, code: str, start: int, problem: SyntaxError) -> Exception:
    """Return Python's error in our words; in its own where they say more than "invalid syntax"."""
    at = min(max(problem.offset or 1, 1) - 1, len(code))
    found = code[at : max((problem.end_offset or 0) - 1, at + 1)]
    reason = problem.msg.removeprefix("invalid syntax. ").replace(" or ':='", "").split(";")[0]
    message = f"this is no expression: {reason}"
    if not found:
        message = "the statement ends here: expected a value"
    elif problem.msg == "invalid syntax":
        product = found not in WORDS and found[0] not in OPERATORS | PUNCTUATION
        hint = ": for a product write *" if product else ""
        message = f"{found[:30]!r} does not fit here{hint}"
    return text.fault(message, start + at, start + at + len(found))
