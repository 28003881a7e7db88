"""Long programs in kernel text: kernels as functions, equal ones once, calls as a table.

Numba is slow to compile long functions. And an unrolled graph, of a recurrent network for example,
has thousands of kernels that are the same but for their buffers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.fuse import Kernel
from graphgrad.compiler.shares import Parts
from graphgrad.compiler.text import ARENAS, RESERVED
from graphgrad.dtypes import FLOAT64, INT64

__all__ = ["OPTIONS", "Functions", "tabulated"]

# what Numba rewrites (array expressions, closures) is not in kernels, and looking for it takes long
OPTIONS = 'cache=True, error_model="numpy", fastmath={"contract"}, no_rewrites=True'
MANY = 20
"""Calls of kernels in a row from which on they are a table and a loop."""
_NAME = re.compile(r"[A-Za-z_]\w*")
_CALL = re.compile(r" *(kernel_\d+)\((.*)\)")
_START = re.compile(r"( *\w+ = view\(\w+, )(\d+)(?=[ ,])")
_NUMBER = re.compile(r" *(\w+) = view\((\w+), (\d+), 1\) .*")
_ENTRY = re.compile(r"([A-Za-z_]\w*)(\[0\])?")


@dataclass
class Function:
    """A kernel as a function.

    Attributes:
        fixed: its lines when one kernel only is it, with the places of its buffers as numbers: so
            LLVM knows that they do not overlap.
        general: its lines when several kernels are it; the places are arguments.
        calls: how many kernels are it.
    """

    name: str
    fixed: list[str]
    general: list[str]
    calls: int = 0


@dataclass
class Functions(Parts):
    """Writes kernels as functions; `known` holds them by arguments and text."""

    known: dict[tuple[tuple[str, ...], str], Function] = field(default_factory=dict)

    def _commented(self, kernel: Kernel, number: int) -> None:
        raise NotImplementedError

    def _as_function(self, kernel: Kernel, number: int) -> None:
        """Write a kernel as a function of its own: Numba is slow to compile long functions.

        Kernels that differ in their buffers only, as the steps of a recurrent network do, are one
        function; where the buffers begin are its arguments.
        """
        outer = self.lines, self.used, self.before, self.indent
        self.lines, self.used, self.before, self.indent = [], {}, [], 0
        self._commented(kernel, number)
        body, self.lines = self.lines, []
        self._places(1, list(self.used), with_rows=True)
        head, used, before = self.lines, self.used, self.before
        self.lines, self.used, self.before, self.indent = outer
        held = {n.dtype for n in used if n in self.plan.start or n in self.plan.shares}
        held |= {FLOAT64 for _ in self.summed_here(used)}
        arguments = [name for kind, name in ARENAS.items() if kind in held]
        given = [n for n in used if n in self.program.inputs or n in self.outs]
        self.used |= dict.fromkeys(given)
        arguments += [self.name(n) for n in given]
        arguments += ["low", "high", "part"] if self.cut else []
        arguments += sorted(self.routines)
        arguments += ["addresses"] if kernel.kind in ("gather", "scatter") else []
        starts = [m[2] for line in head if (m := _START.match(line))]
        places = [f"at_{k}_" for k in range(len(head))]
        moved = [_START.sub(rf"\g<1>{at}", line) for at, line in zip(places, head, strict=True)]
        name, text = f"kernel_{number}", [*before, *body]
        numbers = _numbers(head, text)
        fixed = _defined(name, arguments, _direct(head, text, numbers, starts))
        lines = _direct(moved, text, numbers, places)
        general = _defined(name, [*arguments, *places], lines)
        key = (tuple(arguments), _anonymous(lines))
        function = self.known.setdefault(key, Function(name, fixed, general))
        function.calls += 1
        self.emit(1, f"{function.name}({', '.join([*arguments, *starts])})")

    def defined(self) -> list[str]:
        """Return the lines of all functions."""
        return [line for f in self.known.values()
                for line in (f.fixed if f.calls == 1 else f.general)]  # fmt: skip

    def called(self, lines: Sequence[str]) -> list[str]:
        """Return lines with the places left out of calls of what one kernel only is."""
        alone = {f.name for f in self.known.values() if f.calls == 1}
        found = []
        for line in lines:
            call = _CALL.fullmatch(line)
            if call and call[1] in alone:
                given = ", ".join(a for a in call[2].split(", ") if not a.isdigit())
                line = f"{line[: line.index('kernel_')]}{call[1]}({given})"
            found.append(line)
        return found


def _numbers(head: Sequence[str], text: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Return the buffers of one number: which line says where each is, and its arena."""
    found = {m[1]: (k, m[2]) for k, line in enumerate(head) if (m := _NUMBER.fullmatch(line))}
    for line in text if found else ():
        for m in _ENTRY.finditer(line.partition("#")[0]):
            if m[1] in found and not m[2]:
                del found[m[1]]
    return found


