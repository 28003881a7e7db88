"""What commands share: their parsers, and graphs from expressions and values."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphgrad.graph import Node

__all__ = ["graph_of", "parsed", "parser_of"]


def parser_of(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return the parser of a command, which shows its examples as they are written."""
    return argparse.ArgumentParser(
        prog=f"graphgrad {command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parsed(arguments: argparse.Namespace) -> Node:
    """Return the graph of the expression, with the values that are given."""
    from graphgrad.errors import GraphError
    from graphgrad.parser import parse, split_assignment

    values: dict[str, Any] = {}
    for argument in arguments.values:
        name, value = split_assignment(argument)
        if name in values:
            raise GraphError(f"{name} is given twice")
        values[name] = value
    return parse(arguments.expression, **values)


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
