"""The file a network is saved in: arrays and one JSON text in an ``.npz``, written at one stroke.

A file is written beside its place and then put there, so that a process killed at any moment
leaves the old one or the new one. Reading trusts nothing: no pickle, no compression, no header
that promises more bytes than the file has.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.errors import CheckpointError

__all__ = ["read", "write"]

FORMAT, VERSION = "graphgrad.nn", 1
TEXT = "graphgrad.json"
MADE = (1980, 1, 1, 0, 0, 0)
"""The date in the archive: the same network gives the same bytes."""


def write(path: Any, text: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a file, all of it or nothing.

    Args:
        path: where; an existing file is replaced.
        text: what JSON can hold.
        arrays: by name.

    Raises:
        OSError: when it cannot be written.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                whole = {"format": FORMAT, "version": VERSION, **text}
                _put(archive, TEXT, json.dumps(whole).encode())
                for name, array in arrays.items():
                    _put(archive, f"{name}.npy", _bytes(np.asarray(array)))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, MADE), data)


def _bytes(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), (1, 0), allow_pickle=False)
    return buffer.getvalue()


def _sync_folder(folder: Path) -> None:
    """Make the new name last, too, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the text and the arrays of a file.

    Raises:
        CheckpointError: when it is no such file, is damaged, or is of a newer version.
        OSError: when it cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, os.path.getsize(path))
            if TEXT not in archive.namelist():
                raise CheckpointError(f"{path} is no network saved by graphgrad: no {TEXT} in it")
            text = _json(archive.read(TEXT))
            _check_version(path, text)
            arrays = {
                info.filename.removesuffix(".npy"): _array(archive, info)
                for info in archive.infolist() if info.filename != TEXT
            }  # fmt: skip
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as problem:
        raise CheckpointError(
            f"{path} is no network saved by graphgrad, or was cut short: {problem}"
        ) from None
    except CheckpointError as problem:
        raise CheckpointError(str(problem).replace("the file", str(path), 1)) from None
    return text, arrays


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    if any(m.compress_type != zipfile.ZIP_STORED for m in members):
        raise CheckpointError("the file has compressed parts: graphgrad writes none")
    if sum(m.file_size for m in members) > size:
        raise CheckpointError("the file promises more bytes than it has")


def _json(data: bytes) -> dict[str, Any]:
    try:
        text = json.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"the file's {TEXT} is damaged: {problem}") from None
    if not isinstance(text, dict):
        raise CheckpointError(f"the file's {TEXT} is no object")
    return text


def _check_version(path: Any, text: dict[str, Any]) -> None:
    if text.get("format") != FORMAT or not isinstance(text.get("version"), int):
        raise CheckpointError(f"{path} is no network saved by graphgrad: its format is "
                              f"{text.get('format')!r}")  # fmt: skip
    if text["version"] > VERSION:
        raise CheckpointError(
            f"{path} is of version {text['version']}, and this graphgrad reads up to {VERSION}: "
            f"install a newer one"
        )


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    """Return one array; its header must agree with the number of bytes that follow."""
    name = info.filename
    with archive.open(info) as file:
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError, TypeError) as problem:
            raise CheckpointError(f"the file's part {name!r} has no header: {problem}") from None
        data = file.read()
    if dtype.hasobject or dtype.kind not in "fiub" or fortran:
        raise CheckpointError(f"the file's part {name!r} holds {dtype}: expected plain numbers")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise CheckpointError(f"the file's part {name!r} has {len(data)} bytes for shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape)
