"""``graphgrad verify``: proofs of derivatives by SymPy."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from graphgrad.cli.arguments import parsed, parser_of

if TYPE_CHECKING:
    from graphgrad.proof.report import Report

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad verify "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad verify "log(sigmoid(w*x))"
  graphgrad verify --rules

The exit status is 1 when a derivative is wrong. What was not decided within the budget is listed,
and is not wrong.
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of(
        "verify",
        "Prove derivatives with SymPy: of an expression, or of the whole rule book.",
        EPILOG,
    )
    add = parser.add_argument
    add("expression", metavar="EXPR", nargs="?", help="such as 'abs(4 - (x*w + b))'")
    add("values", metavar="name=value", nargs="*", help="needed for arrays only: W=[[1,2],[3,4]]")
    add("--rules", action="store_true", help="verify every rule of the rule book")
    add("--budget", type=float, metavar="SECONDS", help="time to spend (10; for --rules 120)")
    add("--expand", action="store_true", help="verify vectors and matrices entry by entry")
    written = parser.add_mutually_exclusive_group()
    for name in ("json", "markdown", "latex"):
        written.add_argument(f"--{name}", dest="format", action="store_const", const=name)
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write the report and return 1 when a derivative is wrong."""
    from graphgrad.errors import GraphError

    if bool(arguments.expression) == arguments.rules:
        raise GraphError("give either an expression to verify, or --rules")
    report = _report(arguments)
    if arguments.format:
        text = getattr(report, arguments.format)()
    else:
        from graphgrad.proof.tables import terminal

        text = terminal(report)
    sys.stdout.write(text + "\n")
    return 0 if report.ok else 1


def _report(arguments: argparse.Namespace) -> Report:
    options = {} if arguments.budget is None else {"budget": arguments.budget}
    if arguments.rules:
        from graphgrad.proof.rules import verify_rules

        return verify_rules(**options)
    from graphgrad.proof.proving import verify

    root = parsed(arguments)
    if arguments.expand:
        from graphgrad.scalars import expand

        root = expand(root)
    return verify(root, **options)
