"""What the player shows at each step, as data: states, texts and captions by frame.

What one can do here: ``Story(scene).data()`` is the table the page's script reads. Frames
are numbered through all phases. A state or text is written down only where it changes, as the
scene gives it; the script looks up, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from graphgrad.drawing.scene import Arrow, Box, Dot, Frame, Scene
from graphgrad.drawing.updates import UpdatedScene
from graphgrad.explain.names import visible
from graphgrad.explain.steps import BAR, UNBAR
from graphgrad.graph import Node

__all__ = ["TOGGLE", "Story", "marked"]

TOGGLE = "\t"
"""Starts and ends a bar over a name in the texts of the page; names themselves have no tabs."""
LETTERS = {"pending": "p", "current": "c", "done": "d", "idle": "i"}


def marked(text: str) -> str:
    """Return marked text for the page: safe characters only, bars between toggles.

    Example:
        >>> from graphgrad.explain.steps import adjoint
        >>> marked(adjoint("w") + " = 2")
        '\\tw\\t = 2'
    """
    parts = text.replace(UNBAR, BAR).split(BAR)
    return TOGGLE.join(visible(part) for part in parts)


class Story:
    """The frames of one player and what each shows.

    Attributes:
        frames: every frame, forward, backward, then one per update.
    """

    def __init__(self, scene: Scene):
        self.scene = scene
        self.updates = scene.updates if isinstance(scene, UpdatedScene) else []
        self.phases = [(phase, scene.count(phase)) for phase in scene.phases]
        self.frames = [Frame(p, k) for p, count in self.phases for k in range(count + 1)]
        self.index = {(frame.phase, frame.step): i for i, frame in enumerate(self.frames)}

    def data(self) -> dict[str, Any]:
        """Return all the script needs to show any frame, ready for JSON."""
        scene = self.scene
        return {
            "phases": [[name, count + 1] for name, count in self.phases],
            "captions": [self._short_caption(frame) for frame in self.frames],
            "focus": [self.focus(frame) for frame in self.frames],
            "boxes": {box.key: self._box(box) for box in scene.boxes},
            "dots": {dot.key: self._states(dot, self._dot_frames(dot)) for dot in scene.dots},
            "arrows": {arrow.key: self._arrow(arrow) for arrow in scene.arrows},
            "links": {link.key: [link.dot.key, link.box.key] for link in scene.links},
        }

    # -- what a frame shows ------------------------------------------------------------------

    def _short_caption(self, frame: Frame) -> str:
        """Return the caption without what the page knows: forward, step 3 of 4."""
        text = marked(self.scene.caption(frame))
        return text.partition(":   ")[2] if frame.step else text

    def state(self, item: Box | Dot | Arrow, frame: Frame) -> str:
        """Return done, current, pending or idle."""
        if isinstance(item, Box):
            return self.scene.box_state(item, frame)
        if isinstance(item, Dot):
            return self.scene.dot_state(item, frame)
        return self.scene.arrow_state(item, frame)

    def focus(self, frame: Frame) -> str:
        """Return the key of the item a step is about; "" when there is none to point at."""
        step = frame.step or 0
        if frame.phase == "update":
            box = self.updates[step - 1].box if step else None
            return box.key if box else ""
        if frame.phase == "forward":
            return self.seen_at(self.scene.tape.forward[step - 1].node) if step else ""
        if not step:
            return self.seen_at(self.scene.tape.root)
        edge = self.scene.tape.backward[step - 1].edge
        return self._arrow_at.get(step) or self.seen_at(edge.node)

    def seen_at(self, node: Node) -> str:
        """Return the key of the box that shows a node, or of the group that hides it."""
        return self._seen_at[node]

    @cached_property
    def _seen_at(self) -> dict[Node, str]:
        places = {n: dot.key for dot in self.scene.dots for n in dot.members}
        return places | {box.node: box.key for box in self.scene.boxes}

    @cached_property
    def _arrow_at(self) -> dict[int, str]:
        return {step.index: arrow.key for arrow in self.scene.arrows for step in arrow.steps}

    # -- what changes when ---------------------------------------------------------------------

    def _box(self, box: Box) -> list[Any]:
        arrivals = self._arrivals(box)
        forward = [box.forward_step] if box.forward_step else []
        update = self.scene.updated(box) if isinstance(self.scene, UpdatedScene) else 0
        frames = self._around(forward, [*arrivals, 0, 1], update)
        made = [self.index["forward", k] for k in forward]
        made += [self.index["update", update]] if update else []
        return [
            marked(box.name),
            self._states(box, frames),
            made,
            self._changes(frames, lambda frame: self.scene.value_lines(box, frame)),
            self._changes(frames, lambda frame: self.scene.adjoint_lines(box, frame)),
        ]

    def _arrivals(self, box: Box) -> list[int]:
        tape = self.scene.tape
        return [s.index for s in tape.arrivals(box.node)] if tape.differentiable else []

    def _arrow(self, arrow: Arrow) -> list[Any]:
        backward = [step.index for step in arrow.steps]
        if arrow.dot.group:
            frames: Iterable[int] = range(len(self.frames))
        else:
            frames = self._around(self._forward_steps(arrow.dot), backward)
        made = [self.index["backward", k] for k in backward]
        return [self._states(arrow, frames), arrow.box.key, arrow.dot.key, made]

    def _dot_frames(self, dot: Dot) -> Iterable[int]:
        if dot.group:
            return range(len(self.frames))
        backward = [s.index for a in self._into[dot] for s in a.steps]
        return self._around(self._forward_steps(dot), backward)

    @cached_property
    def _into(self) -> dict[Dot, list[Arrow]]:
        arrows: dict[Dot, list[Arrow]] = {dot: [] for dot in self.scene.dots}
        for arrow in self.scene.arrows:
            arrows[arrow.dot].append(arrow)
        return arrows

    @cached_property
    def _made(self) -> dict[Node, int]:
        return {step.node: step.index for step in self.scene.tape.forward}

    def _forward_steps(self, dot: Dot) -> list[int]:
        return [self._made[n] for n in dot.members if n in self._made]

    def _around(
        self, forward: Sequence[int], backward: Sequence[int], update: int = 0
    ) -> list[int]:
        """Return the frames at which something may change: starts, each step and the next."""
        steps = {"forward": forward, "backward": backward, "update": [update] if update else []}
        moments = {(p, k + d) for p, ks in steps.items() for k in ks for d in (0, 1)}
        moments |= {(p, 0) for p, _ in self.phases}
        return sorted(self.index[m] for m in moments if m in self.index)

    def _states(self, item: Box | Dot | Arrow, frames: Iterable[int]) -> str:
        """Return the states as text: each with the frame from which it holds, 0p3c4d."""
        changes = self._changes(frames, lambda frame: LETTERS[self.state(item, frame)])
        return "".join(f"{i}{letter}" for i, letter in changes)

    def _changes(self, frames: Iterable[int], at: Callable[[Frame], Any]) -> list[list[Any]]:
        found: list[list[Any]] = []
        for i in frames:
            now = at(self.frames[i])
            if not found or found[-1][1] != now:
                found.append([i, now])
        return [[i, [marked(x) for x in v] if isinstance(v, list) else v] for i, v in found]
