"""What the benchmarks share: alternating timings, memory of this process, a table, the machine.

Machines are noisy. So two things that are to be compared run by turns in one process, and what
counts is the median over the turns, and the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any

Row = dict[str, Any]


def seconds(work: Callable[[], Any]) -> float:
    """Return the wall time of one call, with no garbage left over from what came before."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_turns(first: Callable[[], Any], second: Callable[[], Any], turns: int) -> Row:
    """Return the median seconds of both, and the median of first / second over the turns."""
    first(), second()
    gc.collect()
    gc.freeze()  # what one keeps from turn to turn must not slow the other's garbage collections
    pairs = [(seconds(first), seconds(second)) for _ in range(turns)]
    gc.unfreeze()
    a, b = zip(*pairs)
    return {
        "first_s": statistics.median(a),
        "second_s": statistics.median(b),
        "ratio": statistics.median(x / y for x, y in pairs),
        "turns": turns,
    }


def resident() -> int:
    """Return the bytes of memory this process holds now (Linux; 0 elsewhere)."""
    try:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def about(packages: Iterable[str]) -> Row:
    """Return the machine, the versions, the command and the date."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "not installed"

    return {
        "machine": f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()}",
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "command": " ".join([os.path.basename(sys.executable), *sys.argv]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            models = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
        return models[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def run(parts: dict[str, Callable[[], list[Row]]], packages: Iterable[str]) -> None:
    """Run the parts named on the command line (all by default) and print what they measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help="by default all")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    asked = parser.parse_args()
    result: Row = {"about": about(packages)}
    if not asked.json:
        show(result["about"])
    for name in asked.parts or parts:
        result[name] = parts[name]()
        if not asked.json:
            print(f"\n{name}")
            for row in result[name]:
                show(row)
    if asked.json:
        print(json.dumps(result, indent=1))


def show(row: Row) -> None:
    """Print a row: its names, and numbers to three digits."""
    cells = []
    for name, value in row.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        cells.append(shown if name == "what" else f"{name} {shown}")
    print("  " + "; ".join(cells))
