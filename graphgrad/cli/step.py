"""``graphgrad step``: the stepper, in a terminal or as a script."""

from __future__ import annotations

import argparse

from graphgrad.cli.arguments import graph_of, parser_of

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad step "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad step "abs(4 - (x*w + b))" x=2 w=3 b=1 --quiz
  graphgrad step --load session.json
  printf 'break op:mul\\nrun\\nshow w\\n' | graphgrad step "(x*w - 1)**2" x=2 w=3

When standard input or output is no terminal, commands are read line by line and only the answers
are written; the exit status is then 1 if some command could not be carried out.
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of(
        "step", "Step through the forward and the backward pass of an expression.", EPILOG
    )
    add = parser.add_argument
    add("expression", metavar="EXPR", nargs="?", help="such as 'abs(4 - (x*w + b))'")
    add("values", metavar="name=value", nargs="*", help="a number, or a list: W=[[1,2],[3,4]]")
    add("--load", metavar="FILE", help="go on with a session that 'save FILE' wrote")
    add("--quiz", action="store_true", help="ask for numbers before showing them")
    add("--mistake", metavar="NAME", help="show a common mistake beside the right steps")
    add("--expand", action="store_true", help="step through vectors and matrices entry by entry")
    add("--digits", type=int, default=4, metavar="N", help="significant digits (4)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Serve a session until it ends."""
    from graphgrad.errors import GraphError
    from graphgrad.stepping.session import Session
    from graphgrad.stepping.shell import opened, serve

    if not (arguments.expression or arguments.load):
        raise GraphError("step EXPR, or step --load FILE: there is no expression to step through")
    if arguments.expression:
        session = Session.of(
            graph_of(arguments),
            expression="" if arguments.expand else arguments.expression,
            digits=arguments.digits,
        )
    else:
        session = opened(arguments.load, digits=arguments.digits)
    first = [f"load {arguments.load}"] if arguments.load and arguments.expression else []
    first += [f"mistake {arguments.mistake}"] if arguments.mistake else []
    first += ["quiz on"] if arguments.quiz else []
    return serve(session, first)
