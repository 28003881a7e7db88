"""What stretches of expression text mean: the nodes they make. This file knows no grammar.

What one can do: a `Builder` gives the variable or constant behind a name, joins parts by an
operator, cuts an index out, and binds a name by assignment. Whatever goes wrong while a node is
made is raised with the place in the text marked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from graphgrad.context import making
from graphgrad.dtypes import BOOL, FLOAT64, INT64, Dtype
from graphgrad.errors import DtypeError, GraphError, ShapeError
from graphgrad.graph import Node, apply, const, var
from graphgrad.ops.arithmetic import pow
from graphgrad.ops.index import index
from graphgrad.parsing.excerpt import Text
from graphgrad.parsing.parts import Labelled, Part, is_number, is_numeric, plain
from graphgrad.parsing.tokens import Token
from graphgrad.primitive import TABLE
from graphgrad.shapes import Shape

__all__ = ["Builder"]

MAX_EXPONENT = 1000
MAX_ENTRIES = 10**7
"""The most entries a node may have; ten times those of every given value are added to it."""
MAX_VALUE = 10**6
"""The most entries of an intermediate result in the text of a value."""
MAX_KNOWN = 10**4
"""The most entries of a constant result that is looked at while the graph is built."""
OPERATORS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "@": "matmul",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
    "==": "equal", "!=": "not_equal",
    "&": "logical_and", "and": "logical_and", "|": "logical_or", "or": "logical_or",
}  # fmt: skip
SIGNS = {"-": "neg", "~": "logical_not", "not": "logical_not"}
TIGHT = "& and | bind tighter than comparisons: write (x > 0) & (y > 0)"


class Builder:
    """Makes the nodes of one text.

    Args:
        text: for the marks of errors.
        functions: what can be called, by name.
        values: of variables, by name.
        constants: names that stand for numbers.
        closed: whether variables and calls are refused.
    """

    def __init__(
        self,
        text: Text,
        functions: Mapping[str, Callable[..., Any]],
        values: Mapping[str, Any],
        constants: Mapping[str, Labelled],
        closed: bool = False,
    ) -> None:
        self.text = text
        self.functions = functions
        self.values = values
        self.constants = constants
        self.closed = closed
        self.variables: dict[str, Node] = {}
        self.assigned: dict[str, Node] = {}
        self._limit = MAX_VALUE if closed else MAX_ENTRIES
        self._fixed: set[Node] = set()

    def fault(self, message: str, part: Part | Token) -> NoReturn:
        """Raise a `ParseError` that marks this part."""
        raise self.text.fault(message, part.start, part.end)

    def make(
        self, start: int, end: int, function: Callable[..., Any], *args: Any, **settings: Any
    ) -> Part:
        """Return what the function gives, as the meaning of this stretch; mark its errors."""
        try:
            with making(source=self.text.source(start, end)):
                node = function(*args, **settings)
        except GraphError as problem:
            message = f"{problem}{self._scalars(problem)}"
            raise self.text.fault(message, start, end, type(problem)) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
            # A setting of a kind the function did not foresee, such as reshape(x, True).
            primitive = args[0] if function is apply else function
            name = getattr(primitive, "__name__", "this")
            message = f"{name} cannot take these settings: {problem}"
            raise self.text.fault(message, start, end) from None
        return Part(self._checked(node, start, end), start, end)

    def _checked(self, node: Any, start: int, end: int) -> Node:
        if not isinstance(node, Node):
            raise self.text.fault("this gives no single node", start, end)
        if node.inputs and node.size > self._limit:
            raise self.text.fault(f"this would have more than {self._limit} entries", start, end)
        constant = node.op != "variable" and all(x in self._fixed for x in node.inputs)
        if constant and node.size <= MAX_KNOWN:
            self._fixed.add(node)
        return node

    def _scalars(self, problem: GraphError) -> str:
        missing = [repr(n.name) for n in self.variables.values() if n.name not in self.values]
        if not isinstance(problem, ShapeError) or not missing:
            return ""
        return f"; variables without a value are taken for scalars: {', '.join(missing)}"

    # -- names -------------------------------------------------------------------------------

    def name(self, token: Token) -> Part:
        """Return what a name stands for: an assigned node, a constant or a variable."""
        name = token.text
        for known in (self.assigned, self.variables):
            if name in known:
                return Part(known[name], token.start, token.end)
        if name in self.functions:
            self.fault(f"{name!r} is a function: write {name}(…), or take another name", token)
        if name in self.constants and name not in self.values:
            return Part(self.constants[name], token.start, token.end)
        if self.closed:
            self.fault(f"{name!r} is no number: a value is made of numbers and lists", token)
        part = self.make(token.start, token.end, var, name, self.values.get(name))
        self.variables[name] = part.value
        self._limit += 10 * part.value.size
        return part

    def assign(self, token: Token, part: Part) -> Part:
        """Bind a name, and label the node with it unless the node has a name already."""
        name = token.text
        if name in self.functions:
            self.fault(f"{name!r} is a function: assign to another name", token)
        if name in self.assigned:
            self.fault(f"{name!r} is assigned twice: take a new name", token)
        if name in self.variables:
            self.fault(f"{name!r} is used as a variable before this: take a new name", token)
        node = self.node(part)
        self.assigned[name] = node
        if not node.name:
            node.name = name
        return Part(node, part.start, part.end)

    # -- literals ----------------------------------------------------------------------------

    def node(self, part: Part, dtype: Dtype = FLOAT64) -> Node:
        """Return the node a part stands for; literals become constants of type `dtype`."""
        value = part.value
        if isinstance(value, Node):
            return value
        if isinstance(value, list):
            self._size(part)
            return self._array(part, dtype)
        if not is_number(value):
            self.fault(
                "True, False, None and tuples are settings, as in sum(x, axis=(0, 1)); a vector "
                "is written [1, 2], a mask x > 0",
                part,
            )
        if dtype is INT64 and (type(value) is not int or abs(value) >= 2**53):
            dtype = FLOAT64
        number = value if dtype is INT64 else float(value)  # NumPy has no integers above 2**64
        label = value.label if isinstance(value, Labelled) else None
        node: Node = self.make(part.start, part.end, const, number, dtype, label).value
        return node

    def nodes(self, parts: Sequence[Part]) -> list[Node]:
        """Return the nodes of several parts; numbers take the type of the arrays they meet."""
        met = {p.value.dtype for p in parts if isinstance(p.value, Node)} - {BOOL}
        dtype = met.pop() if len(met) == 1 else FLOAT64
        return [self.node(p, dtype) for p in parts]

    def _array(self, part: Part, dtype: Dtype) -> Node:
        numbers = plain(part)
        if is_numeric(numbers):
            if dtype is INT64 and np.array(numbers).dtype.kind != "i":
                dtype = FLOAT64
            array = np.array(numbers, dtype)
            made = self.make(part.start, part.end, const, array, dtype)
        else:
            made = self.make(part.start, part.end, TABLE["stack"], self.nodes(part.value))
        node: Node = made.value
        return node

    def _size(self, part: Part) -> Shape:
        """Return the shape of a literal, and refuse rows that differ."""
        if isinstance(part.value, Node):
            return part.value.shape
        if not isinstance(part.value, list):
            return ()
        if not part.value:
            self.fault("an empty list has no entries: write at least one", part)
        sizes = [self._size(row) for row in part.value]
        for row, size in zip(part.value, sizes, strict=True):
            if size != sizes[0]:
                message = f"ragged: this entry has shape {size}, the first has {sizes[0]}"
                self.fault(message, row)
        return (len(sizes), *sizes[0])

    # -- operations --------------------------------------------------------------------------

    def unary(self, sign: Token, part: Part) -> Part:
        """Return ``-x``, ``+x``, ``~x`` or ``not x``; a minus before a number belongs to it."""
        if is_number(part.value) and sign.text in "+-":
            value = -part.value if sign.text == "-" else part.value
            return Part(value, sign.start, part.end)
        node = self.node(part)
        if sign.text == "+":
            return Part(node, sign.start, part.end)
        return self.make(sign.start, part.end, apply, TABLE[SIGNS[sign.text]], (node,))

    def binary(self, sign: str, left: Part, right: Part) -> Part:
        """Return ``left sign right`` for any operator with two operands."""
        start, end = left.start, right.end
        if sign == "**":
            return self.power(left, right, start, end)
        pair = self.nodes([left, right])
        if sign in "&|" and any(node.dtype is not BOOL for node in pair):
            wrong = left if pair[0].dtype is not BOOL else right
            message = f"{sign} joins masks, and this is none; {TIGHT}"
            raise self.text.fault(message, wrong.start, wrong.end, DtypeError)
        return self.make(start, end, apply, TABLE[OPERATORS[sign]], pair)

    def power(self, base: Part, exponent: Part, start: int, end: int) -> Part:
        """Return ``base ** exponent``; an exponent without variables has to be of a sane size."""
        value = exponent.value
        if is_number(value):
            operands: list[Any] = [self.node(base), value]
        else:
            operands = self.nodes([base, exponent])
            value = operands[1].value if operands[1] in self._fixed else 1
        if not np.all(np.abs(value) <= MAX_EXPONENT):
            largest = max(np.ravel(value), key=abs)
            self.fault(
                f"exponent {largest:g}: expected between -{MAX_EXPONENT} and {MAX_EXPONENT}",
                exponent,
            )
        return self.make(start, end, pow, *operands)

    def compare(self, parts: Sequence[Part], signs: Sequence[str]) -> Part:
        """Return ``a < b < c …``: every comparison of neighbours, joined by and."""
        left, result = parts[0], None
        for sign, right in zip(signs, parts[1:], strict=True):
            pair = self.nodes([left, right])
            one = self.make(left.start, right.end, apply, TABLE[OPERATORS[sign]], pair)
            result = one if result is None else self.binary("and", result, one)
            left = Part(pair[1], right.start, right.end)
        assert result is not None
        return result

    def choose(self, condition: Part, yes: Part, no: Part) -> Part:
        """Return ``yes if condition else no``."""
        mask = self.node(condition)
        return self.make(yes.start, no.end, TABLE["where"], mask, *self.nodes([yes, no]))

    def index(self, part: Part, places: Sequence[Any], end: int) -> Part:
        """Return ``part[places]``."""
        key = tuple(places) if len(places) > 1 else places[0]
        return self.make(part.start, end, index, self.node(part), key)

    def attribute(self, part: Part, name: Token) -> Part:
        """Return ``part.T``, and refuse any other attribute."""
        if name.text != "T":
            known = name.text in self.functions
            hint = f"write {name.text}(…)" if known else "only .T, the transpose, is allowed"
            self.fault(f"attribute .{name.text} is not in the grammar: {hint}", name)
        return self.make(part.start, name.end, TABLE["transpose"], self.node(part))
