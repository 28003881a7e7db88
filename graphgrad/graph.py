"""Nodes: the graph itself. Variables, constants, operators as in NumPy, values that stay fresh.

A `Node` is one use of a primitive, and never changes but for its name; a variable's value can be
set, and every value that depends on it is computed anew when next asked for, and only then. Nodes
are numbered as they are made, so sorting by number is a topological order: the order of writing.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np

from graphgrad import dtypes, operators
from graphgrad.context import Source, caller, here
from graphgrad.display import Pictured
from graphgrad.dtypes import Dtype
from graphgrad.errors import DtypeError, GraphError, MissingValueError, ShapeError
from graphgrad.lengths import Length, Share, lengths_of
from graphgrad.locks import lock_of
from graphgrad.operators import Operators, later
from graphgrad.primitive import Primitive, Settings
from graphgrad.shapes import Shape, as_shape

__all__ = ["Edge", "Node", "ancestors", "const", "evaluate", "var"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
NumberOrArray: TypeAlias = "float | int | bool | Array"

_serial = itertools.count()
_epoch = 1
_counting = threading.RLock()
_no_settings: dict[str, Any] = {}
by_serial = attrgetter("serial")


def _leaf(name: str, doc: str) -> Primitive:
    def none(*_: Any) -> Any:
        raise AssertionError("a leaf is never computed")

    return Primitive(name, doc, forward=none, shape=none, dtype=none, kind="leaf")


VARIABLE = _leaf("variable", "A leaf whose value can be set.")
CONSTANT = _leaf("constant", "A leaf whose value never changes.")


class Node(Pictured, Operators):
    """One use of a primitive: ordered inputs, shape, data type, name, scope, source line.

    Attributes:
        op (str): the primitive's name; ``"variable"`` or ``"constant"`` for leaves.
        primitive (Primitive): its record in the rule book.
        inputs (tuple[Node, ...]): in order; ``x * x`` has the same node twice.
        settings (dict): what is no input, such as ``{"axis": (0,), "keepdims": False}``.
        shape (tuple[int, ...]), dtype (numpy.dtype), ndim (int), size (int).
        name (str): shown in pictures and formulas; assign to it to label a node.
        scope (str): the groups it was made in, as a path such as ``"network/hidden"``.
        source (Source | None): the line of Python, or the position in the text, that made it.
        active (bool): whether a gradient can flow through it to some variable.
        origin (Node | None): for a node of a gradient graph, the node it differentiates.
        value: a Python number when the shape is ``()``, else a read-only NumPy array.
        grad: the adjoint from the last `backward`, like `value`; None when there was none.

    ``==`` between nodes is identity, so nodes can be keys; `gg.equal` compares values. (Beside an
    array NumPy takes ``==`` over, and makes an `equal` node.)
    """

    __slots__ = (
        "__weakref__", "_changed", "_checked", "_grad", "_name", "_owner", "_value", "active",
        "dtype", "inputs", "origin", "primitive", "role", "scope", "serial", "settings", "shape",
        "source",
    )  # fmt: skip

    primitive: Primitive
    inputs: tuple[Node, ...]
    settings: Settings
    shape: Shape
    dtype: Dtype
    active: bool
    serial: int
    scope: str
    origin: Node | None
    source: Source | None
    role: str

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Node, ...],
        settings: Settings,
        shape: Shape,
        dtype: Dtype,
        active: bool,
    ) -> None:
        place = here()
        self.primitive = primitive
        self.inputs = inputs
        self.settings = settings
        self.shape = shape
        self.dtype = dtype
        self.active = active
        self.serial = next(_serial)
        self.scope = place.scope
        self.origin = place.origin
        self.source = place.source or caller()
        self.role = ""
        self._name = ""
        self._value: Any = None
        self._changed = 0
        self._checked = 0
        self._grad: Any = None
        self._owner: Any = None

    # -- what it is ------------------------------------------------------------------------

    @property
    def op(self) -> str:
        """The primitive's name; ``"variable"`` or ``"constant"`` for leaves."""
        return self.primitive.name

    @property
    def is_leaf(self) -> bool:
        """Whether it is a variable or a constant."""
        return self.primitive.kind == "leaf"

    @property
    def name(self) -> str:
        """The label; empty when nobody gave one."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f"name {name!r}: expected a non-empty string")
        self._name = name

    def named(self, name: str) -> Node:
        """Label this node and return it.

        Example:
            >>> import graphgrad as gg
            >>> (gg.var("x", 2.0) * 3).named("z").name
            'z'
        """
        self.name = name
        return self

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        n = 1
        for k in self.shape:
            n *= k
        return n

    def __repr__(self) -> str:
        label = f" {self._name}" if self._name else ""
        inner = ", ".join(describe(x) for x in self.inputs)
        body = f" = {self.op}({inner})" if self.inputs else f" ({self.op})"
        return f"<Node{label}{body} shape={self.shape} dtype={self.dtype}>"

    # -- numbers ---------------------------------------------------------------------------

    @property
    def value(self) -> NumberOrArray:
        """The current value; computed if something it depends on changed since last time.

        Raises:
            MissingValueError: when a variable it depends on has no value.
        """
        return public(refresh(self))

    @value.setter
    def value(self, new: Any) -> None:
        if self.primitive is not VARIABLE:
            raise GraphError(
                f"{describe(self)} is a {self.op}: only a variable's value can be set; "
                f"set the variables it depends on"
            )
        value = as_value(new, self.dtype, f"value of {describe(self)}")
        if value.shape != self.shape:
            raise ShapeError(
                f"{describe(self)} has shape {self.shape}; a value of shape {value.shape} does "
                f"not fit: give an array of that shape, or make a new variable"
            )
        _set(self, value)

    @property
    def grad(self) -> NumberOrArray | None:
        """The adjoint ∂L/∂self left by the last `backward`; None when none reached it."""
        return None if self._grad is None else public(self._grad)

    # -- as a number or a sequence -----------------------------------------------------------

    def _apply(self, primitive: Primitive, inputs: Sequence[Any], settings: Settings) -> Node:
        return apply(primitive, inputs, settings)

    def __len__(self) -> int:
        if not self.shape:
            raise DtypeError(f"{describe(self)} is a scalar and has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Node]:
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        raise DtypeError(
            f"the truth of {describe(self)} is not known while the graph is built: use gg.where "
            f"for a choice inside the graph, or .value for the current number"
        )

    def __float__(self) -> float:
        return float(self.value)

    def backward(self, accumulate: bool = False) -> None:
        """Compute the adjoint of every node this scalar depends on and leave it in `.grad`.

        Args:
            accumulate: add to the gradients that are there, as PyTorch does, in place of
                starting fresh.

        Raises:
            GradientError: when this node is no floating scalar.
            MissingValueError: when a variable has no value.

        Example:
            >>> import graphgrad as gg
            >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
            >>> loss = abs(4 - (x * w + b))
            >>> loss.backward()
            >>> w.grad, b.grad
            (2.0, 1.0)
        """
        BACKWARD(self, accumulate)


BACKWARD: Callable[[Node, bool], None] = later
"""What ``node.backward()`` does; the gradient module puts it here."""


class Edge(NamedTuple):
    """One arrow of the graph: into `node`, at input `position`. The local gradient lives here."""

    node: Node
    position: int

    @property
    def source(self) -> Node:
        """The input at the arrow's tail."""
        return self.node.inputs[self.position]


