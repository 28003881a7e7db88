"""Expression text to Python's own syntax trees, after a scan that makes them safe to ask for.

What one can do: cut a text into `statements`, whose trees know their `span` in the text; ask
`names` which names they use and which they assign. Words and signs outside the language are
refused before Python's parser sees them, by name and with what to write in their place; so are
sizes that it could stumble over.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import unicodedata
from collections.abc import Iterator

from graphgrad.errors import GraphError
from graphgrad.parsing.excerpt import Text

__all__ = ["MAX_BRACKETS", "MAX_OPERATORS", "identifier", "names", "span", "statements"]

MAX_OPERATORS = 1000
"""The most operators in one statement. A sum of 1000 terms is a tree 1000 levels deep, about a
third of what Python 3.11 can make of a text. A sign that opens a list entry is not counted."""
MAX_BRACKETS = 100
MAX_NAME = 100
MAX_DIGITS = 400

BETWEEN = {"and", "or", "if", "else"}
WORDS = {*BETWEEN, "not", "True", "False", "None"}
SIGNS = {
    "+", "-", "*", "/", "**", "@", "<", "<=", ">", ">=", "==", "!=", "&", "|", "~",
    "(", ")", "[", "]", ",", ".", ":", "=", "...", ";", "\n",
}  # fmt: skip
AUGMENTED = ("+=", "-=", "*=", "/=", "//=", "%=", "@=", "**=", "&=", "|=", "^=", "<<=", ">>=")
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
    "\\": "inside brackets a line goes on by itself",
    **dict.fromkeys("{}", "use ( ) to group and [ ] for vectors and matrices"),
    **dict.fromkeys("'\"`‘’“”", "text in quotes has no place here, only numbers and names"),
    **dict.fromkeys("×·⋅∙", "use * for a product"),
    **dict.fromkeys("−–—", "use the hyphen - for minus"),
    **dict.fromkeys("²³⁴⁵⁶⁷⁸⁹", "use ** for powers"),
    **dict.fromkeys(AUGMENTED, "write a new name, as in y = x + 1"),
    "÷": "use /", "√": "use sqrt(x)", "≤": "use <=", "≥": "use >=", "≠": "use !=",
    "∧": "use &", "∨": "use |", "¬": "use ~", "ᵀ": "use .T for the transpose",
}  # fmt: skip
"""Signs outside the language that people write, and what to write in their place."""
ALLOWED = "allowed are names, numbers, brackets, functions, + - * / ** @, comparisons, & | ~"
LOOPS = "there are no loops or comprehensions here; operations work on whole arrays"
KEYWORDS = {
    "lambda": "it is a Python keyword, so no variable can have this name: call it lam",
    **dict.fromkeys(("for", "while", "in"), LOOPS),
    "is": "use == to compare",
    "elif": "write a if p else b if q else c",
}
HINTS = {
    "=": "; one name is assigned per statement, and == compares",
    ":": "; a colon stands only in a slice such as x[1:3]",
    "else": "; write a if x > 0 else b",
    "not": "; put brackets around it, (not …)",
}

_BEYOND_ASCII = "".join(sign for sign in REFUSED if not sign.isascii())
_LETTER = rf"(?:[A-Za-z0-9_]|[^\x00-\x7f{_BEYOND_ASCII}])"
_NUMBER = re.compile(r"(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?")
_SIGN = "|".join(map(re.escape, sorted({*SIGNS, *REFUSED}, key=len, reverse=True)))
_TOKEN = re.compile(
    rf"(?P<number>{_NUMBER.pattern}{_LETTER}*)|(?P<word>{_LETTER}+)|(?P<sign>{_SIGN}|[^ ])"
)
Token = re.Match[str]


def statements(text: Text) -> list[ast.stmt]:
    """Return the statements of a text, which stand on lines of their own or have ; between them.

    Raises:
        ParseError: for what is outside the language or too much, and what Python cannot read.
        RecursionError, MemoryError: when too little of the stack is left.

    Example:
        >>> [ast.unparse(tree) for tree in statements(Text("y = 2*x  # a comment\\n;y + (\\n1)"))]
        ['y = 2 * x', 'y + 1']
    """
    code = re.sub("#[^\n]*", lambda comment: " " * len(comment[0]), text.text)
    return [_tree(text, code[start:end], start) for start, end in _cuts(text, code)]


def span(tree: ast.expr | ast.keyword | ast.stmt) -> tuple[int, int]:
    """Return where a tree begins and ends, in characters of the whole text."""
    return tree.col_offset, tree.end_col_offset or 0


def names(trees: list[ast.stmt]) -> tuple[list[str], dict[str, ast.Name]]:
    """Return the names used as values, in order, and those assigned with their first place.

    Example:
        >>> used, assigned = names(statements(Text("y = exp(x); sum(y, axis=0)")))
        >>> used, list(assigned)
        (['x', 'y'], ['y'])
    """
    nodes = [node for tree in trees for node in ast.walk(tree)]
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    found = [node for node in nodes if isinstance(node, ast.Name) and node not in called]
    found.sort(key=span)
    used = dict.fromkeys(name.id for name in found if isinstance(name.ctx, ast.Load))
    stored = reversed([name for name in found if isinstance(name.ctx, ast.Store)])
    return list(used), {name.id: name for name in stored}


def identifier(name: str) -> str:
    """Return the name as Python reads it: ``ﬁ`` and ``fi`` are the same (NFKC, PEP 3131)."""
    return unicodedata.normalize("NFKC", name)


# -- the scan ------------------------------------------------------------------------------------


def _cuts(text: Text, code: str) -> Iterator[tuple[int, int]]:
    """Check the words, numbers and signs, and give where each statement begins and ends."""
    start = operators = 0
    opened: list[Token] = []
    last: Token | None = None
    for token in _TOKEN.finditer(code):
        sign = token[0]
        if sign == "\n" and opened:
            continue
        _CHECKS[token.lastgroup or ""](text, token)
        if sign in ("\n", ";"):
            _closed(text, opened)
            if last:
                yield start, token.start()
            operators, last = 0, None
            continue
        _fits(text, token, last)
        _pair(text, token, opened)
        if last is None:
            start = token.start()
        elif not (_ends_value(token) or sign in ("(", ",") or last[0] in ("(", "[", ",")):
            operators += 1
            if operators > MAX_OPERATORS:
                message = f"more than {MAX_OPERATORS} operators: assign parts to names"
                raise text.fault(message, *token.span())
        last = token
    _closed(text, opened)
    if last:
        yield start, len(code)


def _check_number(text: Text, token: Token) -> None:
    both = token[0]
    found = _NUMBER.match(both)
    digits = found[0] if found else ""
    value = float(digits.replace("_", ""))
    if len(digits) > MAX_DIGITS:
        problem = f"a number of {len(digits)} characters is too long: at most {MAX_DIGITS}"
    elif digits != both:
        product = f"{digits[:30]}*{both[len(digits):][:30]}"
        problem = f"{both[:60]} is neither a number nor a name: for a product write {product}"
    elif math.isinf(value):
        problem = f"{digits[:30]} is too large: the largest float64 is about 1.8e308"
    elif value == 0 and re.search("[1-9]", re.split("[eE]", digits)[0]):
        problem = f"{digits[:30]} is too small: as a float64 it would be 0"
    else:
        return
    raise text.fault(problem, *token.span())


def _check_word(text: Text, token: Token) -> None:
    name = identifier(token[0])
    if len(token[0]) > MAX_NAME:
        problem = f"a name of {len(token[0])} characters is too long: at most {MAX_NAME}"
    elif not token[0].isidentifier():
        k = next(k for k in range(len(name)) if not token[0][: k + 1].isidentifier())
        raise _refused(text, token[0][k], token.start() + k)
    elif keyword.iskeyword(name) and token[0] not in WORDS:
        hint = KEYWORDS.get(
            name,
            "it is a Python keyword, and the text holds only expressions and name = expression; "
            f"as a variable call it {name}_",
        )
        problem = f"'{name}' cannot stand here: {hint}"
    elif name.startswith("__"):
        problem = f"{name!r}: names that begin with two underscores are not allowed"
    else:
        return
    raise text.fault(problem, *token.span())


def _check_sign(text: Text, token: Token) -> None:
    if token[0] not in SIGNS:
        raise _refused(text, token[0], token.start())


_CHECKS = {"number": _check_number, "word": _check_word, "sign": _check_sign}


def _refused(text: Text, sign: str, at: int) -> GraphError:
    message = f"{sign!r} is not in the grammar: {REFUSED.get(sign, ALLOWED)}"
    return text.fault(message, at, at + len(sign))


def _ends_value(token: Token | None) -> bool:
    """Return whether a value ends with this token, so that only an operator can follow."""
    if token is None or token.lastgroup == "sign":
        return token is not None and token[0] in (")", "]", "...")
    return token[0] not in BETWEEN and token[0] != "not"


def _fits(text: Text, token: Token, last: Token | None) -> None:
    """Refuse neighbours about which Python's own parser says too little."""
    valued = _ends_value(last)
    begins = token.lastgroup != "sign" and _ends_value(token)
    if valued if begins else token[0] in BETWEEN and not valued:
        raise _unexpected(text, token, last, token.start())
    if token[0] == "(" and valued and last and last.lastgroup != "word":
        message = "only a named function can be called: for a product write * before it"
        raise text.fault(message, *token.span())


