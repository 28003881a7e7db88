"""What a verification found: rows, one per derivative, and what they amount to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG

__all__ = ["GROUPED", "MARKS", "Findings", "Row"]

MARKS = {PROVED: "✓", CHECKED: "≈", UNDECIDED: "?", WRONG: "✗"}
"""The sign of each status; the word stands beside it, so that nothing hangs on the sign."""
GROUPED = {"edge": 40, "structure": 40, "leaf": 20, "value": 2}
"""How many rows of a kind a table shows one by one; more are shown by groups."""


@dataclass(frozen=True)
class Row:
    """One statement that was examined, and what came out.

    Attributes:
        kind: "edge" (a local derivative), "structure" (the backward rule of an operation that is
            no map), "leaf" (the whole derivative towards a variable), "value" (formula against
            computed number), "rule" and "convention" (of the rule book).
        where: the derivative, as in ``∂v₄/∂v₃``.
        of: what is differentiated, as in ``v₄ = |v₃|``.
        formula: SymPy's derivative, as text.
        rule: the rule book's, as text.
        difference: "0" when proved; else their difference or its bound.
        method: how it was found, in words.
        domain: where the statement holds.
        status: "proved", "checked" (at points, to many digits), "not decided" or "WRONG".
        note: what else a reader should know, about the current values for example.
        point: where the two differ, as exact numbers by name; empty unless WRONG.
        values: the two numbers there, SymPy's first.
        seconds: what it took, now or when the rule was first proved in this process.
        count: how many edges the row stands for.
        group: rows of one group say the same of different edges.
        tex: where, of, formula, rule and domain as LaTeX, as far as they are formulas; and the
            words that follow the domain.
    """

    kind: str
    where: str
    status: str
    of: str = ""
    formula: str = ""
    rule: str = ""
    difference: str = ""
    method: str = ""
    domain: str = ""
    note: str = ""
    point: Mapping[str, str] = field(default_factory=dict)
    values: tuple[str, str] | None = None
    seconds: float = 0.0
    count: int = 1
    group: str = ""
    tex: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Status and method in one line, as in ``proved: same expression``."""
        return f"{self.status}: {self.method}" if self.method else self.status

    @property
    def counterexample(self) -> str:
        """The point at which the two differ, with both numbers; "" unless WRONG."""
        if self.values is None:
            return ""
        shown = list(self.point.items())
        at = ", ".join(f"{name} = {value}" for name, value in shown[:12])
        more = f", … ({len(shown)} numbers)" if len(shown) > 12 else ""
        by = f", difference {self.difference}" if self.difference else ""
        return f"at {at}{more}: derivative {self.values[0]}, rule {self.values[1]}{by}"


@dataclass(frozen=True, repr=False)
class Findings:
    """The rows of a verification, with what they amount to.

    `ok` says that nothing is wrong, `complete` that everything was decided; findings may be ok and
    not complete, and then say so.

    Attributes:
        title: what was verified.
        rows: every statement that was examined.
        seconds: what it took.
        budget: what it might have taken.
        notes: sentences about the whole.
    """

    title: str
    rows: Sequence[Row]
    seconds: float
    budget: float
    notes: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. What was not decided is not wrong: see `complete`."""
        return not any(row.status == WRONG for row in self.rows)

    @property
    def complete(self) -> bool:
        """Whether every row was decided."""
        return not any(row.status == UNDECIDED for row in self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many statements have each status, edges of one row counted one by one."""
        found: Counter[str] = Counter()
        for row in self.rows:
            found[row.status] += row.count
        return {status: found[status] for status in MARKS if found[status]}

    @property
    def wrong(self) -> list[Row]:
        """The rows that are wrong."""
        return [row for row in self.rows if row.status == WRONG]

    @property
    def summary(self) -> str:
        """The result in one sentence, with the time it took."""
        return f"{self.verdict} ({self.seconds:.2g} s)"

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        total = sum(self.counts.values())
        parts = [f"{n} {status}" for status, n in self.counts.items()]
        head = "nothing to verify" if not total else "ok" if self.ok else "WRONG"
        head += "" if self.complete else ", not complete" if self.ok else ""
        listed = f": {', '.join(parts)}" if parts else ""
        return f"{head}{listed}"

    def grouped(self) -> list[Row]:
        """Return the rows as tables show them: where there are many, equal ones as one."""
        sizes = Counter(row.kind for row in self.rows if row.group)
        many = {kind for kind, size in sizes.items() if size > GROUPED.get(kind, 0)}
        return list(_merged(self.rows, many))


def _merged(rows: Sequence[Row], kinds: Collection[str]) -> Iterator[Row]:
    """Yield rows, those of one group and one outcome as one, at the first one's place."""
    keys: list[Any] = [
        (r.group, r.status, r.method, r.note) if r.kind in kinds and r.status != WRONG else k
        for k, r in enumerate(rows)
    ]
    totals: Counter[Any] = Counter()
    for key, row in zip(keys, rows, strict=True):
        totals[key] += row.count
    seen = set()
    for key, row in zip(keys, rows, strict=True):
        if key not in seen:
            seen.add(key)
            more = f"\nand {totals[key] - 1:,} more" if totals[key] > 1 else ""
            yield replace(row, where=row.where + more, count=totals[key])