# -- making nodes ----------------------------------------------------------------------------


def apply(primitive: Primitive, operands: Sequence[Any], settings: Settings = _no_settings) -> Node:
    """Make the node ``primitive(*operands, **settings)``; plain operands become constants."""
    for x in operands:
        if not isinstance(x, Node):
            operands = _as_nodes(operands)
            break
    inputs: tuple[Node, ...] = tuple(operands)
    for x in inputs:
        if settings or x.shape:  # a shape may hold a `Length`, which only looks like another's
            return Node(primitive, inputs, settings, *_infer(primitive, inputs, settings))
    if len(inputs) == 2:
        a, b = inputs
        key: Any = (primitive, a.dtype, b.dtype, a.active, b.active)
    else:
        key = (primitive, *[(x.dtype, x.active) for x in inputs])
    known = _inferred.get(key)
    if known is None:
        if len(_inferred) >= MAX_INFERRED:
            _inferred.clear()
        known = _inferred[key] = _infer(primitive, inputs, settings)
    return Node(primitive, inputs, settings, *known)


MAX_INFERRED = 10_000
_inferred: dict[Any, tuple[Shape, Dtype, bool]] = {}
"""What `_infer` found before of scalars; most of a graph have neighbours of the same few kinds."""


operators.APPLY = apply


