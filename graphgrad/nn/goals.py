"""What a network is trained for: losses, their shares and metrics, one goal per output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphgrad.errors import NetworkError
from graphgrad.graph import var
from graphgrad.nn.embedding import Embedding
from graphgrad.nn.feeding import Slot
from graphgrad.nn.graphs import Goal
from graphgrad.nn.losses import loss_of
from graphgrad.nn.metrics import metric_of
from graphgrad.nn.network import Network

__all__ = ["goals_of", "input_slots", "target_slots"]


def goals_of(network: Network, loss: Any, metrics: Any, shares: Any) -> list[Goal]:
    """Return one goal per output from what `compile` was given.

    Args:
        network: whose outputs they are.
        loss: one for all outputs, a list, or a dict by the name of the output's layer.
        metrics: a list for all outputs, a list of lists, or a dict.
        shares: loss_weights, a list or a dict; None is 1 each.

    Raises:
        NetworkError: when there are too few or too many, or a name is none of an output.
    """
    names = [s.call.layer.name or "" if s.call else s.name or "" for s in network.outputs]
    losses = _each("loss", loss, names)
    shares = [1.0] * len(names) if shares is None else _each("loss_weights", shares, names)
    listed = metrics if metrics is not None else []
    if not isinstance(listed, Mapping | list | tuple):
        listed = [listed]
    nested = isinstance(listed, Mapping) or any(isinstance(m, list | tuple) for m in listed)
    chosen = _each("metrics", listed, names, []) if nested else [listed] * len(names)
    return [
        Goal(loss_of(one), float(share), [metric_of(m) for m in _list(some)], name)
        for one, share, some, name in zip(losses, shares, chosen, names, strict=True)
    ]


def _list(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _each(what: str, given: Any, names: list[str], default: Any = None) -> list[Any]:
    if isinstance(given, Mapping):
        strange = [str(k) for k in given if k not in names]
        missing = [n for n in names if n not in given and default is None]
        if strange or missing:
            raise NetworkError(
                f"{what}: {', '.join(map(repr, strange or missing))} "
                f"{'is no output' if strange else 'is missing'}; outputs are {', '.join(names)}"
            )
        return [given.get(n, default) for n in names]
    if isinstance(given, list | tuple):
        if len(given) != len(names):
            raise NetworkError(f"{what}: {len(given)} given for {len(names)} outputs")
        return list(given)
    return [given] * len(names)


def input_slots(network: Network) -> list[Slot]:
    """Return what each input takes; positions for an Embedding stay below its size."""
    found = []
    for s in network.inputs:
        sizes = [
            call.layer.input_dim for call in network.calls
            if isinstance(call.layer, Embedding) and s in call.inputs
        ]  # fmt: skip
        what = f"inputs {s.name!r}" if s.name else "inputs"
        found.append(Slot(what, s.shape, s.dtype, min(sizes) if sizes else None))
    return found


def target_slots(network: Network, goals: list[Goal]) -> list[Slot]:
    """Return what the targets of each output are."""
    found = []
    for s, goal in zip(network.outputs, goals, strict=True):
        p = var("p", shape=(1, *s.shape), dtype=s.dtype)
        shape, dtype = goal.loss.target(p)
        what = f"targets of {goal.name!r}" if len(goals) > 1 else "targets"
        found.append(Slot(what, shape[1:], dtype, s.shape[-1] if goal.loss.classes else None))
    return found
