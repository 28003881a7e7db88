"""The command line, ``graphgrad draw EXPR name=value …``: reads arguments, calls the library."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphgrad.drawing.dot import Writer
    from graphgrad.graph import Node
    from graphgrad.proof.report import Report

__all__ = ["main"]

EPILOG = """\
examples:
  graphgrad draw "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad draw "abs(4 - (x*w + b))" x=2 w=3 b=1 --phase backward -o loss.svg
  graphgrad draw "z = x*w + b; loss = (z - 4)**2" x=2 w=3 b=1 --frames frames/
"""
PLAY_EPILOG = """\
examples:
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 -o loss.html
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 --rate 0.1 -o loss.html
  graphgrad play "abs(4 - (x*w + b))" x=2 w=3 b=1 -o loss.gif
"""
STEP_EPILOG = """\
examples:
  graphgrad step "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad step "abs(4 - (x*w + b))" x=2 w=3 b=1 --quiz
  graphgrad step --load session.json
  printf 'break op:mul\\nrun\\nshow w\\n' | graphgrad step "(x*w - 1)**2" x=2 w=3

When standard input or output is no terminal, commands are read line by line and only the answers
are written; the exit status is then 1 if some command could not be carried out.
"""
VERIFY_EPILOG = """\
examples:
  graphgrad verify "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad verify "log(sigmoid(w*x))"
  graphgrad verify --rules

The exit status is 1 when a derivative is wrong. What was not decided within the budget is listed,
and is not wrong.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments without the program's name; those of the process by default.

    Returns:
        0 when all went well, 1 for an error in the expression, values, files or a script's
        commands, 2 for wrong options (raised by argparse as SystemExit).
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in COMMANDS:
        _overview().parse_args(given or ["--help"])
    command, rest = given[0], given[1:]
    arguments = COMMANDS[command]().parse_intermixed_args(rest)
    from graphgrad.errors import GraphError

    try:
        status: int | None = arguments.run(arguments)
    except GraphError as problem:
        return _fail(str(problem))
    except OSError as problem:
        where = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
        return _fail(where)
    return status or 0


def _fail(message: str) -> int:
    sys.stderr.write(f"graphgrad: {message}\n")
    return 1