def _infer(
    primitive: Primitive, inputs: tuple[Node, ...], settings: Settings
) -> tuple[Shape, Dtype, bool]:
    """Return shape, type, and whether a gradient can flow through."""
    try:
        shape = primitive.shape(*[x.shape for x in inputs], **settings)
        dtype = primitive.dtype(*[x.dtype for x in inputs])
        dtype = settings.get("dtype", dtype)
    except (ShapeError, DtypeError) as problem:
        listed = ", ".join(f"{describe(x)}: {x.dtype}{list(x.shape)}" for x in inputs)
        raise type(problem)(f"{primitive.name}: {problem} (inputs {listed})") from None
    if dtypes.is_float(dtype):
        for i, x in enumerate(inputs):
            if x.active and primitive.has_rule(i):
                return shape, dtype, True
    return shape, dtype, False


def _as_nodes(operands: Sequence[Any]) -> list[Node]:
    # Python's own numbers take the type of the arrays they meet, as in NumPy: x32 * 2.0 is float32.
    meets = [x.dtype for x in operands if hasattr(x, "dtype") and x.dtype.kind != "b"]
    common = dtypes.promote(*map(dtypes.canonical, meets)) if meets else None
    return [x if isinstance(x, Node) else _constant(x, common) for x in operands]


def _constant(x: Any, common: Dtype | None) -> Node:
    kind = type(x)
    if kind in (Length, Share):
        node = _constant(int(x) if kind is Length else float(x), common)
        node.settings = {"rows": x}
        return node
    if common is None or kind not in (int, float):
        return const(x)
    weak = dtypes.FLOAT64 if kind is float and not dtypes.is_float(common) else common
    node = Node(CONSTANT, (), _no_settings, (), weak, False)
    exact = weak is dtypes.FLOAT64
    node._value = weak.type(x) if exact else as_value(x, weak, "constant")
    node._changed = 1
    return node


def const(value: Any, dtype: Any = None, name: str | None = None) -> Node:
    """Return a constant node.

    Args:
        value: a number, nested lists of numbers, or an array; it is copied.
        dtype: of the node; by default that of an array, float64 for floats, int64 for ints.
        name: a label.

    Raises:
        DtypeError: when `value` is no number or array of numbers.

    Example:
        >>> import graphgrad as gg
        >>> (gg.const(2.0) * gg.var("x", 3.0)).value
        6.0
    """
    array = as_value(value, dtype, "constant")
    counted = isinstance(value, Length | Share)
    settings = {"rows": value} if counted else _no_settings
    node = Node(CONSTANT, (), settings, array.shape, array.dtype, False)
    node._value, node._changed = array, 1
    if name is not None:
        node.name = name
    return node


def zeros(shape: Shape, dtype: Dtype) -> Node:
    """Return a constant of zeros, which knows where its shape comes from."""
    node = const(np.zeros(shape, dtype))
    if any(isinstance(n, Length) for n in shape):
        node.settings, node.shape = {"shape": shape}, shape
    return node


