"""Every error graphgrad raises on purpose. Each is also the builtin error a caller would catch."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CompileError",
    "DefinitionError",
    "DeviceMemoryError",
    "DivergenceError",
    "DrawingError",
    "DtypeError",
    "GradientError",
    "GradientMismatchError",
    "GraphError",
    "MissingDependencyError",
    "MissingValueError",
    "NetworkError",
    "ParseError",
    "ShapeError",
    "TableError",
    "TooLargeError",
]


class GraphError(Exception):
    """Base of all errors below: ``except gg.errors.GraphError`` catches every one of them."""


class ShapeError(GraphError, ValueError):
    """Shapes that do not fit each other, an axis out of range, an index out of bounds."""


class DtypeError(GraphError, TypeError):
    """A data type an operation cannot take, or a Python object that is no number or array."""


class MissingValueError(GraphError, ValueError):
    """A value was asked for, but a variable it depends on has none yet."""


class GradientError(GraphError, ValueError):
    """A gradient that is not defined as asked: of a vector, of an integer, towards a stranger."""


class GradientMismatchError(GradientError, AssertionError):
    """A gradient that is not the derivative a numeric method finds. The message has both."""


class TooLargeError(GraphError, OverflowError):
    """An exact number of so many digits that writing it down would never end."""


class ParseError(GraphError, ValueError):
    """Expression text that is not in the grammar. The message marks the place under the text."""


class CompileError(GraphError, ValueError):
    """A graph that cannot be compiled as asked, or a compiled one called with what does not fit."""


class DeviceMemoryError(GraphError, MemoryError):
    """A graph or its data that do not fit into the memory of the GPU. The message has the sizes."""


class DrawingError(GraphError, RuntimeError):
    """Graphviz could not lay out or write a picture."""


class DefinitionError(GraphError, ValueError):
    """A primitive whose block contradicts itself, or whose name is taken."""


class TableError(GraphError, ValueError):
    """A CSV file that cannot be read as a table, or not by this model. The message says where."""


class MissingDependencyError(GraphError, ImportError):
    """An optional library is not installed. The message says what to install."""


class NetworkError(GraphError, ValueError):
    """A network put together, or trained, in a way that cannot work."""


class DivergenceError(GraphError, FloatingPointError):
    """A training whose loss became nan or infinite. It knows the batch, and the certificate.

    Attributes:
        epoch, batch: where it happened, counted from 1.
        certificate: the first step with a number that is not finite; None when there is none in
            the loss and its gradient.
    """

    epoch: int = 0
    batch: int = 0
    certificate: object = None


class CheckpointError(GraphError, ValueError):
    """A file that is no saved network, is damaged, or is newer than this program."""
