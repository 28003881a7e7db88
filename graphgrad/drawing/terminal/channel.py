"""Routes lines through the gap between two columns of a drawing: who turns on which track.

What one can do here: ``route(pairs)`` gives every line from a row on the left to a row on the right
its vertical legs, such that no two lines lie on top of each other unless they begin or end at the
same row. Then a cross of lines is always a crossing, and a T always a fork or a joint.

This is the channel routing of circuit boards (Hashimoto and Stevens, 1971, "Wire routing by
optimizing channel assignment within large apertures"), turned by a quarter, with one bend more
(a dogleg) where lines block each other in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

__all__ = ["Leg", "route"]


@dataclass(eq=False, slots=True)
class Leg:
    """A vertical piece of a line, from the row where it comes from the left to the next row."""

    pair: int
    start: int
    end: int
    track: int = -1

    @property
    def span(self) -> tuple[int, int]:
        """Its upper and lower end."""
        return min(self.start, self.end), max(self.start, self.end)


Bundle = list[Leg]  # legs on one track that touch each other: forks and joints


def route(pairs: Sequence[tuple[int, int]]) -> tuple[list[list[Leg]], int]:
    """Finds tracks for lines.

    Args:
        pairs: Row on the left and row on the right of every line; no pair twice.

    Returns:
        For every line its legs from left to right (none if it is straight), and the number of
        tracks, which count from 0 at the left.

    Example:
        >>> legs, tracks = route([(0, 2), (4, 2)])
        >>> [(leg.track, leg.start, leg.end) for (leg,) in legs], tracks
        ([(0, 0, 2), (0, 4, 2)], 1)
    """
    legs = [Leg(i, left, right) for i, (left, right) in enumerate(pairs) if left != right]
    bundles = _bundled(legs, {left for left, right in pairs if left == right})
    rows = {row for pair in pairs for row in pair}
    while (order := _ordered(bundles)) is None:
        _untie(bundles, rows)
    for position, bundle in enumerate(order):
        earlier = [b for b in order[:position] if _touch(b, bundle) or _before(b, bundle)]
        track = 1 + max((b[0].track for b in earlier), default=-1)
        for leg in bundle:
            leg.track = track
    found: list[list[Leg]] = [[] for _ in pairs]
    for leg in sorted((leg for bundle in order for leg in bundle), key=lambda leg: leg.track):
        found[leg.pair].append(leg)
    return found, 1 + max((b[0].track for b in order), default=-1)


def _bundled(legs: list[Leg], straight: set[int]) -> list[Bundle]:
    """Legs to one row share a track, then legs from one row: the joints look like ├ and ┤."""
    bundles: list[Bundle] = []
    free = list(legs)
    for here, there in (("end", "start"), ("start", "end")):
        at, off = attrgetter(here), attrgetter(there)
        crowd = Counter(map(off, legs))
        for row in sorted(set(map(at, free))):
            group = [leg for leg in free if at(leg) == row]
            # A shared track passes the rows of its shorter legs: nothing else may join there.
            alone = [g for g in group if crowd[off(g)] == 1 and off(g) not in straight]
            if len(alone) < 2:
                continue
            if row in straight or len(alone) < sum(at(leg) == row for leg in legs):
                # Up and down at once would make a cross where lines join.
                parts = [[g for g in alone if (g.end > g.start) == down] for down in (False, True)]
            else:
                parts = [alone]
            bundles += [part for part in parts if part]
            free = [leg for leg in free if leg not in alone]
    return bundles + [[leg] for leg in free]


def _touch(a: Bundle, b: Bundle) -> bool:
    return any(p.span[0] <= q.span[1] and q.span[0] <= p.span[1] for p in a for q in b)


def _before(a: Bundle, b: Bundle) -> bool:
    """Whether a must turn left of b, or they would lie on one row."""
    return any(
        (p.end == q.start) if p.pair == q.pair else (p.start == q.end) for p in a for q in b
    )


def _ordered(bundles: list[Bundle]) -> list[Bundle] | None:
    """From left to right, with few crossings; None if some block each other in a circle."""

    def wish(bundle: Bundle) -> tuple[bool, int, int]:
        leg = bundle[0]
        down = leg.end > leg.start
        return down, (-leg.start if down else leg.start), leg.pair

    waiting = sorted(bundles, key=wish)
    order: list[Bundle] = []
    while waiting:
        for bundle in waiting:
            if not any(_before(other, bundle) for other in waiting if other is not bundle):
                break
        else:
            return None
        waiting.remove(bundle)
        order.append(bundle)
    return order


def _untie(bundles: list[Bundle], rows: set[int]) -> None:
    """Breaks up one bundle that takes part in a circle, or gives one leg a row in between."""
    tied = _tied(bundles)
    bundle = max(tied, key=len)
    bundles.remove(bundle)
    if len(bundle) > 1:
        bundles += [[leg] for leg in bundle]
        return
    leg = bundle[0]
    middle = (leg.start + leg.end) // 2
    spare = min((r for r in range(min(rows) - 1, max(rows) + 2) if r not in rows),
                key=lambda r: (abs(r - middle), r))  # fmt: skip
    rows.add(spare)
    bundles += [[Leg(leg.pair, leg.start, spare)], [Leg(leg.pair, spare, leg.end)]]


def _tied(bundles: list[Bundle]) -> list[Bundle]:
    """The bundles that cannot be ordered: without those before and those after all circles."""
    tied = list(bundles)
    while True:
        kept = [
            b for b in tied
            if any(_before(o, b) for o in tied if o is not b)
            and any(_before(b, o) for o in tied if o is not b)
        ]  # fmt: skip
        if len(kept) == len(tied):
            return kept
        tied = kept
