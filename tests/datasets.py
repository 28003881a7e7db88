"""Where the public data sets lie that some tests read, and the reason when a test goes without.

They are too large, or not ours, to be part of the project: the folder ``shared`` beside it holds
them. `adbench` and `nist` return paths, or skip the test that asked.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def adbench(name: str) -> Path:
    """Return one file of ADBench's inputs and derivatives."""
    return _file("ADBench", "adbench", name)


def nist(name: str) -> Path:
    """Return one file of NIST's Statistical Reference Datasets for regression."""
    return _file("NIST StRD", "nist_strd", name)


def names(folder: str, pattern: str) -> list[str]:
    """Return the files there, or one name that stands for all of them when there are none.

    Tests are made from these names, so that a missing data set shows as a skipped test.
    """
    return sorted(p.name for p in (DATA / folder).glob(pattern)) or [pattern]


@cache
def arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an ``.npz`` file."""
    with np.load(path) as found:
        return {name: found[name] for name in found}


@cache
def table(path: Path) -> dict[str, Any]:
    """Return a JSON file; its ``{"dtype", "shape", "data"}`` objects become arrays."""

    def revive(entry: dict[str, Any]) -> Any:
        if entry.keys() == {"dtype", "shape", "data"}:
            return np.array(entry["data"], entry["dtype"]).reshape(entry["shape"])
        return entry

    found: dict[str, Any] = json.loads(path.read_text("utf-8"), object_hook=revive)
    return found


def _file(title: str, folder: str, name: str) -> Path:
    path = DATA / folder / name
    if not path.exists():
        pytest.skip(f"{title} data is not beside the project (../shared/data/{folder})")
    return path
