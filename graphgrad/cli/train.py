"""``graphgrad train``: from a CSV file to a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphgrad.cli.arguments import parser_of

if TYPE_CHECKING:
    from graphgrad.cli.backup import Backup
    from graphgrad.nn.tables import Table

__all__ = ["delimiter", "parser", "run"]

EPILOG = """\
examples:
  graphgrad train flats.csv --target rent
  graphgrad train flats.csv --target rent --ignore id --missing mean --save model.npz
  graphgrad train iris.csv --target species --hidden 16,16 --activation tanh --epochs 200 \\
      --plot curves.png --draw network.svg --save model.npz
  graphgrad train large.csv --target kind --epochs 5000 --backup run.npz --save model.npz
  graphgrad predict model.npz new.csv -o predicted.csv

The file is UTF-8 with a line of names. Numbers are scaled, texts become categories; both are
saved with the model. Texts, and whole numbers of at most ten different values, are classes to
tell apart; other numbers are predicted as such.
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of("train", "Train a network on a CSV file.", EPILOG)
    add = parser.add_argument
    add("data", metavar="DATA.csv", help="numbers and texts under a line of names")
    add("--target", metavar="COLUMN", required=True, help="what is to be predicted")
    _add_table(parser.add_argument_group("the table").add_argument)
    _add_network(parser.add_argument_group("the network").add_argument)
    _add_output(parser.add_argument_group("what is written").add_argument)
    parser.set_defaults(run=run)
    return parser


def _add_table(add: Any) -> None:
    add("--task", choices=["regression", "classification"], help="(found from the column)")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave it out; repeatable")
    add("--category", action="append", default=[], metavar="COLUMN",
        help="numbers that are categories, such as postal codes; repeatable")  # fmt: skip
    add("--missing", default="error", choices=["error", "drop", "mean"],
        help="drop rows with missing values, or fill in the column's mean (error)")  # fmt: skip
    add("--validation", type=float, default=0.2, metavar="SHARE", help="rows set aside (0.2)")
    add("--delimiter", type=delimiter, default=",", metavar="C", help="such as ';' or tab (,)")


