"""How a tile of a product's factor comes to shared memory: where each thread's entries are.

A thread copies some entries of each tile. Their number along the result stays as it is, so what it
says about places is computed once; their number along the inner axis goes on from tile to tile.
Neighbouring threads copy neighbours in memory, whichever way a factor lies there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphgrad.compiler.cuda.singles import CudaSingles
from graphgrad.compiler.cuda.windows import Bound, Step, Window, merged, steps
from graphgrad.compiler.text import LETTERS, index, join
from graphgrad.compiler.views import View
from graphgrad.shapes import size

__all__ = ["PAD", "CudaFactors", "Factor"]

Digits = list[Step]
PAD = 4
"""Entries between the columns of a tile in shared memory, so that they stand in other banks."""


@dataclass
class Factor:
    """A factor of a product: where its entries are, by digits of each axis.

    Attributes:
        name: "left" or "right".
        begin: the local in which the first row or column of a block's tile stands.
        view: what it is a view of.
        batch: the digits of the number of a product; `along` those of a row of the left factor, or
            a column of the right one; `inner` those of the axis that is summed over.
        length, count, deep: of `along`, of a tile along it, and of a tile along `inner`.
    """

    name: str
    begin: str
    view: View
    batch: Digits
    along: Digits
    inner: Digits
    length: int = 0
    count: int = 0
    deep: int = 0

    @classmethod
    def of(cls, name: str, view: View, summed: bool) -> Factor:
        """Return the left or right factor, its axes (…, row, column); batches may be summed."""
        *batch, rows, columns = steps(view)
        before = [step for digits in batch for step in digits]
        is_left = name == "left"
        along, inner = (rows, columns) if is_left else (columns, rows)
        if summed:
            before, inner = [], [*before, *inner]
        begin = "row" if is_left else "column"
        return cls(name, begin, view, merged(before), merged(along), merged(inner))

    @property
    def bounds(self) -> Sequence[Bound]:
        """The tests of the borders."""
        return self.view.bounds if isinstance(self.view, Window) else ()

    @property
    def stays(self) -> bool:
        """Whether all products have the same."""
        return not any(step.stride or any(step.moves) for step in self.batch)

    @property
    def inner_first(self) -> bool:
        """Whether neighbouring threads copy neighbours along the inner axis."""
        return _nearness(self.inner) > _nearness(self.along)


def _nearness(digits: Digits) -> tuple[int, float]:
    """Return how many entries stand side by side along an axis, and how near others are."""
    if not digits:
        return 0, -float("inf")
    last = digits[-1]
    return last.size * (abs(last.stride) == 1), -abs(last.stride)


@dataclass(frozen=True)
class Along:
    """Where one of a thread's entries is along an axis: a local, and a number to be added to it.

    Entries of an axis of one digit share a local, for they are a constant apart.

    Attributes:
        name: of the local; those of its place and coordinates begin with it.
        text: what it is within a tile.
        more: the number to be added.
    """

    name: str
    text: str
    more: int


@dataclass(frozen=True)
class Slot:
    """An entry that a thread copies.

    Attributes:
        local: that holds it on its way.
        test: whether there is one for this thread; "" if for all.
        i, k: where it is along the result, and along the inner axis.
        at: where it goes in the tile.
    """

    local: str
    test: str
    i: Along
    k: Along
    at: str


class CudaFactors(CudaSingles):
    """Writes how threads copy the tiles of a product's factors."""

    def slots(self, f: Factor) -> list[Slot]:
        """Return what a thread copies of a tile."""
        total, threads = f.count * f.deep, self.grid.side**2
        names: dict[tuple[str, int], str] = {}
        found: list[Slot] = []
        for first in range(0, total, threads):
            test = f"{_plus('thread', first)} < {total}" if first + threads > total else ""
            i, k = _divided(first, threads, f.deep if f.inner_first else f.count)
            i, k = (i, k) if f.inner_first else (k, i)
            along = []
            for letter, (text, shift), digits in (("i", i, f.along), ("k", k, f.inner)):
                own = shift if len(digits) > 1 else 0
                stem = f"_{f.name}_{letter}"
                name = names.setdefault((letter + text, own), f"{stem}{len(names)}")
                along.append(Along(name, _plus(text, own), shift - own))
            at = f"({f.deep}*turn + {_plus(*k)})*{f.count + PAD} + {_plus(*i)}"
            found.append(Slot(f"_{f.name}{len(found)}", test, along[0], along[1], at))
        return found

    def locate(self, depth: int, f: Factor) -> None:
        """Write what the numbers of a thread's entries along the result say about their places."""
        base = []
        if not self._is_number(f.view):
            at = self._digits(depth, "product", f.batch, f"_{f.name}_b")
            base = [_sum(f.batch, at, f.view.offset)]
            base += [_sum(f.batch, at, b.start, q) for q, b in enumerate(f.bounds)]
        self._placed(depth, f, {s.i.name: s.i for s in self.slots(f)}, f.begin, f.along, base)

    def _placed(
        self, depth: int, f: Factor, numbers: Mapping[str, Along], begin: str, digits: Digits,
        base: Sequence[str],
    ) -> None:  # fmt: skip
        """Write numbers along an axis: how far each moves the place, and each coordinate."""
        for name, number in numbers.items():
            self.emit(depth, f"{name} = u32({begin} + {number.text})")
            at = self._digits(depth, name, digits, f"{name}_") if base else []
            for q, start in enumerate(base, -1):
                text = join(start, _sum(digits, at, 0, q))
                kind = "int64" if q < 0 and self._kind(f) == "int64" else "int32"
                self.emit(depth, f"{name}{LETTERS[q + 1]} = {kind}({text})")

    def _kind(self, f: Factor) -> str:
        return self.whole(2 * size(f.view.root.shape))

    def _digits(self, depth: int, linear: str, digits: Digits, stem: str) -> list[str]:
        """Write the digits of a number and return their names."""
        if len(digits) < 2:
            return [linear]
        names = [f"{stem}{q}" for q in range(len(digits))]
        self.decoded(depth, linear, [s.size for s in digits], names, "u32")
        return names

    def ask(self, depth: int, f: Factor, length: int) -> None:
        """Write how a thread reads its entries of the tile that begins at `ahead` of an axis."""
        slots = self.slots(f)
        base = [] if self._is_number(f.view) else ["0"] * (1 + len(f.bounds))
        self._placed(depth, f, {s.k.name: s.k for s in slots}, "ahead", f.inner, base)
        for s in slots:
            tests = [s.test] if s.test else []
            if f.length % f.count:
                tests.append(f"{_plus(s.i.name, s.i.more)} < {f.length}")
            if length % f.deep:
                tests.append(f"{_plus(s.k.name, s.k.more)} < {length}")
            for q, bound in enumerate(f.bounds):
                tests.append(f"0 <= {self._at(f, s, q)} < {bound.size}")
            root = f.view.root
            place = f"{self._kind(f)}({self._at(f, s)})"
            text = self.entry(root, place) if base else self.literal(root)
            if tests:
                text = f"{text} if {' and '.join(tests)} else {root.dtype.name}(0)"
            self.emit(depth, f"{s.local} = {text}")

    def deposit(self, depth: int, f: Factor) -> None:
        """Write how a thread puts what it has read into shared memory."""
        for s in self.slots(f):
            if s.test:
                self.emit(depth, f"if {s.test}:")
            self.emit(depth + bool(s.test), f"{f.name}s[u32({s.at})] = {s.local}")

    def _at(self, f: Factor, s: Slot, bound: int = -1) -> str:
        """Return the text of an entry's place, or of one of its coordinates."""
        shift = sum(
            a.more * _move(digits[0], bound) for a, digits in ((s.i, f.along), (s.k, f.inner))
            if a.more and digits
        )  # fmt: skip
        letter = LETTERS[bound + 1]
        return _plus(f"{s.i.name}{letter} + {s.k.name}{letter}", shift)


def _move(step: Step, bound: int) -> int:
    """Return how far a digit moves the place (-1), or one of the coordinates."""
    return step.stride if bound < 0 else step.moves[bound] if step.moves else 0


def _sum(digits: Digits, at: Sequence[str], start: int, bound: int = -1) -> str:
    return index([_move(s, bound) for s in digits], start, at)


def _plus(text: str, number: int) -> str:
    return f"{text} + {number}" if number > 0 else f"{text} - {-number}" if number else text


def _divided(first: int, threads: int, by: int) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return quotient and remainder of a thread's number plus `first`, each a text and a number."""
    if by % threads == 0:
        return ("0", first // by), ("thread", first % by)
    if threads % by == 0:
        return (f"thread // {by}", first // by), (f"thread % {by}", 0)
    slot = f"({_plus('thread', first)})"
    return (f"{slot} // {by}", 0), (f"{slot} % {by}", 0)
