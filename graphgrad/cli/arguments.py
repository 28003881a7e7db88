"""What commands share: their parsers, and graphs from expressions and values."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphgrad.graph import Node

__all__ = ["add_graph", "add_look", "graph_of", "parsed", "parser_of"]


def parser_of(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return the parser of a command, which shows its examples as they are written."""
    return argparse.ArgumentParser(
        prog=f"graphgrad {command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Add the expression and its values, for `graph_of`."""
    add = parser.add_argument
    add("expression", metavar="EXPR", help="such as 'abs(4 - (x*w + b))'; or assignments with ;")
    add("values", metavar="name=value", nargs="*", help="a number, or a list: W=[[1,2],[3,4]]")


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add what a picture of the graph may be given, beside its theme."""
    add = parser.add_argument
    add("--digits", type=int, default=4, metavar="N", help="significant digits (4)")
    add("--collapse", action="append", metavar="GROUP", help="draw this group as one box")
    add("--open", action="append", metavar="GROUP", help="keep this group open")
    add("--expand", action="store_true", help="draw vectors and matrices as scalar circuits")
    add("--rankdir", default="LR", choices=["LR", "TB", "RL", "BT"], help="direction (LR)")


def parsed(arguments: argparse.Namespace) -> Node:
    """Return the graph of the expression, with the values that are given."""
    from graphgrad.parser import assigned, parse

    return parse(arguments.expression, **assigned(arguments.values))


def graph_of(arguments: argparse.Namespace) -> Node:
    """Return the graph of the expression, every variable with a value.

    Raises:
        MissingValueError: when one has none.
    """
    from graphgrad.errors import MissingValueError
    from graphgrad.parser import missing

    root = parsed(arguments)
    names = missing(root)
    if names:
        hint = " ".join(f"{name}=…" for name in names)
        raise MissingValueError(f"no value for {', '.join(names)}: add {hint}")
    if arguments.expand:
        from graphgrad.scalars import expand

        return expand(root)
    return root
