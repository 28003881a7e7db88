"""A program as text for the GPU: all stages from nodes to launches. Needs no GPU."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.compiler.cuda.device import HARDWARE, Cut
from graphgrad.compiler.cuda.epilogues import Able
from graphgrad.compiler.cuda.epoch import EpochWriter
from graphgrad.compiler.cuda.launches import LOOKUPS, Layout, Written
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS
from graphgrad.compiler.cuda.schedule import levels
from graphgrad.compiler.cuda.source import Writer
from graphgrad.compiler.fuse import Fused, fuse
from graphgrad.compiler.memory import ALIGNMENT, Plan, outside, plan
from graphgrad.compiler.program import Program
from graphgrad.dtypes import INT64

__all__ = ["Text"]


class Text:
    """A program as text for the GPU; needs no GPU.

    Args:
        program: what to write.
        cut: into how many threads and blocks work is cut.
        together: whether kernels share launches.
        able: what cuBLASLt can do; None where all products are our own.
        math: as for `compile`; all but "exact" are "fast" in our own kernels.

    Attributes:
        fused, plan, layout: the kernels, where their buffers lie, where inputs and outputs do.
        step: the text of a step, and its launches.
    """

    def __init__(
        self,
        program: Program,
        cut: Cut = HARDWARE,
        together: bool = True,
        able: Able | None = None,
        math: str = "fast",
    ) -> None:
        self.program, self.cut = program, cut
        fused, found, times = levels(program, fuse(program), able)
        self.fused: Fused = fused
        self.plan: Plan = plan(program, fused, times)
        self.layout = _layout(program, fused, self.plan)
        self._stages = (program, fused, times, self.plan, math if math == "exact" else "fast")
        self.step: Written = Writer(*self._stages, grid=cut, layout=self.layout).write(
            found, together
        )

    def epoch(self, by_rows: Sequence[bool]) -> Written:
        """Return the text of what surrounds each step of an epoch."""
        return EpochWriter(*self._stages, grid=self.cut, layout=self.layout).write(by_rows)


def _layout(program: Program, fused: Fused, found: Plan) -> Layout:
    """Put inputs and outputs behind the buffers of a plan; those of a type side by side."""
    layout = Layout(sizes=dict(found.sizes))
    straight = outside(program, fused)
    looks_up = any(k.kind in LOOKUPS for k in fused.kernels)
    for kind in DEVICE_ARENAS:
        step = ALIGNMENT // kind.itemsize
        at = -(-layout.sizes.get(kind, 0) // step) * step
        ends = [at]
        for nodes, places in ((program.inputs, layout.inputs), (program.outputs, layout.outputs)):
            places.extend([0] * (len(nodes) - len(places)))
            for k, node in enumerate(nodes):
                if node.dtype is kind:
                    places[k] = at
                    at += -(-max(node.size, 1) // step) * step
            ends.append(at)
        if kind is INT64 and looks_up:
            layout.flag = at
            at += step
        layout.areas[kind] = (ends[0], ends[1], ends[1], at)
        if at:
            layout.sizes[kind] = at
    found.start.update(dict(zip(program.inputs, layout.inputs, strict=True)))
    found.start.update({n: layout.outputs[k] for n, k in straight.items()})
    return layout
