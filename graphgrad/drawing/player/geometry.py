"""Where everything of a scene goes on the page: Graphviz's layout, in points from the upper left.

What one can do here: ``geometry(writer)`` lays a scene out once, for all steps of all phases. An
arrow's route runs from one box's border to the other dot's border, so that its head can be drawn
at either end: at the right one going forward, at the left one going backward.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphgrad.drawing.dot import Writer
from graphgrad.drawing.labels import quoted
from graphgrad.drawing.layout import run_graphviz
from graphgrad.drawing.scene import Frame

__all__ = ["Geometry", "Place", "Route", "decimal", "geometry"]

MARGIN = 8
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle: its middle and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow's path, as SVG writes it, and the middle of its label."""

    path: str
    label: Point | None


@dataclass(frozen=True)
class Geometry:
    """A layout: places by key of the scene's items, routes by key, groups by path."""

    width: float
    height: float
    places: dict[str, Place]
    routes: dict[str, Route]
    groups: dict[str, Place]


def geometry(writer: Writer) -> Geometry:
    """Lay out the scene of a writer; captions and legends are left to the page.

    Args:
        writer: knows the room each label needs over all frames.
    """
    scene = writer.scene
    frame = Frame("backward" if scene.tape.differentiable else "forward")
    found = json.loads(run_graphviz(writer(frame), "json0"), strict=False)
    objects = found.get("objects", [])
    boxes = {o["id"]: _place(o) for o in objects if "pos" in o}
    paths = {_stored(path): path for path in scene.groups}
    groups = {paths[o["name"]]: _bounds(o["bb"]) for o in objects if "bb" in o}
    edges = {e["id"]: (_route(e["pos"]), _point(e["lp"]) if "lp" in e else None)
             for e in found.get("edges", [])}  # fmt: skip
    sizes = {a.key: size for a, size in writer.label_sizes.items() if size}
    corners = [c for p in (*boxes.values(), *groups.values()) for c in _corners(p)]
    for key, (points, label) in edges.items():
        corners += points
        if label and key in sizes:
            corners += _corners(Place(*label, sizes[key].width, sizes[key].height))
    left, right = min(x for x, _ in corners) - MARGIN, max(x for x, _ in corners) + MARGIN
    low, high = min(y for _, y in corners) - MARGIN, max(y for _, y in corners) + MARGIN

    def moved(point: Point) -> Point:
        return point[0] - left, high - point[1]

    def placed(p: Place) -> Place:
        return Place(*moved((p.x, p.y)), p.width, p.height)

    return Geometry(
        right - left,
        high - low,
        {key: placed(p) for key, p in boxes.items()},
        {key: Route(_path(map(moved, points)), label and moved(label))
         for key, (points, label) in edges.items()},
        {path: placed(p) for path, p in groups.items()},
    )  # fmt: skip


def _stored(path: str) -> str:
    """Return a group's name as Graphviz gives it back: in quotes, only quotes are escaped."""
    return quoted("cluster_" + path)[1:-1].replace('\\"', '"')


def _place(thing: dict[str, Any]) -> Place:
    return Place(*_point(thing["pos"]), 72 * float(thing["width"]), 72 * float(thing["height"]))


def _bounds(box: str) -> Place:
    left, low, right, high = map(float, box.split(","))
    return Place((left + right) / 2, (low + high) / 2, right - left, high - low)


def _corners(p: Place) -> list[Point]:
    return [(p.x - p.width / 2, p.y - p.height / 2), (p.x + p.width / 2, p.y + p.height / 2)]


def _point(text: str) -> Point:
    x, y = text.split(",")[:2]
    return float(x), float(y)


def _route(pos: str) -> list[Point]:
    """Return a curve's points from border to border: start, 1 + 3 k of the curve, end.

    Graphviz stops the curve where an arrowhead begins and gives the head's tip apart, as "s,x,y"
    or "e,x,y"; at an end without a head, start or end is the curve's own.
    """
    tips = {p[0]: _point(p[2:]) for p in pos.split() if p[0] in "se"}
    curve = [_point(p) for p in pos.split() if p[0] not in "se"]
    return [tips.get("s", curve[0]), *curve, tips.get("e", curve[-1])]


def _path(points: Iterable[Point]) -> str:
    """Write a route as relative moves in tenths of a point, which is short and does not drift."""
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    (x, y), middle, last = tenths[0], tenths[1:-1], tenths[-1]
    text = f"M{decimal(x / 10)} {decimal(y / 10)}"
    if middle[0] != (x, y):
        text += "l" + _moves((x, y), middle[:1])
    here = middle[0]
    text += "c"
    for k in range(1, len(middle), 3):
        text += (" " if k > 1 else "") + _moves(here, middle[k : k + 3])
        here = middle[k + 2]
    if last != here:
        text += "l" + _moves(here, [last])
    return re.sub(r" -", "-", text)


def _moves(start: Point, points: Iterable[Point]) -> str:
    return " ".join(
        f"{decimal((x - start[0]) / 10)} {decimal((y - start[1]) / 10)}" for x, y in points
    )


def decimal(x: float) -> str:
    """Return a coordinate in as few characters as SVG allows, to a tenth of a point.

    Example:
        >>> decimal(12.04), decimal(-0.52), decimal(-0.01)
        ('12', '-.5', '0')
    """
    text = re.sub(r"^(-?)0\.", r"\1.", f"{x:.1f}".removesuffix(".0"))
    return "0" if text == "-0" else text