def _pair(text: Text, token: Token, opened: list[Token]) -> None:
    """Keep the open brackets; refuse too many, and one that closes another than the last."""
    if token[0] in ("(", "["):
        opened.append(token)
        if len(opened) > MAX_BRACKETS:
            message = f"more than {MAX_BRACKETS} brackets inside one another: assign parts to names"
            raise text.fault(message, *token.span())
    elif token[0] in (")", "]"):
        if not opened:
            raise text.fault(f"'{token[0]}' closes nothing: remove it", *token.span())
        first = opened.pop()[0]
        if first + token[0] not in ("()", "[]"):
            message = f"'{token[0]}' does not close the '{first}' opened before it"
            raise text.fault(message, *token.span())


def _closed(text: Text, opened: list[Token]) -> None:
    if opened:
        raise text.fault(f"this '{opened[-1][0]}' is never closed", *opened[-1].span())


# -- the trees -----------------------------------------------------------------------------------


def _tree(text: Text, code: str, start: int) -> ast.stmt:
    """Return the tree of the statement `code`, which stands at `start` in the text."""
    code = code.replace("\n", " ").rstrip()  # line ends are left only inside brackets
    try:
        (statement,) = ast.parse(code).body
    except SyntaxError as problem:
        raise _misfit(text, code, start, problem) from None
    # Python counts bytes of UTF-8 from the start of the statement.
    places = [start + k for k, c in enumerate(code) for _ in c.encode()] + [start + len(code)]
    for node in ast.walk(statement):
        if isinstance(node, ast.expr | ast.keyword | ast.stmt):
            node.col_offset = places[node.col_offset]
            node.end_col_offset = places[node.end_col_offset or 0]
    return statement


