"""``graphgrad play``: a page, an animation or a transcript."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from graphgrad.cli.arguments import add_graph, add_look, graph_of, parser_of

if TYPE_CHECKING:
    from graphgrad.graph import Node

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 -o loss.html
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 --rate 0.1 -o loss.html
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 --rate 0.1 -o loss.gif
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of(
        "play",
        "Write a page, an animation or a transcript of both passes of an expression.",
        EPILOG,
    )
    add = parser.add_argument
    add_graph(parser)
    add("-o", "--output", metavar="FILE", required=True, help=".html; or .gif, .apng, .tex, .md")
    add("--rate", type=float, metavar="A", help="also play the update p - A·∂loss/∂p of parameters")
    add("--theme", default="auto", choices=["auto", "light", "dark"], help="at first (auto)")
    add_look(parser)
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the file, of the kind that its ending tells."""
    from graphgrad.drawing.film import film
    from graphgrad.drawing.player.page import play

    root, theme = graph_of(arguments), arguments.theme
    options = {k: getattr(arguments, k) for k in ("digits", "collapse", "rankdir")}
    options["open"] = arguments.open or ()
    options["updates"] = _descent(root, arguments.rate) if arguments.rate is not None else None
    if Path(arguments.output).suffix.lower() in (".gif", ".apng", ".png", ".tex", ".md"):
        film(root, theme="light" if theme == "auto" else theme, **options).save(arguments.output)
    else:
        play(root, theme=theme, **options).save(arguments.output)


def _descent(root: Node, rate: float) -> dict[Node, Node]:
    """Return one step of gradient descent for every parameter."""
    from graphgrad.gradient import grad
    from graphgrad.graph import ancestors

    parameters = [n for n in ancestors(root) if n.is_leaf and n.active and n.role == "parameter"]
    return {p: p - rate * g for p, g in zip(parameters, grad(root, parameters))}
