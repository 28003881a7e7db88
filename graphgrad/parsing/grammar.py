"""The grammar of expression text: tokens read by rising precedence.

What one can do: give a `Grammar` the tokens and a `Builder`, and read a `program` (statements) or
a `single` expression. Each level inside another costs one level of recursion, and there are at
most `MAX_DEPTH`; what is merely long, such as a sum of thousands of terms, costs none.
"""

from __future__ import annotations

from typing import NoReturn

from graphgrad.graph import Node
from graphgrad.parsing.build import Builder
from graphgrad.parsing.calls import call, setting
from graphgrad.parsing.parts import Part
from graphgrad.parsing.tokens import Token

__all__ = ["MAX_DEPTH", "Grammar"]

MAX_DEPTH = 100
"""How deep brackets, signs, powers and choices may stand inside one another."""

CHOICE, OR, AND, NOT, COMPARISON, EITHER, BOTH, SUM, PRODUCT, SIGN, POWER = range(11)
RANKS = {
    "if": CHOICE, "or": OR, "and": AND,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), COMPARISON),
    "|": EITHER, "&": BOTH, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT,
    "**": POWER,
}  # fmt: skip
"""How tightly each operator binds what stands left of it."""

LITERALS = {"True": True, "False": False, "None": None}
HINTS = {
    "=": "; one name is assigned per statement, and == compares",
    ",": "; commas stand only between arguments and in lists",
    ":": "; a colon stands only in a slice such as x[1:3]",
    "else": "; write a if x > 0 else b",
    "...": "; it stands only in an index",
}