def _add_network(add: Any) -> None:
    add("--hidden", type=_units, default=(100, 100), metavar="N,N",
        help="units of the hidden layers, or none (100,100)")  # fmt: skip
    add("--activation", default="relu", metavar="NAME", help="of the hidden layers (relu)")
    add("--dropout", type=float, default=0.0, metavar="RATE", help="after each hidden layer (0)")
    add("--optimizer", default="adam", metavar="NAME", help="such as sgd or rmsprop (adam)")
    add("--learning-rate", type=float, metavar="A", help="(the optimizer's own)")
    add("--epochs", type=_count, default=100, metavar="N", help="at most (100)")
    add("--batch-size", type=_count, default=32, metavar="N", help="(32)")
    add("--early-stopping", type=int, default=10, metavar="N",
        help="stop after N epochs without improvement, 0 never (10)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="of all random numbers (0)")
    add("--executor", default="numba", metavar="NAME", help="what runs the graph (numba)")


def _add_output(add: Any) -> None:
    add("--save", metavar="FILE.npz", help="the trained network")
    add("--backup", metavar="FILE.npz",
        help="the whole training, after each epoch; killed, it goes on there when the same command "
        "is run again")  # fmt: skip
    add("--plot", metavar="FILE", help="curves of loss and metrics: .png, .svg or .pdf")
    add("--draw", metavar="FILE", help="the network's graph: .svg, .pdf, .png or .dot")


def run(arguments: argparse.Namespace) -> None:
    """Read the table, train, and say how well."""
    from rich.console import Console

    from graphgrad.cli import reports
    from graphgrad.nn.tables import read_csv

    _check_outputs(arguments)
    console = Console(highlight=False)
    with console.status("reading the table"):
        table = read_csv(
            arguments.data, arguments.target, task=arguments.task, validation=arguments.validation,
            missing=arguments.missing, categories=arguments.category, ignore=arguments.ignore,
            delimiter=arguments.delimiter, seed=arguments.seed,
        )  # fmt: skip
    console.print(reports.columns(table))
    model = _network(table, arguments)
    backup = _backup(model, table, arguments)
    if backup and backup.epochs is not None:
        text = f"going on after epoch {backup.epochs}: {backup.path}"
        console.print(text, markup=False, soft_wrap=True)
    stopping = _fitted(model, table, arguments, backup)
    for line in reports.ending(model.history, stopping):
        console.print(line, markup=False, soft_wrap=True)
    console.print(reports.scores(model, table))
    for line in _written(model, arguments, stopping):
        console.print(line, markup=False, soft_wrap=True)
    if backup:
        backup.close(model.history.stopped)


def _network(table: Table, arguments: argparse.Namespace) -> Any:
    from graphgrad.nn.optimizers import optimizer_of
    from graphgrad.nn.tables.fitting import goal_of, network_for

    model = network_for(
        table.recipe, arguments.hidden, arguments.activation, arguments.dropout, arguments.seed
    )
    optimizer = optimizer_of(arguments.optimizer)
    if arguments.learning_rate is not None:
        optimizer.learning_rate = arguments.learning_rate
    loss, metrics = goal_of(table.recipe.target)
    model.compile(optimizer, loss, metrics, target=arguments.executor)
    return model


def _backup(model: Any, table: Table, arguments: argparse.Namespace) -> Backup | None:
    from graphgrad.cli.backup import Backup

    path = arguments.backup
    return None if path is None else Backup(Path(path), model, table, arguments)


def _fitted(model: Any, table: Table, arguments: argparse.Namespace, backup: Backup | None) -> Any:
    """Train, and return the callback that may have ended it."""
    from graphgrad.nn.callbacks import EarlyStopping

    aside = len(table.X_validation)
    patience = arguments.early_stopping
    stopping = EarlyStopping(patience=patience) if aside and patience > 0 else None
    model.fit(
        table.X, table.y, epochs=arguments.epochs, batch_size=arguments.batch_size,
        validation_data=(table.X_validation, table.y_validation) if aside else None,
        callbacks=[*([backup.callback()] if backup else []), *([stopping] if stopping else [])],
    )  # fmt: skip
    if backup:
        backup.forget()
    return stopping


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Find out before the training whether its results can be written after it."""
    from graphgrad.errors import DrawingError, GraphError

    formats = {"plot": "png svg pdf", "draw": "svg pdf png dot gv", "save": "", "backup": ""}
    for name, endings in formats.items():
        given = getattr(arguments, name)
        if given is None:
            continue
        path = Path(given)
        if endings and path.suffix[1:].lower() not in endings.split():
            known = " or ".join(f".{e}" for e in endings.split()[:3])
            raise DrawingError(f"{path}: the ending tells the format; use {known}")
        if not path.parent.is_dir():
            raise GraphError(f"{path}: there is no folder {path.parent}")
    if arguments.save and arguments.backup and _same(arguments.save, arguments.backup):
        raise GraphError(f"--save and --backup name the same file, {arguments.save}: the backup is "
                         f"removed when the training has ended")  # fmt: skip
    if arguments.plot:
        from graphgrad.plots.canvas import matplotlib

        matplotlib()


def _same(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _written(model: Any, arguments: argparse.Namespace, stopping: Any) -> list[str]:
    """Write the files that were asked for; return a line about each."""
    lines = []
    if arguments.plot:
        from graphgrad.plots import curves

        best = None if stopping is None or stopping.best_epoch is None else stopping.best_epoch + 1
        curves(model.history, best=best).savefig(arguments.plot)
        lines.append(f"curves:  {arguments.plot}")
    if arguments.draw:
        from graphgrad.cli.draw import write
        from graphgrad.drawing.figure import scene_of, writer_of

        write(writer_of(scene_of(model), "light", True, "LR"), Path(arguments.draw))
        lines.append(f"graph:   {arguments.draw}")
    if arguments.save:
        model.save(arguments.save)
        lines.append(f"network: {arguments.save}    use it: graphgrad predict {arguments.save} …")
    return lines


def _units(text: str) -> tuple[int, ...]:
    if text.strip().lower() in ("none", "0", ""):
        return ()
    return tuple(_count(part) for part in text.split(","))


def _count(text: str) -> int:
    if not text.strip().isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers of at least 1")
    return int(text)


def delimiter(text: str) -> str:
    """Return the character that an option means: "tab" and "\\t" are a tab."""
    return {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