def var(
    name: str,
    value: Any = None,
    *,
    shape: int | Iterable[int] | None = None,
    dtype: Any = None,
    role: str | None = None,
) -> Node:
    """Return a variable: a leaf whose value can be set, and towards which one differentiates.

    Args:
        name: its label, any non-empty text.
        value: a number, nested lists, or an array; copied. None leaves it to be set later.
        shape: of a variable without a value; ``()`` by default.
        dtype: float64 by default, also for integers; a float32 or bool array keeps its type.
            Say ``dtype=int`` for a variable that holds indices.
        role: ``"input"`` (data, drawn blue) or ``"parameter"`` (drawn green). By default
            names that begin with x, y or t are inputs, as in most textbooks.

    Raises:
        DtypeError: when `value` is no number or array of numbers.
        ShapeError: when `value` and `shape` disagree.

    Example:
        >>> import graphgrad as gg
        >>> W = gg.var("W", [[1, 2], [3, 4]])
        >>> W.shape, W.dtype.name
        ((2, 2), 'float64')
    """
    if role not in (None, "input", "parameter"):
        raise GraphError(f"role {role!r}: expected 'input' or 'parameter'")
    if dtype is None:
        given = getattr(value, "dtype", None)
        keep = given is not None and (given == np.float32 or given == np.bool_)
        dtype = given if keep else dtypes.FLOAT64
    kind = dtypes.canonical(dtype)
    array = None if value is None else as_value(value, kind, f"value of variable {name!r}")
    size = () if shape is None else as_shape(shape)
    if array is not None:
        if shape is not None and array.shape != size:
            raise ShapeError(f"variable {name!r}: value of shape {array.shape}, but shape={size}")
        size = array.shape
    node = Node(VARIABLE, (), _no_settings, size, kind, dtypes.is_float(kind))
    node.name = name
    node.role = role or ("input" if name[0] in "xXyYtT" else "parameter")
    if size:
        node.shape = lengths_of(node.serial, size)
    if array is not None:
        node._value, node._changed = array, _epoch
    return node


def as_value(value: Any, dtype: Any, what: str) -> Any:
    """Return a private, read-only copy of `value`: a NumPy scalar or array of one of our types."""
    if isinstance(value, Node):
        raise DtypeError(f"{what}: expected numbers, got a graph node; use its .value")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as problem:
        raise DtypeError(f"{what}: {problem}") from None
    if array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{what}: expected a number or an array of numbers, got {type(value).__name__} "
            f"{_shown(value)}"
        )
    target = dtypes.canonical(array.dtype if dtype is None else dtype)
    with np.errstate(all="ignore"):
        copy = np.array(array, dtype=target, order="C")
    if target.kind in "ib" and array.dtype is not target and not np.array_equal(array, copy):
        raise DtypeError(f"{what}: {_shown(value)} does not fit {target} without loss")
    if not copy.ndim:
        return copy[()]
    copy.flags.writeable = False
    return copy


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def describe(node: Node) -> str:
    """Return how messages speak of a node: its quoted name, else its value or operation."""
    if node._name:
        return repr(node._name)
    if node.primitive is CONSTANT:
        return str(node._value) if node.size == 1 else f"constant of shape {node.shape}"
    return f"{node.op}#{node.serial}"


def public(value: Any) -> NumberOrArray:
    """Return a Python number for a scalar; arrays as they are, but read-only."""
    if not getattr(value, "ndim", 0):
        number: float | int | bool = value.item()
        return number
    value.flags.writeable = False
    array: Array = value
    return array


# -- walks -----------------------------------------------------------------------------------


@overload
def ancestors(roots: Node) -> list[Node]: ...
@overload
def ancestors(roots: Iterable[Node]) -> list[Node]: ...
def ancestors(roots: Node | Iterable[Node]) -> list[Node]:
    """Return every node the roots depend on, themselves included, inputs before users.

    The order is that of writing: each node after its inputs, and otherwise as made.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 2.0)
        >>> [n.op for n in ancestors(x * x + 1)]
        ['variable', 'mul', 'constant', 'add']
    """
    return _collect([roots] if isinstance(roots, Node) else list(roots), 0)


def _collect(stack: list[Node], checked: int) -> list[Node]:
    """Return what `stack` depends on and was not checked at epoch `checked`, in order."""
    seen = set(stack)
    while stack:
        for x in stack.pop().inputs:
            if x not in seen and (not checked or x._checked != checked):
                seen.add(x)
                stack.append(x)
    return sorted(seen, key=by_serial)


