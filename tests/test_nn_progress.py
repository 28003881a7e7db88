"""What a person sees while a network trains: whole words and numbers in terminals of any width."""

import re
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from graphgrad.nn.progress import Bar, Lines

LOGS = {"loss": 0.25, "accuracy": 0.94, "precision": 1234.4, "val_loss": 1e-7, "val_accuracy": 1.0}


def loop(epoch, epochs=60):
    return SimpleNamespace(
        epoch=epoch, epochs=range(epochs), batch=0, source=SimpleNamespace(steps=50)
    )


def last_picture(width):
    """Return the lines that stand in a terminal of this width when training has ended."""
    out = StringIO()
    with Bar(Console(file=out, force_terminal=True, width=width, color_system=None)) as bar:
        for epoch in (30, 60):
            bar.epoch(loop(epoch), {k: [v] for k, v in LOGS.items()})
            bar.batches(loop(epoch), 1500)
    text = re.split(r"\x1b\[\d*A", out.getvalue())[-1]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()]


@pytest.mark.parametrize(("width", "rows"), [(40, 3), (60, 2), (80, 2), (130, 1)])
def test_the_bar_has_every_number_at_any_width(width, rows):
    first, *numbers = last_picture(width)
    assert re.fullmatch(r"epoch 60/60 ━+ [\d,]+ steps/s \S+", first)
    assert all(len(line) <= width for line in (first, *numbers))
    found = [pair for line in numbers for pair in re.split(r" {2,}", line)]
    assert found == ["loss 0.2500", "accuracy 0.9400", "precision 1234", "val_loss 1.000e-07",
                     "val_accuracy 1.000"]  # fmt: skip
    assert len(numbers) == rows


def test_lines_are_not_wrapped():
    out = StringIO()
    Lines(Console(file=out, width=40)).epoch(loop(3), {k: [v] for k, v in LOGS.items()})
    assert re.fullmatch(r"Epoch 3/60  \S+ s  loss 0.25  .+  val_accuracy 1\n", out.getvalue())
