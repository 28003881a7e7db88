"""The meaning of expression trees: a walk that makes nodes of the kinds of tree it knows.

What one can do: let a `Reader` run the statements of a text, or ask it what one tree means. What
goes wrong while a node is made is raised with the place in the text marked.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NoReturn

import numpy as np

from graphgrad.context import making
from graphgrad.dtypes import BOOL, FLOAT64, INT64, Dtype
from graphgrad.errors import DtypeError, GraphError, ParseError, ShapeError
from graphgrad.graph import Node, const, var
from graphgrad.ops.arithmetic import pow
from graphgrad.ops.index import index
from graphgrad.parsing.calls import call, vocabulary
from graphgrad.parsing.excerpt import Text
from graphgrad.parsing.scan import Tree, span, statements
from graphgrad.primitive import TABLE

__all__ = ["MAX_DEPTH", "Reader"]

MAX_DEPTH = 100
"""How deep signs, calls, lists, powers and choices may stand inside one another."""
MAX_EXPONENT = 1000
MAX_ENTRIES = 10**7
"""The most entries a node may have; ten times those of every given value are added to it."""
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
NUMBERS = {"pi": math.pi, "π": math.pi, "inf": math.inf, "nan": math.nan}
SETTINGS = (
    "True, False, None, ... and tuples are settings, as in sum(x, axis=(0, 1)); a vector is "
    "written [1, 2], a mask x > 0"
)
TIGHT = "& and | join masks, and bind tighter than comparisons: write (x > 0) & (y > 0)"


@dataclass
class Reader:
    """Gives trees their meaning: a node, or a literal that may yet turn out to be a setting.

    Args:
        text: the statements.
        values: of variables, by name.
        closed: whether variables and calls are refused.
    """

    text: Text
    values: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=vocabulary)
    variables: dict[str, Node] = field(default_factory=dict)
    assigned: dict[str, Node] = field(default_factory=dict)
    _meanings: dict[ast.AST, Any] = field(default_factory=dict)
    _fixed: set[Node] = field(default_factory=set)
    _depth: int = 0
    _room: int = MAX_ENTRIES

    def fault(self, message: str, tree: Tree, kind: type[GraphError] = ParseError) -> NoReturn:
        """Raise an error that marks this tree."""
        raise self.text.fault(message, *span(tree), kind)

    # -- statements --------------------------------------------------------------------------

    def run(self, wanted: str, only: type[ast.stmt] | None = None) -> Node:
        """Return the node of the last statement, or of the one there may be of the kind `only`."""
        end = len(self.text.text.rstrip())
        try:
            trees = statements(self.text)
            if not trees or (only and [*map(type, trees)] != [only]):
                raise self.text.fault(f"expected {wanted}", 0 if trees else end, end)
            self._check_values(trees)
            return [self._statement(tree, tree is trees[-1]) for tree in trees][-1]
        except RecursionError:
            message = "too deeply nested for what is left of Python's stack: assign parts to names"
            raise self.text.fault(message, 0) from None

    def _check_values(self, trees: list[ast.stmt]) -> None:
        """Refuse a value for a name that is not in the text."""
        nodes = [node for tree in trees for node in ast.walk(tree)]
        names = {n.id for n in nodes if isinstance(n, ast.Name)} - self.functions.keys()
        for name in self.values:
            if name not in names:
                listed = ", ".join(map(repr, sorted(names)[:20])) or "none"
                message = f"a value is given for {name[:100]!r}, but the names in the text are"
                raise ParseError(f"{message} {listed}")

    def _statement(self, tree: ast.stmt, last: bool) -> Node:
        match tree:
            case ast.Expr(value) if last:
                return self.node(value)
            case ast.Expr():
                self.fault("this value is not used: write y = … before it, or put it last", tree)
            case ast.Assign([ast.Name() as name], value):
                return self._assign(name, self.node(value))
        self.fault("a statement is an expression, or one name = expression", tree)

    def _assign(self, name: ast.Name, node: Node) -> Node:
        """Bind a name, and label the node with it unless the node has a name already."""
        for taken, problem in (
            (self.functions, "is a function: assign to another name"),
            (self.assigned, "is assigned twice: take a new name"),
            (self.variables, "is used as a variable before this: take a new name"),
            (self.values, "is given a value, but the text assigns it: drop one of them"),
        ):
            if name.id in taken:
                self.fault(f"{name.id!r} {problem}", name)
        self.assigned[name.id] = node
        if not node.name:
            node.name = name.id
        return node

    # -- expressions -------------------------------------------------------------------------

    def read(self, tree: ast.expr) -> Any:
        """Return what a tree means: a node, or a literal as Python has it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels inside one another: assign parts to names"
            self.fault(message, tree)
        if tree not in self._meanings:
            chain = [tree]
            while type(chain[-1]) in FIRST and chain[-1] not in self._meanings:
                chain.append(getattr(chain[-1], FIRST[type(chain[-1])]))
            for part in reversed(chain[1:]):
                self.setting(part)  # a list with nodes in it is made before what follows it
            self._meanings[tree] = self._read(tree)
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
            case ast.UnaryOp(ast.UAdd() | ast.USub() as op, part) if self._is_number(part):
                value = self.read(part)  # a sign before a number belongs to it
                return -value if isinstance(op, ast.USub) else value
            case ast.UnaryOp(ast.UAdd(), part):
                return self.node(part)
            case ast.UnaryOp(op, part):
                return self._apply(tree, op, self.node(part))
            case ast.BinOp(left, ast.Pow(), right):
                return self.power(tree, left, right)
            case ast.BinOp(left, op, right):
                pair = self.nodes([left, right])
                if isinstance(op, ast.BitAnd | ast.BitOr) and {n.dtype for n in pair} != {BOOL}:
                    wrong = left if pair[0].dtype is not BOOL else right
                    self.fault(f"this is no mask: {TIGHT}", wrong, DtypeError)
                return self._apply(tree, op, *pair)
            case ast.BoolOp(op, parts):
                return reduce(partial(self._apply, tree, op), map(self.node, parts))
            case ast.Compare(left, ops, rights):
                pairs = zip(ops, [left, *rights], rights)
                masks = [self._apply(tree, op, *self.nodes(pair)) for op, *pair in pairs]
                return reduce(partial(self._apply, tree, ast.And()), masks)
            case ast.IfExp(condition, yes, no):
                mask = self.node(condition)
                return self.make(tree, TABLE["where"], mask, *self.nodes([yes, no]))
            case ast.Slice(low, high, step):
                bounds = [part and self.read(part) for part in (low, high, step)]
                if any(bound is not None and type(bound) is not int for bound in bounds):
                    self.fault("the bounds of a slice are integers, as in x[1:3]", tree)
                return slice(*bounds)
            case ast.Subscript(value, key):
                return self.make(tree, index, self.node(value), self.setting(key))
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
                self.fault("only a named function can be called: for a product write *", tree)
        self.fault(f"what Python calls {type(tree).__name__} is not in the grammar", tree)

    def _name(self, tree: ast.Name) -> Any:
        """Return what a name stands for: an assigned node, a constant or a variable."""
        name = tree.id
        for known in (self.assigned, self.variables):
            if name in known:
                return known[name]
        if name in self.functions:
            self.fault(f"{name!r} is a function: write {name}(…), or take another name", tree)
        if name in NUMBERS and name not in self.values:
            return NUMBERS[name]
        if self.closed:
            self.fault(f"{name!r} is no number: a value is made of numbers and lists", tree)
        node = self.variables[name] = self.make(tree, var, name, self.values.get(name))
        self._room += 10 * node.size
        return node

    def power(self, tree: ast.expr, base: ast.expr, exponent: ast.expr) -> Node:
        """Return ``base ** exponent``; an exponent without variables has to be of a sane size."""
        if self._is_number(exponent):
            operands = [self.node(base), self.read(exponent)]
            value = operands[1]
        else:
            operands = self.nodes([base, exponent])
            value = operands[1].value if operands[1] in self._fixed else 0
        if not np.all(np.abs(value) <= MAX_EXPONENT):
            largest = max(np.ravel(value), key=abs)
            self.fault(f"exponent {largest:g}: at most {MAX_EXPONENT} in size is allowed", exponent)
        return self.make(tree, pow, *operands)

    def _apply(self, tree: ast.expr, op: ast.AST, *nodes: Node) -> Node:
        if type(op) not in OPERATORS:
            self.fault(f"what Python calls {type(op).__name__} is not in the grammar", tree)
        return self.make(tree, TABLE[OPERATORS[type(op)]], *nodes)

    # -- nodes -------------------------------------------------------------------------------

    def make(self, tree: ast.expr, function: Callable[..., Any], *args: Any, **more: Any) -> Node:
        """Return the node that the function gives for this tree; mark its errors."""
        try:
            with making(source=self.text.source(*span(tree))):
                node = function(*args, **more)
        except GraphError as problem:
            free = [repr(name) for name in self.variables if name not in self.values]
            hint = f"; variables without a value are taken for scalars: {', '.join(free)}"
            message = f"{problem}{hint if free and isinstance(problem, ShapeError) else ''}"
            raise self.text.fault(message, *span(tree), type(problem)) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
            # A setting of a kind the function did not foresee, such as reshape(x, True).
            message = f"{function.__name__} cannot take these settings: {problem}"
            raise self.text.fault(message, *span(tree)) from None
        if not isinstance(node, Node):
            self.fault("this gives no single node", tree)
        if node.inputs and node.size > self._room:
            self.fault(f"this would have more than {self._room} entries", tree)
        if node.op != "variable" and node.size <= MAX_KNOWN and self._fixed.issuperset(node.inputs):
            self._fixed.add(node)
        return node

    def node(self, tree: ast.expr, dtype: Dtype = FLOAT64) -> Node:
        """Return the node of a tree; literals become constants of type `dtype`."""
        if not isinstance(self.read(tree), Node):
            self._meanings[tree] = self._constant(tree, dtype)
        return self._meanings[tree]

    def nodes(self, trees: Sequence[ast.expr], dtype: Dtype = FLOAT64) -> list[Node]:
        """Return the nodes of several trees; numbers take the type of the arrays they meet."""
        values = [self.read(tree) for tree in trees]
        met = {value.dtype for value in values if isinstance(value, Node)} - {BOOL}
        common = met.pop() if len(met) == 1 else dtype
        return [self.node(tree, common) for tree in trees]

    def setting(self, tree: ast.expr) -> Any:
        """Return a literal as it is written, but a list with nodes in it as one node."""
        value = self.read(tree)
        if isinstance(tree, ast.Tuple):
            return tuple([self.setting(part) for part in tree.elts])
        inside = ast.walk(tree) if isinstance(value, list) else ()
        mixed = any(isinstance(self._meanings.get(part), Node) for part in inside)
        return self.node(tree) if mixed else value

    def _is_number(self, tree: ast.expr) -> bool:
        return type(self.read(tree)) in (int, float)  # neither a node nor True nor False

    def _constant(self, tree: ast.expr, dtype: Dtype) -> Node:
        if isinstance(tree, ast.List):
            return self._list(tree, self.nodes(tree.elts, dtype))
        if not self._is_number(tree):
            self.fault(SETTINGS, tree)
        value = self.read(tree)
        if dtype is INT64 and (type(value) is float or abs(value) >= 2**53):
            dtype = FLOAT64
        names = [n.id.replace("pi", "π") for n in ast.walk(tree) if isinstance(n, ast.Name)]
        label = "−" * ast.unparse(tree).count("-") + names[0] if names else None
        return self.make(tree, const, value if dtype is INT64 else float(value), dtype, label)

    def _list(self, tree: ast.List, rows: list[Node]) -> Node:
        """Return the node of a list; numbers without a name become one constant."""
        if not rows:
            self.fault("an empty list has no entries: write at least one", tree)
        for part, row in zip(tree.elts, rows):
            if row.shape != rows[0].shape:
                shapes = f"this entry has shape {row.shape}, the first has {rows[0].shape}"
                self.fault(f"ragged: {shapes}", part)
        if any(row.op != "constant" or row.name for row in rows):
            return self.make(tree, TABLE["stack"], rows)
        dtype = np.result_type(*{row.dtype for row in rows})
        return self.make(tree, const, [row.value for row in rows], dtype)
