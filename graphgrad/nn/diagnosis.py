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
from graphgrad.graph import Node
from graphgrad.nn.feeding import Chunk
from graphgrad.nn.graphs import Graph

__all__ = ["divergence"]

Kept = tuple[dict[Node, Any], Chunk, int, int]


def divergence(
    graph: Graph, step: Any, kept: Sequence[Kept], losses: Any, steps: int | None
) -> DivergenceError:
    """Return the error to raise; the variables have their values from before the bad batch.

    Args:
        graph: of the training step.
        step: compiled from it.
        kept: the last chunks, each with the values at its start and its epoch and batch.
        losses: of the last chunk.
        steps: batches of an epoch, where that is known.
    """
    bad = int(np.argmin(np.isfinite(losses)))
    place, k = len(kept) - 1, bad
    _rewind(graph, step, kept[place], k)
    while not _finite(graph) and (k or place):  # a batch before made the parameters not finite
        if not k:
            place -= 1
            k = len(kept[place][1].sizes)
        k -= 1
        _rewind(graph, step, kept[place], k)
    _, chunk, epoch, batch = kept[place]
    found = _certificate(graph, chunk, k)
    ahead = divmod(batch + k, steps) if steps else (0, batch + k)
    return _error(epoch + ahead[0], ahead[1], found, float(losses[bad]))


def _rewind(graph: Graph, step: Any, kept: Kept, k: int) -> None:
    from graphgrad.nn.loop import run_chunk

    saved, chunk, _, _ = kept
    for v, value in saved.items():
        v.value = value
    if k:
        data = chunk.data if chunk.rows is not None else [a[:k] for a in chunk.data]
        rows = None if chunk.rows is None else chunk.rows[:k]
        mask = None if chunk.mask is None else chunk.mask[:k]
        run_chunk(step, graph, Chunk(data, rows, mask, chunk.sizes[:k]))


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
