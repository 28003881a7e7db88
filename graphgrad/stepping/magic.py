"""``%load_ext graphgrad``: expressions as notebook cells.

.. code-block:: text

    %%graphgrad --phase backward x=2 w=3
    y = x*w + b
    loss = abs(4 - y)

The cell is text in the language of `parse`; it is never run as Python. A name that gets no value
on the first line takes the notebook's number or array of that name, and nothing else. The picture
is shown, and the graph is kept in the notebook under the name that the last statement assigns.
``%graphgrad abs(4 - x*w)`` returns the graph of one line.
"""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from graphgrad.drawing.player.page import play
from graphgrad.errors import GraphError, MissingValueError
from graphgrad.explain.names import visible
from graphgrad.graph import Node
from graphgrad.parser import assigned, missing, parse
from graphgrad.parsing.calls import vocabulary
from graphgrad.parsing.excerpt import clean
from graphgrad.parsing.reader import NUMBERS
from graphgrad.parsing.scan import statements
from graphgrad.recorder import tape
from graphgrad.scalars import expand

__all__ = ["free_names", "graph_of", "load_ipython_extension", "unload_ipython_extension"]


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong with the first line, in place of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise GraphError(
            f"{message}; expected %%graphgrad [--phase forward|backward] [--step K] [--play] "
            f"[--expand] [name=value …]"
        )


def _options(line: str) -> argparse.Namespace:
    """Return the options of a cell's first line; quotes keep blanks together, as in a shell."""
    parser = _Parser("%%graphgrad", add_help=False, allow_abbrev=False)
    parser.add_argument("--phase", choices=("forward", "backward"))
    parser.add_argument("--step", type=int)
    parser.add_argument("--play", action="store_true")
    parser.add_argument("--expand", action="store_true")
    parser.add_argument("values", nargs="*")
    try:
        words = shlex.split(line)
    except ValueError as problem:
        parser.error(f"{line!r}: {problem}")
    options = parser.parse_intermixed_args(words)
    if options.play and (options.phase or options.step is not None):
        parser.error("--play plays every step of both passes: drop --phase and --step")
    return options


def free_names(text: str) -> tuple[list[str], str]:
    """Return the names an expression wants values for, and the name its last statement assigns.

    Raises:
        ParseError: for what is not in the grammar.

    Example:
        >>> free_names("y = x*w; loss = abs(4 - y)")
        (['x', 'w'], 'loss')
    """
    trees = statements(clean(text))
    names = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name)]
    known = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    known |= vocabulary().keys() | NUMBERS.keys()
    found = {n.id: n.col_offset for n in reversed(names) if n.id not in known}
    match trees[-1:]:
        case [ast.Assign([ast.Name(target)])]:
            return sorted(found, key=found.__getitem__), target
    return sorted(found, key=found.__getitem__), ""


def graph_of(text: str, given: Mapping[str, Any], namespace: Mapping[str, Any]) -> tuple[Node, str]:
    """Return the graph of an expression, and the name its last statement assigns ("" for none).

    Args:
        text: the expression or the assignments, as `parse` takes them.
        given: values by name.
        namespace: where names without a value are looked up; numbers and arrays are taken.

    Raises:
        MissingValueError: when a name has no value in either.
        ParseError, ShapeError, DtypeError: as of `parse`.

    Example:
        >>> root, name = graph_of("loss = abs(4 - x*w)", {"x": 2.0}, {"w": 3, "x": 7, "f": print})
        >>> root.value, name
        (2.0, 'loss')
    """
    names, target = free_names(text)
    found = {n: namespace[n] for n in names if n not in given and _numeric(namespace.get(n))}
    root = parse(text, **found, **given)
    wanting = missing(root)
    if wanting:
        hint = " ".join(f"{name}=…" for name in wanting)
        kinds = {n: type(namespace[n]).__name__ for n in wanting if n in namespace}
        known = "".join(f"; {n} in this notebook is of type {kind}" for n, kind in kinds.items())
        raise MissingValueError(
            f"no value for {', '.join(wanting)}: add {hint}, or assign a number or an array to "
            f"the name in a cell before{known}"
        )
    return root, target


def _numeric(value: Any) -> bool:
    known = isinstance(value, bool | int | float | np.generic | np.ndarray)
    return known and np.asarray(value).dtype.kind in "biuf"


def _cell(line: str, cell: str, namespace: dict[str, Any]) -> None:
    """Show the picture of a cell and keep its graph under the name it assigns last."""
    from IPython.display import display

    options = _options(line)
    root, name = graph_of(cell, assigned(options.values), namespace)
    if options.expand:
        root = expand(root)
    run = tape(root)
    shown = play(run) if options.play else run.at(options.phase or "forward", options.step)
    display(shown)  # type: ignore[no-untyped-call, unused-ignore]
    if name:
        namespace[name] = root


@contextmanager
def _told() -> Iterator[None]:
    """Turn what graphgrad refuses into one message without a traceback."""
    from IPython.core.error import UsageError

    try:
        yield
    except GraphError as problem:
        raise UsageError("\n".join(map(visible, str(problem).split("\n")))) from None


def _magic(ipython: Any) -> Callable[..., Any]:
    def graphgrad(line: str, cell: str | None = None) -> Node | None:
        """Show the graph of an expression; see graphgrad.stepping.magic."""
        with _told():
            if cell is None:
                return graph_of(line, {}, ipython.user_ns)[0]
            _cell(line, cell, ipython.user_ns)
            return None

    graphgrad._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]
    return graphgrad


def load_ipython_extension(ipython: Any) -> None:
    """Add ``%graphgrad`` and ``%%graphgrad`` to an IPython shell; ``%load_ext graphgrad`` does it.

    Args:
        ipython: the shell, as IPython gives it.
    """
    ipython.register_magic_function(_magic(ipython), "line_cell", "graphgrad")


def unload_ipython_extension(ipython: Any) -> None:
    """Take both away again; ``%unload_ext graphgrad`` does it."""
    for kind in ("line", "cell"):
        ipython.magics_manager.magics[kind].pop("graphgrad", None)
