"""`load_model`: a network made again from its file, layer by layer, and filled with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphgrad.errors import CheckpointError, GraphError
from graphgrad.nn import archive
from graphgrad.nn.checkpoint import put
from graphgrad.nn.layer import Layer, Symbol
from graphgrad.nn.model import Model
from graphgrad.nn.naming import restore as restored
from graphgrad.nn.network import Input
from graphgrad.nn.parts import without_values
from graphgrad.nn.sequential import Sequential

__all__ = ["load_model"]


def load_model(path: Any, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Return the network saved in a file, ready to predict, or to be trained on.

    Args:
        path: what `Model.save` wrote.
        custom_objects: layers, losses and functions of your own, by name.

    Raises:
        CheckpointError: when the file is no saved network, is damaged, is newer than this
            program, or names things that are not known. Nothing in it is ever executed.

    Example:
        >>> import tempfile, pathlib
        >>> from graphgrad import nn
        >>> model = nn.Sequential([nn.Dense(1, input_shape=(2,))])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.npz")
        >>> model.save(path)
        >>> bool((nn.load_model(path).predict([[1, 2]]) == model.predict([[1, 2]])).all())
        True
    """
    text, arrays = archive.read(path)
    try:
        with without_values():
            model = _network(text["network"], custom_objects)
        _compile(model, text["compile"], custom_objects)
        put(model, text, arrays)
    except CheckpointError:
        raise
    except (GraphError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as problem:
        raise CheckpointError(f"{path} is damaged: {type(problem).__name__}: {problem}") from None
    return model


def _network(data: dict[str, Any], custom: Mapping[str, Any] | None) -> Model:
    layers = restored(data["layers"], custom)
    if not all(isinstance(layer, Layer) for layer in layers):
        raise CheckpointError("the file's layers are no layers")
    inputs = [Input(tuple(shape), dtype, name) for shape, dtype, name in data["inputs"]]
    name, seed = str(data["name"]), int(data["seed"])
    if data["kind"] == "sequential":
        return Sequential([*inputs, *layers], name, seed)
    symbols: list[Symbol] = list(inputs)
    for number, given in data["calls"]:
        chosen = [symbols[k] for k in given]
        symbols.append(layers[number](chosen[0] if len(chosen) == 1 else chosen))
    return Model(inputs, [symbols[k] for k in data["outputs"]], name, seed)


def _compile(model: Model, data: dict[str, Any], custom: Mapping[str, Any] | None) -> None:
    if data["optimizer"] is not None:
        optimizer = restored(data["optimizer"], custom)
        loss, metrics, shares = (restored(w, custom) for w in data["goals"])
        options = {k: str(data["options"][k]) for k in ("target", "math")}
        model.compile(optimizer, loss, metrics, shares, **options)