def _misfit(text: Text, code: str, start: int, problem: SyntaxError) -> GraphError:
    """Return Python's error in our words; in its own where it says more than "invalid syntax"."""
    at = max(problem.offset or 1, 1) - 1
    last: Token | None = None
    for last in _TOKEN.finditer(code, 0, at):
        pass
    token = _TOKEN.search(code, at)
    if token is None:
        return text.fault(f"the statement ends here: {_wanted(last)}", start + len(code))
    if problem.msg == "invalid syntax":
        return _unexpected(text, token, last, start + token.start())
    reason = problem.msg.replace(" or ':='", "")  # which has no place here
    end = max(problem.end_offset or 0, at + 2) - 1
    return text.fault(f"this is no expression: {reason}", start + at, start + end)


def _unexpected(text: Text, token: Token, last: Token | None, at: int) -> GraphError:
    product = token.lastgroup != "sign" and token[0] not in WORDS
    hint = HINTS.get(token[0], ": for a product write * between them" if product else "")
    message = f"found {token[0][:30]!r}, {_wanted(last)}{hint}"
    return text.fault(message, at, at + len(token[0]))


def _wanted(last: Token | None) -> str:
    wanted = "an operator" if _ends_value(last) else "a value"
    return f"expected {wanted}" + (f" after {last[0][:30]!r}" if last else "")
