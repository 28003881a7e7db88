"""Names for things: what a word such as "relu" or "adam" stands for, and settings as plain data.

Everything that has settings keeps each argument of its constructor as an attribute of that name.
So `settings` can write it as JSON, and `restore` can make it again. It knows no classes but those
in `CLASSES`, no functions but activations and primitives: a file cannot name anything else.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from graphgrad.errors import CheckpointError, NetworkError
from graphgrad.primitive import TABLE, Primitive

__all__ = ["CLASSES", "Configurable", "choose", "restore", "settings", "shown"]

CLASSES: dict[str, type] = {}
"""Every class that a saved network may name."""
MISSING = object()


class Configurable:
    """What can be written as plain data and made again from it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("graphgrad."):
            CLASSES[cls.__name__] = cls

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown(self).items())})"


def shown(thing: Any) -> dict[str, Any]:
    """Return the arguments of a thing's constructor, as far as it keeps them."""
    try:
        return arguments(thing)
    except NetworkError:
        return {}


def arguments(thing: Any) -> dict[str, Any]:
    """Return the arguments of a thing's constructor that are not the defaults."""
    known: dict[str, inspect.Parameter] = {}
    for cls in type(thing).__mro__:  # what a constructor takes as **more is its base's business
        if "__init__" in vars(cls) and cls is not object:
            signature = inspect.signature(cls)
            known = {**signature.parameters, **known}
            if all(p.kind is not p.VAR_KEYWORD for p in signature.parameters.values()):
                break
    found = {}
    for name, parameter in known.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        value = getattr(thing, name, MISSING)
        if value is MISSING:
            raise NetworkError(
                f"{type(thing).__name__} has no attribute {name!r}: keep what the constructor "
                f"takes, self.{name} = {name}, so that it can be saved"
            )
        if value is not parameter.default and not _same(value, parameter.default):
            found[name] = value
    return found


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, str | int | float | tuple) and a == b


def settings(thing: Any) -> Any:
    """Return a thing as what JSON can hold.

    Raises:
        NetworkError: when it is nothing that can be saved, such as a function of the user's.

    Example:
        >>> from graphgrad import nn
        >>> settings(nn.L2(0.001))
        {'class': 'L2', 'l2': 0.001}
    """
    if isinstance(thing, Configurable):
        inner = {k: settings(v) for k, v in arguments(thing).items()}
        return {"class": type(thing).__name__, **inner}
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, list | tuple):
        return [settings(x) for x in thing]
    if isinstance(thing, dict) and all(isinstance(k, str) for k in thing):
        return {"dict": {k: settings(v) for k, v in thing.items()}}
    for name, function in FUNCTIONS.items():
        if function is thing:
            return {"function": name}
    if isinstance(thing, Primitive) and TABLE.get(thing.name) is thing:
        return {"function": thing.name}
    if callable(thing) and getattr(thing, "__name__", "<lambda>") != "<lambda>":
        return {"function": thing.__name__}
    raise NetworkError(
        f"{thing!r} cannot be saved: expected numbers, names, objects of graphgrad.nn, or a "
        f"function that has a name, which load_model is then given in custom_objects"
    )


FUNCTIONS: dict[str, Any] = {}
"""Functions that a saved network may name: the activations put themselves here."""


def restore(data: Any, custom: Mapping[str, Any] | None = None) -> Any:
    """Return what `settings` wrote, made again.

    Args:
        data: what JSON gave.
        custom: classes of the user's, by name.

    Raises:
        CheckpointError: when it names a class or function that is not known, or its settings are
            not those of the class.
    """
    if isinstance(data, list):
        return [restore(x, custom) for x in data]
    if not isinstance(data, dict):
        return data
    if "dict" in data:
        return {k: restore(v, custom) for k, v in data["dict"].items()}
    if "function" in data:
        known = {**TABLE, **FUNCTIONS, **(custom or {})}
        return _known(data["function"], known, "function")
    kind = _known(data.get("class"), {**CLASSES, **(custom or {})}, "class")
    given = {k: restore(v, custom) for k, v in data.items() if k != "class"}
    try:
        return kind(**given)
    except (TypeError, ValueError) as problem:
        raise CheckpointError(f"a {data['class']} with settings {given}: {problem}") from None


def _known(name: Any, table: Mapping[str, Any], what: str) -> Any:
    if not isinstance(name, str) or name not in table:
        raise CheckpointError(
            f"the file names the {what} {name!r}, which graphgrad.nn does not have; a class of "
            f"your own is given as custom_objects={{{str(name)!r}: …}}"
        )
    return table[name]


def choose(given: Any, table: Mapping[str, Any], what: str) -> Any:
    """Return what a word stands for in a table, made if it is a class; other things unchanged.

    Raises:
        NetworkError: when the word is not in the table; the message has the nearest ones.
    """
    if isinstance(given, type) and issubclass(given, Configurable):
        return given()
    if not isinstance(given, str):
        return given
    if given.lower() not in table:
        raise NetworkError(f"{what} {given!r}: expected {listed(given, table)}")
    found = table[given.lower()]
    return found() if isinstance(found, type) else found


def listed(given: str, table: Mapping[str, Any]) -> str:
    """Return the names nearest to the one given, or all of them."""
    import difflib

    near = difflib.get_close_matches(given.lower(), table, 3, 0.5)
    return " or ".join(map(repr, near)) if near else "one of " + ", ".join(table)
