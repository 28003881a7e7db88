"""Running a compiled graph over batches, and making loss and metrics of what it returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.nn.graphs import Graph
from graphgrad.nn.sources import Chunk

__all__ = ["logs_of", "run_chunk"]


def run_chunk(step: Any, graph: Graph, chunk: Chunk) -> list[Any]:
    """Run a compiled graph over the batches of a chunk; one array per output, a row a batch."""
    data = list(chunk.data)
    if graph.mask is not None:
        full = (len(chunk.sizes), graph.mask.size)
        data.append(np.ones(full, np.float32) if chunk.mask is None else chunk.mask)
    found: list[Any] = step.epoch(*data, rows=chunk.rows)
    return found


def logs_of(graph: Graph, totals: Any, examples: Any) -> dict[str, Any]:
    """Return loss and metrics from their sums over an epoch, or over several epochs at once.

    Args:
        graph: whose measures are meant.
        totals: shape (1 + sums, …): Σ loss · examples, then the sums of the metrics.
        examples: how many examples there were, shape (…).
    """
    logs = {"loss": totals[0] / examples}
    with np.errstate(all="ignore"):
        for m in graph.measures:
            logs[m.key] = m.metric.result(totals[1:][m.at], examples)
    return logs
