"""The player's picture: one SVG of a scene whose classes and texts a script changes.

Ids and classes are those of the DOT pictures (`n3`, `op3`, `e3_0`, `o3`; box, op, edge, link, and
the state). Colours, dashes and arrowheads follow from the classes, in the page's style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from graphgrad.drawing import style
from graphgrad.drawing.player.geometry import Geometry, Place, decimal
from graphgrad.drawing.player.story import TOGGLE, Story, marked
from graphgrad.drawing.scene import Arrow, Box, Dot, Link
from graphgrad.drawing.style import line_height
from graphgrad.explain.names import visible

__all__ = ["picture"]

HEADS = ("line", "pending", "current", "adjoint")
"""Colours of arrowheads; each is a marker that the style sheet puts at either end."""


def picture(story: Story, places: Geometry, title: str) -> str:
    """Return the SVG element, at the first frame.

    Args:
        story: gives the texts.
        places: gives the coordinates.
        title: what a screen reader calls the picture.
    """
    scene = story.scene
    width, height = decimal(places.width), decimal(places.height)
    return "\n".join(
        [
            f'<svg id="graph" class="forward" viewBox="0 0 {width} {height}" role="group" '
            f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
            f"<defs>{''.join(map(_head, HEADS))}</defs>",
            *(_group(path, place) for path, place in sorted(places.groups.items())),
            *_items(story, places, scene.arrows, scene.links),
            "</svg>",
        ]
    )


def _items(
    story: Story, places: Geometry, arrows: Iterable[Arrow], links: Iterable[Link]
) -> Iterable[str]:
    """Yield every item in the order of computation, which is the order of the tab key too."""
    into: dict[Dot, list[Arrow]] = {}
    for arrow in arrows:
        into.setdefault(arrow.dot, []).append(arrow)
    made = {link.box: link for link in links}
    written: set[Dot] = set()
    for box in story.scene.boxes:
        link = made.get(box)
        if link and link.dot not in written:
            yield from _operation(story, places, link.dot, into)
            written.add(link.dot)
        if link:
            yield _link(story, places, link)
        yield _box(story, places, box)
    for dot in story.scene.dots:
        if dot not in written:
            yield from _operation(story, places, dot, into)


def _operation(
    story: Story, places: Geometry, dot: Dot, into: dict[Dot, list[Arrow]]
) -> Iterable[str]:
    for arrow in into.get(dot, ()):
        yield _arrow(story, places, arrow)
    yield _dot(story, places.places[dot.key], dot)


def _head(color: str) -> str:
    width, height = (10, 8) if color == "current" else (7, 5)
    return (
        f'<marker id="{color}" class="{color}" viewBox="0 0 7 5" refX="7" refY="2.5" '
        f'markerWidth="{width}" markerHeight="{height}" markerUnits="userSpaceOnUse" '
        f'orient="auto-start-reverse"><path d="M0 0 7 2.5 0 5z"/></marker>'
    )


def _group(path: str, place: Place) -> str:
    left, top = place.x - place.width / 2, place.y - place.height / 2
    name = escape(visible(path.rpartition("/")[2]))
    return (
        f'<g class="group">{_rect(place, left, top)}'
        f'<text x="{decimal(left + 8)}" y="{decimal(top + 14)}">{name}</text></g>'
    )


def _rect(place: Place, left: float, top: float, radius: int = 8) -> str:
    return (
        f'<rect x="{decimal(left)}" y="{decimal(top)}" width="{decimal(place.width)}" '
        f'height="{decimal(place.height)}" rx="{radius}"/>'
    )


def _at(place: Place) -> str:
    return f'transform="translate({decimal(place.x)} {decimal(place.y)})"'


def _box(story: Story, places: Geometry, box: Box) -> str:
    start = story.frames[0]
    place = places.places[box.key]
    rows = [("name", style.NAME, marked(box.name))] if box.role != "constant" else []
    single = len(box.value) == 1 and not box.node.shape
    kind, size = ("value", style.VALUE) if single else ("entry", style.ENTRY)
    values = story.scene.value_lines(box, start)
    values += [""] * (len(box.value) - len(values))
    rows += [(kind, size, marked(line)) for line in values]
    most = max(map(len, story.scene.all_adjoint_lines(box)), default=0)
    rows += [("adj", style.ADJOINT, "")] * most
    y = -sum(line_height(size) for _, size, _ in rows) / 2
    texts = []
    for kind, size, line in rows:
        y += line_height(size)
        baseline = decimal(y - 0.36 * size)
        texts.append(f'<text class="{kind}" y="{baseline}">{spans(line)}</text>')
    return (
        f'<g id="{box.key}" class="box {box.role} {story.state(box, start)}" {_at(place)}>'
        f"{_rect(place, -place.width / 2, -place.height / 2)}{''.join(texts)}</g>"
    )


def _dot(story: Story, place: Place, dot: Dot) -> str:
    state = story.state(dot, story.frames[0])
    symbol = escape(visible(dot.symbol))
    if dot.group:
        shape = _rect(place, -place.width / 2, -place.height / 2)
        text = f'<text y="-3">{symbol}</text><text y="13">{len(dot.members)} nodes</text>'
    elif place.width == place.height:
        shape, text = f'<circle r="{decimal(place.width / 2)}"/>', f'<text y="4">{symbol}</text>'
    else:
        shape = _rect(place, -place.width / 2, -place.height / 2)
        text = f'<text y="4">{symbol}</text>'
    kind = "op set" if dot.group else "op"
    return f'<g id="{dot.key}" class="{kind} {state}" {_at(place)}>{shape}{text}</g>'


def _arrow(story: Story, places: Geometry, arrow: Arrow) -> str:
    route = places.routes[arrow.key]
    text = ""
    if arrow.local and route.label:
        x, y = route.label
        height = line_height(style.LABEL)
        for kind, line, down in (("local", arrow.local, 0), ("part", arrow.contribution, height)):
            at = f'x="{decimal(x)}" y="{decimal(y - 3.5 + down)}"'
            text += f'<text class="{kind}" {at}>{spans(marked(line))}</text>'
    state = story.state(arrow, story.frames[0])
    return f'<g id="{arrow.key}" class="edge {state}"><path d="{route.path}"/>{text}</g>'


def _link(story: Story, places: Geometry, link: Link) -> str:
    state = story.state(link.dot, story.frames[0])
    path = places.routes[link.key].path
    return f'<g id="{link.key}" class="link {state}"><path d="{path}"/></g>'


def spans(text: str) -> str:
    """Return marked text for SVG: barred names as tspans, the rest as escaped text."""
    parts = [escape(part, quote=False) for part in text.split(TOGGLE)]
    parts[1::2] = [f"<tspan>{part}</tspan>" for part in parts[1::2]]
    return "".join(parts)
