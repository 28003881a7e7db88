"""``graphgrad predict``: what a trained network says of a new CSV file."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from graphgrad.cli.arguments import parser_of
from graphgrad.cli.train import delimiter

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad predict model.npz new.csv
  graphgrad predict model.npz new.csv -o predicted.csv

The new file needs the columns of the training, in any order. Its rows are written with what is
predicted in a new last column, for classes with the probability. When it has the target column,
too, the score is told.
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of("predict", "Predict with a network that 'graphgrad train' saved.", EPILOG)
    add = parser.add_argument
    add("model", metavar="MODEL.npz", help="written by graphgrad train … --save")
    add("data", metavar="NEW.csv", help="with the columns of the training")
    add("-o", "--output", metavar="FILE", help="where to write; without, or -: the terminal")
    add("--unknown", default="error", choices=["error", "zeros"],
        help="categories not seen in training: refuse, or take for none (error)")  # fmt: skip
    add("--delimiter", type=delimiter, default=",", metavar="C", help="such as ';' or tab (,)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the rows with their predictions, and a line about them to standard error."""
    from graphgrad.nn.loading import load_model
    from graphgrad.nn.tables.fitting import Score, predictions, recipe_of

    model, score = load_model(arguments.model), Score()
    lines = predictions(model, arguments.data, arguments.unknown, arguments.delimiter, score)
    output = arguments.output if arguments.output != "-" else None
    if output is None:
        csv.writer(sys.stdout, delimiter=arguments.delimiter, lineterminator="\n").writerows(lines)
    else:
        _replace(Path(output), lines, arguments.delimiter)
    told = f"{score.rows:,} rows predicted"
    told += f", {score.left_out:,} left empty for missing values" if score.left_out else ""
    fit = score.text(recipe_of(model).target)
    told += f"; {fit} on {score.known:,} with a known answer" if fit else ""
    sys.stderr.write(f"{told}{f': {output}' if output else ''}\n")


def _replace(path: Path, lines: Iterable[list[str]], delimiter: str) -> None:
    """Write a file in whole or not at all: a fault on line 1000 leaves what was there."""
    part = path.with_name(path.name + ".part")
    with ExitStack() as stack:
        stack.callback(part.unlink, missing_ok=True)
        with part.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(lines)
        os.replace(part, path)