class Grammar:
    """Reads tokens by rising precedence, and lets a `Builder` make what they mean."""

    def __init__(self, tokens: list[Token], build: Builder) -> None:
        self.tokens = tokens
        self.build = build
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.at]

    def accept(self, *texts: str) -> Token | None:
        """Read the next token if it is one of these; else return None."""
        token = self.token
        if token.text not in texts or token.kind == "end":
            return None
        self.at += 1
        return token

    def expect(self, *texts: str) -> Token:
        """Read the next token, which has to be one of these."""
        return self.accept(*texts) or self.surprise(" or ".join(f"'{t}'" for t in texts))

    # -- statements --------------------------------------------------------------------------

    def program(self) -> Node:
        """Read all statements and return the node of the last."""
        last: Part | None = None
        named = True
        while self.skip_breaks().kind != "end":
            if last is not None and not named:
                message = "this value is not used: give it a name, as in y = …, or put it last"
                self.build.fault(message, last)
            named = self.token.kind == "name" and self.tokens[self.at + 1].text == "="
            last = self.assignment() if named else self.expression()
            if self.token.kind not in ("break", "end"):
                self.surprise("an operator or the end")
        if last is None:
            self.build.fault("no expression: expected one such as x*w + b", self.token)
        return self.build.node(last)

    def single(self) -> Node:
        """Read one expression and nothing else."""
        self.skip_breaks()
        part = self.expression()
        if self.skip_breaks().kind != "end":
            self.surprise("the end")
        return self.build.node(part)

    def assignment(self) -> Part:
        """Read ``name = expression``."""
        name = self.token
        self.at += 2
        return self.build.assign(name, self.expression())

    def skip_breaks(self) -> Token:
        """Pass over line ends and semicolons; return the token after them."""
        while self.token.kind == "break":
            self.at += 1
        return self.token

    # -- expressions -------------------------------------------------------------------------

    def expression(self, floor: int = CHOICE) -> Part:
        """Read an expression whose operators bind at least as tightly as `floor`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels inside one another: assign parts to names"
            self.build.fault(message, self.token)
        part = self.prefix(floor)
        # A loop, not recursion: a sum of thousands of terms is as flat here as it is on paper.
        while RANKS.get(self.token.text, -1) >= floor:
            if isinstance(part.value, list):
                part = part._replace(value=self.build.node(part))
            part = self.infix(part)
        self.depth -= 1
        return part

    def infix(self, left: Part) -> Part:
        """Read an operator and what stands right of it."""
        sign = self.token
        rank = RANKS[sign.text]
        if rank == COMPARISON:
            return self.comparison(left)
        self.at += 1
        if rank == CHOICE:
            condition = self.expression(OR)
            self.expect("else")
            return self.build.choose(condition, left, self.expression(CHOICE))
        right = self.expression(SIGN if rank == POWER else rank + 1)
        return self.build.binary(sign.text, left, right)

    def comparison(self, left: Part) -> Part:
        """Read the rest of ``a < b <= c``."""
        parts, signs = [left], []
        while RANKS.get(self.token.text) == COMPARISON:
            signs.append(self.token.text)
            self.at += 1
            parts.append(self.expression(COMPARISON + 1))
        return self.build.compare(parts, signs)

    def prefix(self, floor: int) -> Part:
        """Read signs before an operand, or the operand with what follows it."""
        token = self.token
        if token.text == "not" and floor > NOT:
            self.build.fault("'not' binds loosely: put brackets around it, (not …)", token)
        if sign := self.accept("+", "-", "~", "not"):
            operand = self.expression(NOT if sign.text == "not" else SIGN)
            return self.build.unary(sign, operand)
        part = self.atom()
        while after := self.accept("[", ".", "("):
            if after.text == "(":
                message = "only a named function can be called: for a product write * before it"
                self.build.fault(message, after)
            elif after.text == "[":
                part = self.index(part)
            else:
                name = self.token if self.token.kind == "name" else self.surprise("T")
                self.at += 1
                part = self.build.attribute(part, name)
        return part

    def atom(self) -> Part:
        """Read a number, a name, a call, a list, or something in round brackets."""
        token = self.token
        self.at += 1
        if token.kind == "number":
            digits = token.text.replace("_", "")
            number = int(digits) if digits.isdecimal() else float(digits)
            return Part(number, token.start, token.end)
        if token.text in LITERALS:
            return Part(LITERALS[token.text], token.start, token.end)
        if token.kind == "name":
            return self.call(token) if self.accept("(") else self.build.name(token)
        if token.text == "[":
            entries, end = self.entries("]")
            return Part(entries, token.start, end)
        if token.text == "(":
            return self.group(token)
        self.at -= 1
        self.surprise("a value")

    def group(self, opened: Token) -> Part:
        """Read ``(expression)``, or a tuple, which is a setting such as axis=(0, 1)."""
        entries, end = self.entries(")")
        if len(entries) == 1 and self.tokens[self.at - 2].text != ",":
            return Part(entries[0].value, opened.start, end)
        return Part(tuple(entries), opened.start, end)

    def entries(self, closing: str) -> tuple[list[Part], int]:
        """Read expressions with commas between them; return them and the end of the bracket."""
        entries: list[Part] = []
        while not (closed := self.accept(closing)):
            entries.append(self.expression())
            if self.token.text != closing:
                self.expect(",", closing)
        return entries, closed.end

    def call(self, name: Token) -> Part:
        """Read the arguments of a call."""
        args: list[Part] = []
        keywords: dict[str, Part] = {}
        while not (closed := self.accept(")")):
            key = self.token
            if key.kind == "name" and self.tokens[self.at + 1].text == "=":
                self.at += 2
                if key.text in keywords:
                    self.build.fault(f"{key.text!r} is given twice", key)
                keywords[key.text] = self.expression()
            elif key.text in ("*", "**"):
                self.build.fault("arguments are written out one by one, without a star", key)
            elif keywords:
                self.build.fault("an argument without a name cannot follow one with a name", key)
            else:
                args.append(self.expression())
            if self.token.text != ")":
                self.expect(",", ")")
        return call(self.build, name, args, keywords, closed.end)

    def index(self, part: Part) -> Part:
        """Read the places of ``x[0, 1:3, ..., None]``."""
        base = part._replace(value=self.build.node(part))
        places: list[Part] = []
        while not (closed := self.accept("]")):
            places.append(self.place())
            if self.token.text != "]":
                self.expect(",", "]")
        if not places:
            self.build.fault("an index is missing, as in x[0]", closed)
        return self.build.index(base, [setting(self.build, p) for p in places], closed.end)

    def place(self) -> Part:
        """Read one place of an index: an expression, ``...`` or a slice ``start:stop:step``."""
        first = self.token
        if self.accept("..."):
            return Part(Ellipsis, first.start, first.end)
        parts = [self.bound()]
        while self.accept(":"):
            parts.append(self.bound())
        if len(parts) == 1:
            return parts[0] or self.surprise("a value")
        if len(parts) > 3:
            self.build.fault("a slice has at most three bounds, start:stop:step", first)
        for part in parts:
            if part and type(part.value) is not int:
                self.build.fault("the bounds of a slice are integers, as in x[1:3]", part)
        bounds = slice(*(part.value if part else None for part in parts))
        return Part(bounds, first.start, self.tokens[self.at - 1].end)

    def bound(self) -> Part | None:
        """Read one bound of a slice, which may be left out."""
        return None if self.token.text in (":", ",", "]") else self.expression()

    # -- what does not fit -------------------------------------------------------------------

    def surprise(self, wanted: str) -> NoReturn:
        """Raise the error that the next token stands where something else was expected."""
        token = self.token
        if token.kind == "end":
            self.build.fault(f"the text ends here: expected {wanted}", token)
        if token.kind == "break":
            self.build.fault(f"the statement ends here: expected {wanted}", token)
        if token.kind in ("name", "number") and wanted not in ("a value", "the end"):
            hint = ": for a product write * between them"
        else:
            hint = HINTS.get(token.text, "")
        self.build.fault(f"found {token.text[:30]!r}, expected {wanted}{hint}", token)
