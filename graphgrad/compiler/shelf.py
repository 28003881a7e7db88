"""What stands in the compile cache: its modules by version, and how to clear it.

Only files that graphgrad and, beside them, Numba and Python made are counted or removed: in folders
named by versions, modules ``gg_<hash>.py`` with what belongs to them, and drafts of such.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from graphgrad.compiler.cache import base, folder

__all__ = ["Shelf", "clear", "shelves"]

FOLDER = re.compile(r"py\d+-numba\S+-numpy\S+-llvmlite\S+")
FILE = re.compile(r"gg_[0-9a-f]{32}\.(py|\S+\.(nbi|nbc|pyc))|tmp\w{8}\.tmp")


@dataclass
class Shelf:
    """The files of one combination of versions.

    Attributes:
        place: the folder.
        used: whether these are the versions that run now.
        files: with the bytes of each.
        unread: what could not be looked into, and why.
    """

    place: Path
    used: bool
    files: dict[Path, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    @property
    def modules(self) -> int:
        """How many generated modules there are."""
        return sum(path.suffix == ".py" for path in self.files)

    @property
    def bytes(self) -> int:
        """How many bytes they take, with the machine code."""
        return sum(self.files.values())


def shelves() -> list[Shelf]:
    """Return the cache's folders by name; none when there is no cache yet.

    Raises:
        OSError: when the cache's folder cannot be read.
    """
    here = folder()
    try:
        with os.scandir(base()) as entries:
            found = [e for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    places = sorted(Path(e.path) for e in found if FOLDER.fullmatch(e.name))
    return [_shelf(place, place.name == here.name) for place in places]


def _shelf(place: Path, used: bool) -> Shelf:
    shelf = Shelf(place, used)
    for inner in (place, place / "__pycache__"):
        with contextlib.suppress(FileNotFoundError):
            try:
                with os.scandir(inner) as entries:
                    for e in entries:
                        if FILE.fullmatch(e.name) and e.is_file(follow_symlinks=False):
                            shelf.files[Path(e.path)] = e.stat(follow_symlinks=False).st_size
            except PermissionError as problem:
                shelf.unread.append(f"{inner}: {problem.strerror}")
    return shelf


def clear(shelf: Shelf) -> list[str]:
    """Remove a shelf's files, and its folders if nothing else is in them.

    Returns:
        What could not be removed, and why.
    """
    left = list(shelf.unread)
    for path in shelf.files:
        try:
            path.unlink(missing_ok=True)
        except OSError as problem:
            left.append(f"{path}: {problem.strerror}")
    for place in (shelf.place / "__pycache__", shelf.place):
        with contextlib.suppress(OSError):  # somebody else's files are in it: it stays
            place.rmdir()
    return left