def refresh(root: Node) -> Any:
    """Return the root's value after recomputing exactly what is out of date below it.

    A node is out of date when an input changed after it did. `_changed` is the epoch of a node's
    last change, `_checked` the epoch in which it was last found to be up to date; an epoch ends
    when a variable is set.
    """
    now = _epoch
    if root._checked == now:
        return root._value
    stale = _collect([root], now)
    _require_values(stale)
    with np.errstate(all="ignore"):
        for node in stale:
            inputs = node.inputs
            if inputs:
                changed = node._changed
                # A list in any(): faster than a generator, and most nodes have two inputs.
                if not changed or any([x._changed > changed for x in inputs]):  # noqa: C419
                    node._value = _compute(node, [x._value for x in inputs])
                    node._changed = now
            elif node._owner is not None:
                _fetch(node)
            elif node._changed == 0:  # no inputs, yet computed: random numbers, for example
                node._value, node._changed = _compute(node, []), now
            node._checked = now
    return root._value


def current_epoch() -> int:
    """Return the number of times that variables were set, up to now."""
    return _epoch


def lend(variables: Iterable[Node], owner: Any) -> int:
    """Note that these variables have new values, which `owner.fetch(variable)` returns.

    An executor keeps its variables in its own memory; their values are copied out only when
    somebody asks. Returns the epoch of the change.
    """
    global _epoch
    with _counting:
        now = _epoch + 1
        for v in variables:
            v._owner, v._changed, v._checked = owner, now, 0
        _epoch = now
    return now


def _set(variable: Node, value: Any) -> None:
    """Give a variable a value, after the compiled graph that may be at work with it."""
    global _epoch
    with lock_of(variable), _counting:
        now = _epoch + 1
        variable._value, variable._changed, variable._checked = value, now, now
        variable._owner = None
        _epoch = now  # last: who has seen this number has seen the value


def _fetch(variable: Node) -> None:
    """Copy a variable's value out of the memory of the executor that has it."""
    with lock_of(variable):
        if variable._owner is not None:  # another thread may have been first
            variable._value, variable._owner = variable._owner.fetch(variable), None


def _compute(node: Node, values: list[Any]) -> Any:
    value = node.primitive.forward(*values, **node.settings)
    if value.dtype is not node.dtype:
        value = value.astype(node.dtype)
    return value


def _require_values(nodes: Iterable[Node]) -> None:
    missing = [n for n in nodes if n.primitive is VARIABLE and n._value is None]
    if missing:
        names = ", ".join(dict.fromkeys(repr(n.name) for n in missing))
        raise MissingValueError(
            f"no value for {names}: set it first, as in node.value = 1.0 or {missing[0].name}=1.0"
        )


def evaluate(
    outputs: Sequence[Node], values: dict[Node, Any] | None = None, *, analytic: bool = False
) -> list[Any]:
    """Compute nodes afresh, with some nodes replaced by given arrays; nothing is remembered.

    Args:
        outputs: the nodes to compute.
        values: what to use for these nodes; variables not named keep their value.
        analytic: use each primitive's continuation to complex numbers, as the complex step
            needs (Squire and Trapp 1998, SIAM Review 40, 110).

    Returns:
        One NumPy scalar or array per output, of whatever type the computation gave.

    Raises:
        MissingValueError: when a variable has neither.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 2.0)
        >>> float(evaluate([x * x], {x: 3.0})[0])
        9.0
    """
    known: dict[Node, Any] = {n: np.asarray(v)[()] for n, v in (values or {}).items()}
    stack, seen = [n for n in outputs if n not in known], set(outputs)
    order = []
    while stack:
        node = stack.pop()
        order.append(node)
        for x in node.inputs:
            if x not in seen:
                seen.add(x)
                if x not in known:
                    stack.append(x)
    order.sort(key=by_serial)
    _require_values(order)
    with np.errstate(all="ignore"):
        for node in order:
            p = node.primitive
            if p.kind == "leaf":
                known[node] = node._value
                continue
            function = (analytic and p.analytic) or p.forward
            known[node] = function(*[known[x] for x in node.inputs], **node.settings)
    return [known[n] for n in outputs]