def _direct(
    head: Sequence[str],
    text: Sequence[str],
    numbers: dict[str, tuple[int, str]],
    places: Sequence[str],
) -> list[str]:
    """Return the lines of a function in which single numbers are entries of their arena.

    A view of each would take Numba longer than all that is done with the number.
    """
    if not numbers:
        return [*head, *text]
    gone = {k for k, _ in numbers.values()}
    entries = {f"{x}[0]": f"{arena}[{places[k]}]" for x, (k, arena) in numbers.items()}
    return [line for k, line in enumerate(head) if k not in gone] + [
        line if line.lstrip().startswith("#") else
        _ENTRY.sub(lambda m: entries.get(m[0], m[0]), line)
        for line in text
    ]  # fmt: skip


def _defined(name: str, arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    return [f"@njit({OPTIONS})", f"def {name}({', '.join(arguments)}):", *lines, "", ""]


def _anonymous(lines: Sequence[str]) -> str:
    """Return text without comments, its names replaced by numbers in the order they appear."""
    numbers: dict[str, str] = {}
    text = "\n".join(line.partition("#")[0].rstrip() for line in lines)
    return _NAME.sub(
        lambda m: m[0] if m[0] in RESERVED else numbers.setdefault(m[0], f"_{len(numbers)}"), text
    )


def tabulated(lines: list[str], start: int) -> tuple[list[str], list[int]]:
    """Return lines with long stretches of calls of kernels as loops over a table, and the table.

    A row of the table is which kernel, and where its buffers begin; it stands at `start` in the
    arena of integers.
    """
    found: list[str] = []
    table: list[int] = []
    for calls, run in itertools.groupby(lines, key=lambda line: bool(_CALL.fullmatch(line))):
        stretch = list(run)
        if not calls or len(stretch) < MANY:
            found += stretch
            continue
        kinds: dict[str, tuple[int, int]] = {}
        begin = start + len(table)
        for line in stretch:
            name, arguments = _CALL.fullmatch(line).groups()  # type: ignore[union-attr]
            parts = arguments.split(", ")
            numbers = [int(a) for a in parts if a.isdigit()]
            call = ", ".join([f"{name}(" + parts[0], *(a for a in parts[1:] if not a.isdigit())])
            kinds.setdefault(call, (len(kinds), len(numbers)))
            table += [kinds[call][0], *numbers]
        indent = " " * (len(stretch[0]) - len(stretch[0].lstrip()))
        found.append(f"{indent}# {len(stretch)} calls of kernels, by a table of their buffers")
        found.append(f"{indent}at_ = {begin}")
        found.append(f"{indent}for _ in range({len(stretch)}):")
        for call, (k, count) in kinds.items():
            given = "".join(f", {ARENAS[INT64]}[at_ + {q + 1}]" for q in range(count))
            found.append(f"{indent}    {'elif' if k else 'if'} {ARENAS[INT64]}[at_] == {k}:")
            found.append(f"{indent}        {call}{given})")
            found.append(f"{indent}        at_ += {count + 1}")
    return found, table
