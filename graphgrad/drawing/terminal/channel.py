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
    """A vertical piece of a line, from the row on which it comes from the left to the next row.

    Attributes:
        pair: The number of its line.
        start: The row at its left.
        end: The row at its right.
        after: The leg at its left, if its line has one more bend there.
        last: Whether its line goes on to the right side of the gap.
        track: Its place in the gap, -1 as long as it has none.
    """

    pair: int
    start: int
    end: int
    after: Leg | None = None
    last: bool = True
    track: int = -1


Bundle = list[Leg]  # legs on one track that touch each other: forks and joints
Waiting = dict[Leg | int | None, Bundle]  # by leg, and by row at the left


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
    order = _ordered(bundles, {row for pair in pairs for row in pair})
    for position, bundle in enumerate(order):
        track = 1 + max((b[0].track for b in order[:position] if _touch(b, bundle)), default=-1)
        for leg in bundle:
            leg.track = track
    found: list[list[Leg]] = [[] for _ in pairs]
    for leg in sorted((leg for bundle in order for leg in bundle), key=lambda leg: leg.track):
        found[leg.pair].append(leg)
    return found, 1 + max((bundle[0].track for bundle in order), default=-1)


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
    return any(
        min(p.start, p.end) <= max(q.start, q.end) and min(q.start, q.end) <= max(p.start, p.end)
        for p in a
        for q in b
    )


def _ordered(bundles: list[Bundle], rows: set[int]) -> list[Bundle]:
    """From left to right, with few crossings; ``rows`` are those in use.

    A line's row at its left must be free again before another line takes it at its right: the
    first turns left of the second. Where this goes round in a circle, one line gets a leg more.
    """
    waiting = sorted(bundles, key=_wish)
    order: list[Bundle] = []
    while waiting:
        starts: Waiting = {
            key: b for b in reversed(waiting) for leg in b for key in (leg, leg.start)
        }
        ready = next((b for b in waiting if _blocker(b, starts) is None), None)
        if ready is not None:
            waiting.remove(ready)
            order.append(ready)
            continue
        tied = _circle(waiting[0], starts)
        waiting.remove(tied)
        waiting = sorted(waiting + _untied(tied, rows), key=_wish)
    return order


def _wish(bundle: Bundle) -> tuple[bool, int, int]:
    """Lines that go the same way do not cross if the outer one turns first."""
    leg = bundle[0]
    down = leg.end > leg.start
    return down, (-leg.start if down else leg.start), leg.pair


def _blocker(bundle: Bundle, waiting: Waiting) -> Bundle | None:
    """A waiting bundle that must turn left of this one."""
    for leg in bundle:
        if leg.last and leg.end in waiting:
            return waiting[leg.end]
        if leg.after in waiting:
            return waiting[leg.after]
    return None


def _circle(bundle: Bundle, waiting: Waiting) -> Bundle:
    """The largest bundle of a circle of bundles that block each other."""
    path: list[Bundle] = []
    current: Bundle | None = bundle
    while current is not None and not any(current is b for b in path):
        path.append(current)
        current = _blocker(current, waiting)
    first = next(i for i, b in enumerate(path) if b is current)
    return max(path[first:], key=len)


def _untied(bundle: Bundle, rows: set[int]) -> list[Bundle]:
    """The legs of a bundle apart, or a single leg in two with a row of their own in between."""
    if len(bundle) > 1:
        return [[leg] for leg in bundle]
    (leg,) = bundle
    middle = (leg.start + leg.end) // 2
    free = (row for row in range(min(rows) - 1, max(rows) + 2) if row not in rows)
    spare = min(free, key=lambda row: (abs(row - middle), row))
    rows.add(spare)
    first = Leg(leg.pair, leg.start, spare, after=leg.after, last=False)
    return [[first], [Leg(leg.pair, spare, leg.end, after=first, last=leg.last)]]