def _overview() -> argparse.ArgumentParser:
    from graphgrad import __version__

    parser = argparse.ArgumentParser(
        prog="graphgrad",
        description="Computational graphs and backpropagation, drawn from one expression.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"graphgrad {__version__}")
    parser.add_argument("command", choices=list(COMMANDS), help="; see graphgrad COMMAND --help")
    return parser


def _draw_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graphgrad draw",
        description="Draw the forward or the backward pass of an expression.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("expression", metavar="EXPR", help="such as 'abs(4 - (x*w + b))'; or assignments with ;")
    add("values", metavar="name=value", nargs="*", help="a number, or a list: W=[[1,2],[3,4]]")
    add("-o", "--output", metavar="FILE", help=".svg, .pdf, .png or .dot; without, or -: terminal")
    add("--frames", metavar="DIR", help="write every step as a numbered SVG")
    add("--phase", choices=["forward", "backward"], help="which pass (forward)")
    add("--step", type=int, metavar="K", help="the moment after K steps of the pass")
    add("--theme", default="light", choices=["light", "dark", "print"])
    add("--digits", type=int, default=4, metavar="N", help="significant digits (4)")
    add("--collapse", action="append", metavar="GROUP", help="draw this group as one box")
    add("--open", action="append", metavar="GROUP", help="keep this group open")
    add("--expand", action="store_true", help="draw vectors and matrices as scalar circuits")
    add("--rankdir", default="LR", choices=["LR", "TB", "RL", "BT"], help="direction (LR)")
    add("--no-legend", action="store_true", help="leave the legend out")
    add("--ascii", action="store_true", help="no Unicode in the terminal")
    parser.set_defaults(run=_draw)
    return parser


def _step_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graphgrad step",
        description="Step through the forward and the backward pass of an expression.",
        epilog=STEP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("expression", metavar="EXPR", nargs="?", help="such as 'abs(4 - (x*w + b))'")
    add("values", metavar="name=value", nargs="*", help="a number, or a list: W=[[1,2],[3,4]]")
    add("--load", metavar="FILE", help="go on with a session that 'save FILE' wrote")
    add("--quiz", action="store_true", help="ask for numbers before showing them")
    add("--mistake", metavar="NAME", help="show a common mistake beside the right steps")
    add("--expand", action="store_true", help="step through vectors and matrices entry by entry")
    add("--digits", type=int, default=4, metavar="N", help="significant digits (4)")
    parser.set_defaults(run=_step)
    return parser


def _play_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graphgrad play",
        description="Write a page, an animation or a transcript of both passes of an expression.",
        epilog=PLAY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("expression", metavar="EXPR", help="such as 'abs(4 - (x*w + b))'; or assignments with ;")
    add("values", metavar="name=value", nargs="*", help="a number, or a list: W=[[1,2],[3,4]]")
    add("-o", "--output", metavar="FILE", required=True, help=".html; or .gif, .apng, .tex, .md")
    add("--rate", type=float, metavar="A", help="also play the update p - A·∂loss/∂p of parameters")
    add("--theme", default="auto", choices=["auto", "light", "dark"], help="at first (auto)")
    add("--digits", type=int, default=4, metavar="N", help="significant digits (4)")
    add("--collapse", action="append", metavar="GROUP", help="draw this group as one box")
    add("--open", action="append", metavar="GROUP", help="keep this group open")
    add("--expand", action="store_true", help="draw vectors and matrices as scalar circuits")
    add("--rankdir", default="LR", choices=["LR", "TB", "RL", "BT"], help="direction (LR)")
    parser.set_defaults(run=_play)
    return parser


def _verify_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graphgrad verify",
        description="Prove derivatives with SymPy: of an expression, or of the whole rule book.",
        epilog=VERIFY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    parser.set_defaults(run=_verify)
    return parser


COMMANDS = {
    "draw": _draw_parser, "step": _step_parser, "play": _play_parser, "verify": _verify_parser,
}  # fmt: skip


def _draw(arguments: argparse.Namespace) -> None:
    writer = _writer(arguments)
    if arguments.frames:
        _write_frames(writer, arguments)
    output = arguments.output
    if output and output != "-":
        _write(writer, arguments, Path(output))
    elif not arguments.frames:
        _print(writer, arguments)


def _step(arguments: argparse.Namespace) -> int:
    from graphgrad.errors import GraphError
    from graphgrad.stepping.session import Session
    from graphgrad.stepping.shell import opened, serve

    if not (arguments.expression or arguments.load):
        raise GraphError("step EXPR, or step --load FILE: there is no expression to step through")
    if arguments.expression:
        session = Session.of(
            _graph(arguments),
            expression="" if arguments.expand else arguments.expression,
            digits=arguments.digits,
        )
    else:
        session = opened(arguments.load, digits=arguments.digits)
    first = [f"load {arguments.load}"] if arguments.load and arguments.expression else []
    first += [f"mistake {arguments.mistake}"] if arguments.mistake else []
    first += ["quiz on"] if arguments.quiz else []
    return serve(session, first)


def _play(arguments: argparse.Namespace) -> None:
    from graphgrad.drawing.film import film
    from graphgrad.drawing.player.page import play

    root, theme = _graph(arguments), arguments.theme
    options = {k: getattr(arguments, k) for k in ("digits", "collapse", "rankdir")}
    options["open"] = arguments.open or ()
    if Path(arguments.output).suffix.lower() in (".gif", ".apng", ".png", ".tex", ".md"):
        film(root, theme="light" if theme == "auto" else theme, **options).save(arguments.output)
    else:
        updates = _descent(root, arguments.rate) if arguments.rate is not None else {}
        play(root, updates=updates, theme=theme, **options).save(arguments.output)


def _descent(root: Node, rate: float) -> dict[Node, Node]:
    """Return one step of gradient descent for every parameter."""
    from graphgrad.gradient import grad
    from graphgrad.graph import ancestors

    parameters = [n for n in ancestors(root) if n.is_leaf and n.active and n.role == "parameter"]
    return {p: p - rate * g for p, g in zip(parameters, grad(root, parameters))}


def _verify(arguments: argparse.Namespace) -> int:
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

    root = _parsed(arguments)
    if arguments.expand:
        from graphgrad.scalars import expand

        root = expand(root)
    return verify(root, **options)


def _parsed(arguments: argparse.Namespace) -> Node:
    from graphgrad.errors import GraphError
    from graphgrad.parser import parse, split_assignment

    values: dict[str, Any] = {}
    for argument in arguments.values:
        name, value = split_assignment(argument)
        if name in values:
            raise GraphError(f"{name} is given twice")
        values[name] = value
    return parse(arguments.expression, **values)


def _graph(arguments: argparse.Namespace) -> Node:
    from graphgrad.errors import MissingValueError
    from graphgrad.parser import missing

    root = _parsed(arguments)
    names = missing(root)
    if names:
        hint = " ".join(f"{name}=…" for name in names)
        raise MissingValueError(f"no value for {', '.join(names)}: add {hint}")
    if arguments.expand:
        from graphgrad.scalars import expand

        return expand(root)
    return root


def _writer(arguments: argparse.Namespace) -> Writer:
    from graphgrad.drawing.figure import scene_of, writer_of

    scene = scene_of(
        _graph(arguments),
        digits=arguments.digits,
        collapse=arguments.collapse,
        open=arguments.open or (),
    )
    return writer_of(scene, arguments.theme, not arguments.no_legend, arguments.rankdir)


def _write(writer: Writer, arguments: argparse.Namespace, path: Path) -> None:
    from graphgrad.drawing.layout import run_graphviz
    from graphgrad.errors import DrawingError

    format = path.suffix[1:].lower()
    if not format:
        raise DrawingError(f"{path}: the ending tells the format; use .svg, .pdf, .png or .dot")
    dot = writer(writer.scene.frame(arguments.phase or "forward", arguments.step))
    if format in ("dot", "gv"):
        path.write_text(dot, encoding="utf-8")
    else:
        path.write_bytes(run_graphviz(dot, format))


def _write_frames(writer: Writer, arguments: argparse.Namespace) -> None:
    from graphgrad.drawing.layout import run_graphviz

    folder, scene = Path(arguments.frames), writer.scene
    folder.mkdir(parents=True, exist_ok=True)
    phases = [arguments.phase] if arguments.phase else ["forward", "backward"]
    if not scene.tape.differentiable and not arguments.phase:
        phases = ["forward"]
    frames = [scene.frame(p, k) for p in phases for k in range(scene.count(p) + 1)]
    digits = max(3, len(str(len(frames))))
    for number, frame in enumerate(frames):
        name = f"{number:0{digits}d}-{frame.phase}-{frame.step}.svg"
        (folder / name).write_bytes(run_graphviz(writer(frame), "svg"))


def _print(writer: Writer, arguments: argparse.Namespace) -> None:
    from graphgrad.drawing.terminal.scene_text import text_of

    frame = writer.scene.frame(arguments.phase or "forward", arguments.step)
    tty = sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    text = text_of(
        writer,
        frame,
        width=shutil.get_terminal_size().columns if tty or "COLUMNS" in os.environ else None,
        color=tty and "NO_COLOR" not in os.environ,
        ascii=arguments.ascii or not re.match("utf", encoding),
    )
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
