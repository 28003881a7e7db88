"""`summary`: layers, shapes, numbers of parameters, and floating operations, as a table.

Operations are counted in the graph itself, for one example and the forward pass: 2mnk for a
product of an m × k with a k × n matrix, and one for each entry of every elementwise operation or
sum. Moves count nothing.
"""

from __future__ import annotations

from typing import Any

from graphgrad.compiler.work import flops
from graphgrad.graph import ancestors
from graphgrad.nn.naming import shown
from graphgrad.nn.network import Network
from graphgrad.nn.parts import Run

__all__ = ["summary"]


def by_layer(network: Network) -> dict[str, int]:
    """Return the operations of each layer for one example, by the layer's name."""
    if not network.outputs:
        return {}
    outputs = network.forward(network.input_nodes(1), Run())
    found: dict[str, int] = {}
    for node in ancestors(outputs):
        name = node.scope.split("/")[0]
        found[name] = found.get(name, 0) + flops(node)
    return found


def rows(network: Network) -> list[tuple[str, str, str, str, str]]:
    """Return name and class, settings, output shape, parameters, operations of each layer."""
    counts = by_layer(network)
    outputs = {call.layer: call.output.shape for call in network.calls}
    found = []
    for layer in network.layers:
        kept = {k: v for k, v in shown(layer).items() if k not in ("name", "input_shape")}
        found.append((
            f"{layer.name or layer.kind} ({type(layer).__name__})",
            ", ".join(f"{k}={v}" for k, v in kept.items()),
            str((None, *outputs[layer])) if layer in outputs else "?",
            f"{sum(w.node.size for w in layer.weights):,}",
            f"{counts.get(layer.name or '', 0):,}",
        ))  # fmt: skip
    return found


def summary(network: Network, console: Any = None) -> None:
    """Print the table; see `Model.summary`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f'Model "{network.name}"'), title_justify="left")
    for head in ("Layer (type)", "Settings", "Output shape", "Parameters", "FLOPs"):
        right = head in ("Parameters", "FLOPs")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in rows(network):
        table.add_row(*(Text(cell) for cell in row))
    total, trained = network.count_params(), sum(p.size for p in network.parameters)
    work = sum(by_layer(network).values())
    out = console or Console()
    out.print(table)
    out.print(
        f"{total:,} parameters, {trained:,} of them trained; {work:,} floating operations forward "
        f"per example",
        highlight=False,
    )
    optimizer = getattr(network, "optimizer", None)
    if optimizer is not None:
        out.print(f"trained by {optimizer!r}", highlight=False, markup=False)
