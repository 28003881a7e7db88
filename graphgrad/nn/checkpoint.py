"""A network in a file: structure, parameters, optimizer, counters, and a training under way.

`save` may be called at any time, also from a callback. `restore` puts a file's numbers into a
network that is there, so that a training can go on; `nn.load_model` makes the network again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphgrad.errors import CheckpointError, NetworkError
from graphgrad.graph import Node
from graphgrad.nn import archive
from graphgrad.nn.compiled import NO_SHAPE
from graphgrad.nn.naming import settings
from graphgrad.nn.training import Trainable

__all__ = ["put", "restore", "save"]


def save(model: Trainable, path: Any) -> None:
    """Write a network to a file; see `Model.save`."""
    if not model.outputs:
        raise NetworkError(NO_SHAPE)
    arrays = {f"weights/{name}": node.value for name, node in _weights(model).items()}
    optimizer = None
    if model.optimizer is not None:
        optimizer = settings(model.optimizer)
        for name, node in model.optimizer.states.items():
            arrays[f"optimizer/{name}"] = np.asarray(node.value, node.dtype)
    text = {
        "network": _structure(model),
        "compile": {
            "optimizer": optimizer,
            "goals": [settings(w) for w in model._wish],
            "options": model.options,
        },
        "epochs_done": model.epochs_done,
        "draws": model._counter.value,
        "batch": model._batch,
        "extra": model.extra,
        "loop": _packed(model.loop.state(), arrays) if model.loop is not None else None,
    }
    archive.write(path, text, arrays)


def restore(model: Trainable, path: Any) -> dict[str, Any] | None:
    """Put a file's numbers into a network, and return the state of the training it was saved in.

    Raises:
        CheckpointError: when it is the file of another network, or damaged; then nothing changes.
    """
    text, arrays = archive.read(path)
    try:
        if text["network"] != _structure(model):
            raise CheckpointError(
                f"{path} holds another network than the one being trained: remove the file to "
                f"begin anew"
            )
        loop = _unpacked(text["loop"], arrays)
        put(model, text, arrays)
    except (LookupError, TypeError, AttributeError) as problem:
        raise CheckpointError(f"{path} is damaged: {type(problem).__name__}: {problem}") from None
    return loop if isinstance(loop, dict) else None


# -- the network -------------------------------------------------------------------------------


def _structure(model: Trainable) -> dict[str, Any]:
    """Return layers and their connections as plain data; symbols are numbered."""
    symbols = {s: k for k, s in enumerate([*model.inputs, *(c.output for c in model.calls)])}
    layers = {layer: k for k, layer in enumerate(model.layers)}
    return {
        "kind": model._kind,
        "name": model.name,
        "seed": model.seed,
        "layers": [{**settings(layer), "name": layer.name} for layer in model.layers],
        "inputs": [[list(s.shape), s.dtype.name, s.name] for s in model.inputs],
        "calls": [[layers[c.layer], [symbols[s] for s in c.inputs]] for c in model.calls],
        "outputs": [symbols[s] for s in model.outputs],
    }


# -- the numbers -------------------------------------------------------------------------------


def _weights(model: Trainable) -> dict[str, Node]:
    return {f"{layer.name}/{w.node.name}": w.node for layer in model.layers for w in layer.weights}


def _states(model: Trainable, arrays: Mapping[str, Any]) -> dict[str, Node]:
    """Return the optimizer's variables that a file has numbers for."""
    if model.optimizer is None:
        return {}
    parameters = _weights(model)
    for name in arrays:
        if name.startswith("optimizer/") and name.count("/") > 1:
            owner, _, slot = name.removeprefix("optimizer/").rpartition("/")
            if owner not in parameters:
                raise CheckpointError(f"the file has numbers of the optimizer for {owner!r}, "
                                      f"which the network does not have")  # fmt: skip
            model.optimizer.state(parameters[owner], slot)
    return model.optimizer.states


def put(model: Trainable, text: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Set all variables, after a look at all of them."""
    wanted = {f"weights/{k}": v for k, v in _weights(model).items()}
    wanted.update({f"optimizer/{k}": v for k, v in _states(model, arrays).items()})
    for name, node in wanted.items():
        if name not in arrays:
            raise CheckpointError(f"the file has no {name!r}, which the network needs")
        found = arrays[name]
        if found.shape != node.shape or found.dtype != node.dtype:
            raise CheckpointError(
                f"the file's {name!r} is {found.dtype} of shape {found.shape}; the network needs "
                f"{node.dtype} of shape {node.shape}"
            )
    counts = {k: int(text[k]) for k in ("epochs_done", "draws")}
    for name, node in wanted.items():
        node.value = arrays[name]
    model.epochs_done = counts["epochs_done"]
    model._counter.value = counts["draws"]
    model._batch = None if text["batch"] is None else max(1, int(text["batch"]))
    model.extra = dict(text["extra"])


def _packed(tree: Any, arrays: dict[str, Any]) -> Any:
    """Return a tree with its arrays replaced by their names."""
    if isinstance(tree, np.ndarray):
        name = f"loop/{len(arrays)}"
        arrays[name] = tree
        return {"array": name}
    if isinstance(tree, dict):
        return {k: _packed(v, arrays) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_packed(v, arrays) for v in tree]
    return tree


def _unpacked(tree: Any, arrays: Mapping[str, Any]) -> Any:
    """Return what `_packed` was given."""
    if isinstance(tree, dict):
        if set(tree) == {"array"}:
            return arrays[tree["array"]]
        return {k: _unpacked(v, arrays) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_unpacked(v, arrays) for v in tree]
    return tree
