"""When the loss is no longer finite: the batch that did it, and the certificate of its birth.

The chunk is run again from its saved start up to the bad batch, with the same numbers, so that the
parameters end as they were before it. Then its graph is recorded, uncompiled, and searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.errors import DivergenceError
from graphgrad.explain.nonfinite import Certificate, certificate
from graphgrad.nn.graphs import Graph
from graphgrad.nn.running import run_chunk
from graphgrad.nn.sources import Chunk

__all__ = ["Past", "divergence"]


class Past:
    """A chunk about to be run, and the values of all variables before it.

    Attributes:
        chunk: its batches.
        epoch, batch: where it begins.
    """

    def __init__(self, graph: Graph, chunk: Chunk, epoch: int, batch: int) -> None:
        self.graph, self.chunk, self.epoch, self.batch = graph, chunk, epoch, batch
        self._saved = {v: v.value for v in graph.updates}

    def rewind(self, step: Any, k: int) -> None:
        """Give the variables the values they had before batch k of the chunk."""
        for v, value in self._saved.items():
            v.value = value
        if k:
            c = self.chunk
            data = c.data if c.rows is not None else [a[:k] for a in c.data]
            rows = None if c.rows is None else c.rows[:k]
            mask = None if c.mask is None else c.mask[:k]
            run_chunk(step, self.graph, Chunk(data, rows, mask, c.sizes[:k]))


def divergence(
    graph: Graph, step: Any, past: Sequence[Past], losses: Any, steps: int | None
) -> DivergenceError:
    """Return the error to raise; the variables have their values from before the bad batch.

    Args:
        graph: of the training step.
        step: compiled from it.
        past: the last chunks.
        losses: of the last chunk.
        steps: batches of an epoch, where that is known.
    """
    bad = int(np.argmin(np.isfinite(losses)))
    place, k = len(past) - 1, bad
    past[place].rewind(step, k)
    while not _finite(graph) and (k or place):  # a batch before made the parameters not finite
        if not k:
            place -= 1
            k = len(past[place].chunk.sizes)
        k -= 1
        past[place].rewind(step, k)
    found = _certificate(graph, past[place].chunk, k)
    ahead = divmod(past[place].batch + k, steps) if steps else (0, past[place].batch + k)
    return _error(past[place].epoch + ahead[0], ahead[1], found, float(losses[bad]))


def _finite(graph: Graph) -> bool:
    return all(np.isfinite(v.value).all() for v in graph.updates if v.dtype.kind == "f")


def _certificate(graph: Graph, chunk: Chunk, k: int) -> Certificate | None:
    """Return the certificate of the loss, or of the first update that is not finite."""
    arrays = chunk.batch(k)
    if graph.mask is not None:
        arrays.append(np.ones(graph.mask.shape) if chunk.mask is None else chunk.mask[k])
    for node, array in zip(graph.feeds, arrays, strict=True):
        node.value = array
    assert graph.loss is not None
    found = certificate(graph.loss)
    if found is not None and not found.harmless:
        return found
    return next((c for new in graph.updates.values() if (c := certificate(new))), found)


def _error(epoch: int, batch: int, found: Certificate | None, loss: float) -> DivergenceError:
    where = f"in epoch {epoch + 1}, batch {batch + 1}"
    lines = [f"training stopped {where}: the loss becomes {loss}"]
    lines.append(str(found) if found else "its uncompiled graph has no such number")
    lines.append(
        "The network has the parameters from before that batch. A smaller learning rate, "
        "clipnorm=1, or scaled inputs often help."
    )
    error = DivergenceError("\n".join(lines))
    error.epoch, error.batch, error.certificate = epoch + 1, batch + 1, found
    return error
