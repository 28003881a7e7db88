"""Files a person names: checked paths, and writing in one stroke."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil

from graphgrad.errors import GraphError
from graphgrad.stepping.nodes import quoted

__all__ = ["checked_path", "write"]


def checked_path(text: str) -> str:
    """Return a path a person typed, with ~ spelled out.

    Raises:
        GraphError: when it is empty or no path can be that.
    """
    if not text:
        raise GraphError("which file?")
    try:
        os.fsencode(text)
    except UnicodeError:
        raise GraphError(f"file {quoted(text)}: this is no name of a file") from None
    if "\0" in text:
        raise GraphError(f"file {quoted(text)}: this is no name of a file")
    return os.path.expanduser(text)


def write(path: str, content: bytes) -> None:
    """Write a file in one stroke: it is there whole, or as it was before.

    Raises:
        OSError: when it cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(path))
    draft = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(4)}")
    try:
        with open(draft, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.isfile(path):
            shutil.copymode(path, draft)
        os.replace(draft, path)
    except BaseException as problem:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        if isinstance(problem, OSError):
            problem.filename = path
        raise
