"""The kernels of a compiled graph, as a table: what each computes, moves, and how long it takes.

`Kernels` is what ``f.kernels`` and ``f.profile(…)`` return: a tuple of `KernelRecord` in the order
in which they run, which prints as a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphgrad.display import text_bundle
from graphgrad.explain.names import pretty
from graphgrad.explain.numbers import shape_text
from graphgrad.explain.tables import columns, count, html_table, percent, table
from graphgrad.graph import Node
from graphgrad.shapes import Shape

__all__ = ["KernelRecord", "Kernels", "amount", "duration"]

WIDTH = 80
"""Columns of a table."""
PRODUCTS = ("matmul", "cublas")
"""Kinds that multiply matrices."""


@dataclass(frozen=True)
class KernelRecord:
    """One kernel.

    Attributes:
        number: as in the comments of ``f.source``.
        kind: "loop", "matmul", "move", "gather", …
        domain: the lengths of its loops; of a product the shape of its result.
        nodes: the user's own nodes that it computes, or a part of them.
        updates: the variables whose new values it computes.
        group: the number of the group it runs in, as in ``f.source``.
        threads: how many threads share it.
        blocks: on a GPU, into how many blocks they are grouped; 0 on a processor.
        bytes_read, bytes_written: from shapes and types; see `graphgrad.compiler.work`.
        flops: floating operations, likewise.
        source: its lines in ``f.source``.
        seconds: of one run, the slowest thread's; None before ``f.profile(…)``.
    """

    number: int
    kind: str
    domain: Shape
    nodes: tuple[Node, ...] = field(repr=False)
    updates: tuple[Node, ...]
    group: int
    threads: int
    bytes_read: int
    bytes_written: int
    flops: int
    source: str = field(repr=False)
    seconds: float | None = None
    blocks: int = 0

    @property
    def shape(self) -> str:
        """How it is launched: blocks and threads of each on a GPU, else threads.

        Example:
            >>> replace(KernelRecord(*[0] * 11), threads=512, blocks=2).shape
            '2×256'
        """
        if self.blocks:
            return f"{self.blocks}×{self.threads // self.blocks}"
        return str(self.threads or "-")  # a library launches as it likes

    @property
    def speed(self) -> str:
        """What it achieved, by what limits its kind: FLOP/s of a product, else bytes a second.

        Example:
            >>> replace(KernelRecord(0, "loop", *[0] * 9), bytes_read=3000, seconds=1e-6).speed
            '3 GB/s'
        """
        if not self.seconds:
            return ""
        if self.kind in PRODUCTS:
            return _si(self.flops / self.seconds, "FLOP/s")
        return _si(self.bytes / self.seconds, "B/s")

    @property
    def what(self) -> str:
        """Its kind and domain, such as ``loop 128×512``."""
        return f"{self.kind} {shape_text(self.domain)}"

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    @property
    def computes(self) -> str:
        """What it computes, in a few words: new values of variables, names, then operations."""
        words = [f"new {pretty(v.name)}" for v in self.updates]
        words += [pretty(n.name) for n in self.nodes if n.name]
        counts = Counter(n.op for n in self.nodes if not n.name)
        words += [op if k == 1 else f"{op} ×{k}" for op, k in counts.items()]
        return ", ".join(dict.fromkeys(words))


class Kernels(tuple[KernelRecord, ...]):
    """The kernels of a compiled graph in the order in which they run; prints as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        rows, right = self._rows()
        widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
        room = max(16, WIDTH - 2 * len(widths) - sum(widths) + widths[2])
        rows = [[_cut(cell, room) if k == 2 else cell for k, cell in enumerate(r)] for r in rows]
        return "\n".join([self.title, *table(rows, right)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows, right = self._rows()
        return text_bundle(str(self)) | {"text/html": html_table(rows, right)}

    @property
    def title(self) -> str:
        """How many kernels there are, for how many threads, and their time together."""
        threads = max((k.threads for k in self), default=1)
        where = "the GPU" if any(k.blocks for k in self) else count(threads, "thread")
        text = f"{count(len(self), 'kernel')} on {where}"
        moved = amount(sum(k.bytes for k in self))
        text += f", {moved} read and written"
        seconds = self.seconds
        return text if seconds is None else f"{text}, {duration(seconds)}"

    @property
    def seconds(self) -> float | None:
        """The seconds of all kernels together; None before ``f.profile(…)``."""
        found = [k.seconds for k in self if k.seconds is not None]
        return sum(found) if found else None

    def timed(self, seconds: Sequence[float]) -> Kernels:
        """Return the same kernels with the seconds of each, by its number."""
        return Kernels(replace(k, seconds=float(seconds[k.number - 1])) for k in self)

    def _rows(self) -> tuple[list[list[str]], str]:
        """Return the cells of the table, the heading first, and which columns are set right."""
        total = self.seconds
        if total is None:
            shape = "launch" if any(k.blocks for k in self) else "threads"
            heads, right = ["", "kernel", "computes", shape, "moved", "flop"], "rllrrr"
            return [heads, *[[*_first(k), k.shape, amount(k.bytes), _si(k.flops)]
                             for k in self]], right  # fmt: skip
        heads = ["", "kernel", "computes", "µs", "share", "moved", "GB/s", "GFLOP/s"]
        return [heads, *[[*_first(k), *_speeds(k, total)] for k in self]], "rllrrrrr"


def _first(k: KernelRecord) -> list[str]:
    return [str(k.number), k.what, k.computes]


def _speeds(k: KernelRecord, total: float) -> list[str]:
    seconds = k.seconds or 0.0
    share = percent(seconds, total) if total else "-"
    shown = [f"{n / seconds / 1e9:.3g}" if seconds else "-" for n in (k.bytes, k.flops)]
    return [f"{1e6 * seconds:.2f}", share, amount(k.bytes), *shown]


def _cut(text: str, room: int) -> str:
    return text if columns(text) <= room else text[: room - 1] + "…"


def _si(number: float, unit: str = "") -> str:
    """Return a number with a letter for thousands, millions, …

    Example:
        >>> _si(950), _si(12_300), _si(4.5e9)
        ('950', '12.3 k', '4.5 G')
    """
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {letter}{unit}"
    return f"{number:.3g} {unit}".rstrip()


def amount(number: int) -> str:
    """Return bytes in words, 1 kB being 1000.

    Example:
        >>> amount(96), amount(1_100_000)
        ('96 B', '1.1 MB')
    """
    return _si(number, "B")


def duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> duration(1.23e-5), duration(0.004), duration(2.0)
        ('12.3 µs', '4 ms', '2 s')
    """
    for power, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= power:
            return f"{seconds / power:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
