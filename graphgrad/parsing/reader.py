"""The meaning of expression trees: a walk that makes nodes of the kinds of tree it knows.

What one can do: let a `Reader` run the statements of a text, or ask it what one tree means. What
goes wrong while a node is made is raised with the place in the text marked.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from graphgrad.context import making
from graphgrad.dtypes import BOOL, FLOAT64, INT64, Dtype
from graphgrad.errors import DtypeError, GraphError, ParseError, ShapeError
from graphgrad.graph import Node, const, var
from graphgrad.ops.arithmetic import pow
from graphgrad.ops.index import index
from graphgrad.parsing.calls import call
from graphgrad.parsing.excerpt import Text
from graphgrad.parsing.scan import span
from graphgrad.primitive import TABLE
from graphgrad.shapes import Shape

__all__ = ["MAX_DEPTH", "PI", "Labelled", "Reader"]

MAX_DEPTH = 100
"""How deep signs, calls, lists, powers and choices may stand inside one another."""
MAX_EXPONENT = 1000
MAX_ENTRIES = 10**7
"""The most entries a node may have; ten times those of every given value are added to it."""
MAX_VALUE = 10**6
"""The most entries of an intermediate result in the text of a value."""
MAX_KNOWN = 10**4
"""The most entries of a constant result that is looked at while the graph is built."""
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul",
    ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal",
    ast.Eq: "equal", ast.NotEq: "not_equal", ast.USub: "neg",
    ast.BitAnd: "logical_and", ast.And: "logical_and", ast.Invert: "logical_not",
    ast.BitOr: "logical_or", ast.Or: "logical_or", ast.Not: "logical_not",
}  # fmt: skip
FIRST: dict[type[ast.expr], str] = {
    ast.BinOp: "left", ast.Compare: "left", ast.IfExp: "body", ast.Subscript: "value",
    ast.Attribute: "value",
}  # fmt: skip
"""What stands leftmost in a tree. Chains of these, such as sums, are read without recursion."""
SETTINGS = (
    "True, False, None, ... and tuples are settings, as in sum(x, axis=(0, 1)); a vector is "
    "written [1, 2], a mask x > 0"
)
TIGHT = "& and | bind tighter than comparisons: write (x > 0) & (y > 0)"
Tree = ast.expr | ast.keyword | ast.stmt


class Labelled(float):
    """A number with a name of its own, such as π."""

    label: str

    def __new__(cls, value: float, label: str) -> Labelled:
        number = super().__new__(cls, value)
        number.label = label
        return number

    def __neg__(self) -> Labelled:
        return Labelled(-float(self), "−" + self.label)


PI = dict.fromkeys(("pi", "π"), Labelled(math.pi, "π"))


class Reader:
    """Gives trees their meaning: a node, or a literal that may yet turn out to be a setting.

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
        constants: Mapping[str, float],
        closed: bool = False,
    ) -> None:
        self.text = text
        self.functions = functions
        self.values = values
        self.constants = constants
        self.closed = closed
        self.variables: dict[str, Node] = {}
        self.assigned: dict[str, Node] = {}
        self._meanings: dict[ast.expr, Any] = {}
        self._depth = 0
        self._limit = MAX_VALUE if closed else MAX_ENTRIES
        self._fixed: set[Node] = set()

    def fault(self, message: str, tree: Tree, kind: type[GraphError] = ParseError) -> NoReturn:
        """Raise an error that marks this tree."""
        raise self.text.fault(message, *span(tree), kind)

    def run(self, trees: Sequence[ast.stmt]) -> Node:
        """Return the node of the last statement."""
        if not trees:
            end = len(self.text.text.rstrip())
            raise self.text.fault("no expression: expected one such as x*w + b", end)
        for tree in trees:
            match tree:
                case ast.Assign([ast.Name() as name], value):
                    node = self._assign(name, self.node(value))
                case ast.Expr(value) if tree is trees[-1]:
                    node = self.node(value)
                case ast.Expr():
                    message = "this value is not used: give it a name, as in y = …, or put it last"
                    self.fault(message, tree)
                case ast.Assign():
                    self.fault("one name is assigned per statement, and == compares", tree)
                case _:
                    self.fault("a statement is an expression or name = expression", tree)
        return node

    def _assign(self, name: ast.Name, node: Node) -> Node:
        """Bind a name, and label the node with it unless the node has a name already."""
        for names, problem in (
            (self.functions, "is a function: assign to another name"),
            (self.assigned, "is assigned twice: take a new name"),
            (self.variables, "is used as a variable before this: take a new name"),
        ):
            if name.id in names:
                self.fault(f"{name.id!r} {problem}", name)
        self.assigned[name.id] = node
        if not node.name:
            node.name = name.id
        return node

    # -- trees -------------------------------------------------------------------------------

    def read(self, tree: ast.expr) -> Any:
        """Return what a tree means: a node, or a literal as Python has it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels inside one another: assign parts to names"
            self.fault(message, tree)
        chain = [tree]
        while chain[-1] not in self._meanings and type(chain[-1]) in FIRST:
            chain.append(getattr(chain[-1], FIRST[type(chain[-1])]))
        for part in reversed(chain):
            if part not in self._meanings:
                self._meanings[part] = self._read(part)
            if part is not tree and isinstance(self._meanings[part], list):
                self.node(part)  # so that nodes are made in the order of writing
        self._depth -= 1
        return self._meanings[tree]

    def _read(self, tree: ast.expr) -> Any:
        match tree:
            case ast.Constant(value) if isinstance(value, int | float | None) or value is ...:
                return value
            case ast.Name():
                return self._name(tree)
            case ast.List(parts):
                return [self.read(part) for part in parts]
            case ast.Tuple(parts):
                return tuple([self.read(part) for part in parts])
            case ast.UnaryOp(op, operand):
                return self._unary(tree, op, operand)
            case ast.BinOp(left, ast.Pow(), right):
                return self.power(tree, left, right)
            case ast.BinOp(left, op, right):
                return self._binary(tree, left, op, right)
            case ast.BoolOp(op, parts):
                return self._joined(tree, op, [self.node(part) for part in parts])
            case ast.Compare(left, ops, parts):
                return self._compare(tree, ops, [left, *parts])
            case ast.IfExp(condition, yes, no):
                mask = self.node(condition)
                return self.make(tree, TABLE["where"], mask, *self.nodes([yes, no]))
            case ast.Subscript(value, key):
                return self.make(tree, index, self.node(value), self._key(key))
            case ast.Attribute(value, "T"):
                return self.make(tree, TABLE["transpose"], self.node(value))
            case ast.Attribute(_, name):
                known = name in self.functions
                hint = f"write {name}(…)" if known else "only .T, the transpose, is allowed"
                self.fault(f"attribute .{name} is not in the grammar: {hint}", tree)
            case ast.Call(ast.Name() as name):
                return call(self, tree, name)
            case ast.Call(function):
                self.read(function)
                self.fault("only a named function can be called: for a product write *", function)
        self.fault(f"{type(tree).__name__.lower()} is not in the grammar", tree)

    def _name(self, tree: ast.Name) -> Any:
        """Return what a name stands for: an assigned node, a constant or a variable."""
        name = tree.id
        for known in (self.assigned, self.variables):
            if name in known:
                return known[name]
        if name in self.functions:
            self.fault(f"{name!r} is a function: write {name}(…), or take another name", tree)
        if name in self.constants and name not in self.values:
            return self.constants[name]
        if self.closed:
            self.fault(f"{name!r} is no number: a value is made of numbers and lists", tree)
        node = self.variables[name] = self.make(tree, var, name, self.values.get(name))
        self._limit += 10 * node.size
        return node

    def _unary(self, tree: ast.expr, op: ast.unaryop, operand: ast.expr) -> Any:
        """Return ``-x``, ``+x``, ``~x`` or ``not x``; a minus before a number belongs to it."""
        value = self.read(operand)
        if isinstance(op, ast.USub) and is_number(value):
            return -value
        if isinstance(op, ast.UAdd):
            return value if is_number(value) else self.node(operand)
        return self._apply(tree, op, self.node(operand))

    def _binary(self, tree: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr) -> Node:
        pair = self.nodes([left, right])
        if isinstance(op, ast.BitAnd | ast.BitOr):
            for part, node in zip((left, right), pair, strict=True):
                if node.dtype is not BOOL:
                    self.fault(f"& and | join masks, and this is none; {TIGHT}", part, DtypeError)
        return self._apply(tree, op, *pair)

    def power(self, tree: ast.expr, base: ast.expr, exponent: ast.expr) -> Node:
        """Return ``base ** exponent``; an exponent without variables has to be of a sane size."""
        self.read(base)
        value = self.read(exponent)
        if is_number(value):
            operands = [self.node(base), value]
        else:
            operands = self.nodes([base, exponent])
            value = operands[1].value if operands[1] in self._fixed else 1
        if not np.all(np.abs(value) <= MAX_EXPONENT):
            largest = max(np.ravel(value), key=abs)
            self.fault(
                f"exponent {largest:g}: expected between -{MAX_EXPONENT} and {MAX_EXPONENT}",
                exponent,
            )
        return self.make(tree, pow, *operands)

    def _compare(self, tree: ast.expr, ops: list[ast.cmpop], parts: list[ast.expr]) -> Node:
        """Return ``a < b < c …``: every comparison of neighbours, joined by and."""
        found = [
            self._apply(tree, op, *self.nodes(parts[k : k + 2])) for k, op in enumerate(ops)
        ]
        return self._joined(tree, ast.And(), found)

    def _joined(self, tree: ast.expr, op: ast.boolop, masks: list[Node]) -> Node:
        result, *others = masks
        for mask in others:
            result = self._apply(tree, op, result, mask)
        return result

    def _apply(self, tree: ast.expr, op: ast.AST, *nodes: Node) -> Node:
        if type(op) not in OPERATORS:
            self.fault(f"{type(op).__name__.lower()} is not in the grammar", tree)
        return self.make(tree, TABLE[OPERATORS[type(op)]], *nodes)

    def _key(self, tree: ast.expr) -> Any:
        """Return what stands between the brackets of ``x[0, 1:3, ..., None]``."""
        match tree:
            case ast.Tuple(parts):
                return tuple([self._key(part) for part in parts])
            case ast.Slice():
                bounds = [tree.lower, tree.upper, tree.step]
                return slice(*(bound and self._bound(bound) for bound in bounds))
        return self.setting(tree)

    def _bound(self, tree: ast.expr) -> int:
        value = self.read(tree)
        if type(value) is not int:
            self.fault("the bounds of a slice are integers, as in x[1:3]", tree)
        return value

    # -- nodes -------------------------------------------------------------------------------

    def make(self, tree: ast.expr, function: Callable[..., Any], *args: Any, **more: Any) -> Node:
        """Return the node that the function gives for this tree; mark its errors."""
        try:
            with making(source=self.text.source(*span(tree))):
                node = function(*args, **more)
        except GraphError as problem:
            missing = [repr(name) for name in self.variables if name not in self.values]
            hint = f"; variables without a value are taken for scalars: {', '.join(missing)}"
            shown = isinstance(problem, ShapeError) and missing
            raise self.text.fault(
                f"{problem}{hint if shown else ''}", *span(tree), type(problem)
            ) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
            # A setting of a kind the function did not foresee, such as reshape(x, True).
            name = getattr(function, "__name__", "this")
            message = f"{name} cannot take these settings: {problem}"
            raise self.text.fault(message, *span(tree)) from None
        if not isinstance(node, Node):
            self.fault("this gives no single node", tree)
        if node.inputs and node.size > self._limit:
            self.fault(f"this would have more than {self._limit} entries", tree)
        if node.op != "variable" and node.size <= MAX_KNOWN and self._fixed.issuperset(node.inputs):
            self._fixed.add(node)
        return node

    def node(self, tree: ast.expr, dtype: Dtype = FLOAT64) -> Node:
        """Return the node of a tree; literals become constants of type `dtype`."""
        value = self.read(tree)
        if not isinstance(value, Node):
            value = self._meanings[tree] = self._constant(tree, value, dtype)
        return value

    def nodes(self, trees: Sequence[ast.expr]) -> list[Node]:
        """Return the nodes of several trees; numbers take the type of the arrays they meet."""
        values = [self.read(tree) for tree in trees]
        met = {value.dtype for value in values if isinstance(value, Node)} - {BOOL}
        dtype = met.pop() if len(met) == 1 else FLOAT64
        return [self.node(tree, dtype) for tree in trees]

    def setting(self, tree: ast.expr) -> Any:
        """Return a literal as it is written, but a list with nodes in it as one node."""
        value = self.read(tree)
        mixed = isinstance(value, list) and any(isinstance(x, Node) for x in leaves(value))
        return self.node(tree) if mixed else value

    def _constant(self, tree: ast.expr, value: Any, dtype: Dtype) -> Node:
        self._shape(tree)
        entries = list(leaves(value))
        if any(isinstance(x, Node) for x in entries):
            assert isinstance(tree, ast.List)
            return self.make(tree, TABLE["stack"], self.nodes(tree.elts))
        if dtype is INT64 and not all(type(x) is int and abs(x) < 2**53 for x in entries):
            dtype = FLOAT64
        if not isinstance(value, list):
            label = value.label if isinstance(value, Labelled) else None
            number = value if dtype is INT64 else float(value)  # NumPy's integers end at 2**64
            return self.make(tree, const, number, dtype, label)
        return self.make(tree, const, np.array(value, dtype), dtype)

    def _shape(self, tree: ast.expr) -> Shape:
        """Return the shape of a literal; refuse rows that differ, and what is no number."""
        value = self.read(tree)
        if isinstance(value, Node):
            return value.shape
        if not isinstance(tree, ast.List):
            if not is_number(value):
                self.fault(SETTINGS, tree)
            return ()
        if not tree.elts:
            self.fault("an empty list has no entries: write at least one", tree)
        shapes = [self._shape(part) for part in tree.elts]
        for part, shape in zip(tree.elts, shapes, strict=True):
            if shape != shapes[0]:
                message = f"ragged: this entry has shape {shape}, the first has {shapes[0]}"
                self.fault(message, part)
        return (len(shapes), *shapes[0])


def is_number(value: Any) -> bool:
    """Return whether a literal is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def leaves(value: Any) -> Iterator[Any]:
    """Yield what is in a list, however deep, or the value itself."""
    if isinstance(value, list):
        for part in value:
            yield from leaves(part)
    else:
        yield value
