"""Every error graphgrad raises on purpose. Each is also the builtin error a caller would catch."""

from __future__ import annotations

__all__ = [
    "CompileError",
    "DefinitionError",
    "DrawingError",
    "DtypeError",
    "GradientError",
    "GradientMismatchError",
    "GraphError",
    "MissingDependencyError",
    "MissingValueError",
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


class DrawingError(GraphError, RuntimeError):
    """Graphviz could not lay out or write a picture."""


class DefinitionError(GraphError, ValueError):
    """A primitive whose block contradicts itself, or whose name is taken."""


class TableError(GraphError, ValueError):
    """A CSV file that cannot be read as a table, or not by this model. The message says where."""


class MissingDependencyError(GraphError, ImportError):
    """An optional library is not installed. The message says what to install."""
