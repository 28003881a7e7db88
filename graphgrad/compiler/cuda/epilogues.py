"""Which products go to cuBLASLt, and what of the loops after them goes along as its epilogue.

- ``relu(X·W + b)``: RELU_BIAS, or RELU without a bias.
- The same, where all that asks for ReLU's derivative are products of the next kind: RELU_AUX_BIAS
  notes a bit for each entry, whether it was above 0.
- ``(G·Wᵀ) · relu′``: DRELU multiplies by those bits; DRELU_BGRAD also adds up the rows, when the
  graph has that sum: it is the gradient of the bias.
- ``X·W + b``, and nothing else in its loop: BIAS.
- All else: DEFAULT, the product alone; the loop that reads it stays a launch of ours.

Where the library has no code for an epilogue, a lesser one is taken. ReLU's derivative at z is 1
exactly where relu(z) > 0, so a loop that asks for it is shown relu(z) when z is not written.

Nothing here needs a GPU; `cublas.Library.able` says what the library can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from graphgrad import dtypes
from graphgrad.compiler.cuda import blas
from graphgrad.compiler.cuda.blas import Call, Product, product_of
from graphgrad.compiler.fuse import Fused, is_literal
from graphgrad.compiler.longsums import SUM
from graphgrad.compiler.program import Program
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node, by_serial

__all__ = ["Able", "to_cublas"]

Able = Callable[[Product], bool]


def to_cublas(program: Program, fused: Fused, able: Able) -> Fused:
    """Return the kernels with large products as calls of cuBLASLt.

    Args:
        program, fused: what the stages before made.
        able: whether the library can do a product with its epilogue.
    """
    work = _Calls(program, fused, able)
    found = [(k, product_of(k, fused)) for k in fused.kernels]
    work.products = {k.nodes[0]: p for k, p in found if p and p.flops >= blas.LEAST and able(p)}
    if not work.products:
        return fused
    layers = [layer for node in work.products if (layer := work.layer(node))]
    work.backward = {
        back.masked: back for node in work.products if (back := work.back(node, layers))
    }
    for layer in layers:
        work.activated(layer)
    for node in work.products:
        work.alone(node)
    return work.finished()


@dataclass(frozen=True)
class _Layer:
    """relu(product + bias), and the nodes that ask for ReLU's derivative there."""

    product: Node
    bias: View | None
    sum: Node
    relu: Node
    slopes: tuple[Node, ...]


@dataclass(frozen=True)
class _Back:
    """A product times ReLU's derivative, and the sum of that over rows, if somebody asks for it."""

    product: Node
    slope: Node
    masked: Node
    summed: Node | None


class _Calls:
    """The calls chosen so far."""

    def __init__(self, program: Program, fused: Fused, able: Able) -> None:
        self.fused, self.able = fused, able
        self.kept = {fused.view(n).root for n in (*program.outputs, *program.updates.values())}
        self.readers: dict[Node, list[Node]] = {}
        for kernel in fused.kernels:
            for n in kernel.nodes:
                for x in dict.fromkeys(n.inputs):
                    self.readers.setdefault(fused.view(x).root, []).append(n)
        self.stored = set(fused.stored)
        self.products: dict[Node, Product] = {}
        self.backward: dict[Node, _Back] = {}
        self.calls: dict[Node, Call] = {}

    # -- what is in the graph ----------------------------------------------------------------------

    def layer(self, node: Node) -> _Layer | None:
        """Return the layer that a product is the beginning of."""
        end, bias = node, None
        if (biased := self.biased(node)) is not None:
            end, bias = biased
        readers = self.readers.get(end, [])
        relus = [n for n in readers if n.op == "relu"]
        slopes = [n for n in readers if n.op == "heaviside" and n.settings["at_zero"] == 0]
        whole = self._simple(node) and end not in self.kept and len(relus) == 1
        if not whole or len(slopes) + 1 != len(readers) or any(n.inputs != (end,) for n in readers):
            return None
        return _Layer(node, bias, end, relus[0], tuple(slopes))

    def biased(self, node: Node) -> tuple[Node, View] | None:
        """Return the sum of a product and a vector along its columns, if all else needs that."""
        readers = self.readers.get(node, [])
        if not self._simple(node) or len(readers) != 1 or readers[0].op != "add":
            return None
        total = readers[0]
        others = [x for x in total.inputs if x is not node]
        if len(others) != 1 or len(total.inputs) != 2 or total.shape != node.shape:
            return None
        view = self.fused.view(others[0]).broadcast(node.shape)
        along = (0,) * (len(node.shape) - 1) + (1,)
        there = view.root in self.stored and not is_literal(view.root)
        fits = view.strides == along and view.root.dtype is node.dtype
        return (total, view) if there and fits else None

    def back(self, node: Node, layers: Sequence[_Layer]) -> _Back | None:
        """Return the product times ReLU's derivative in a layer, if that is all it is for."""
        readers = self.readers.get(node, [])
        if not self._simple(node) or len(readers) != 1 or readers[0].op != "mul":
            return None
        masked = readers[0]
        others = [x for x in masked.inputs if x is not node]
        slopes = {h for layer in layers for h in layer.slopes}
        if len(others) != 1 or others[0] not in slopes or masked.shape != node.shape:
            return None
        rows = tuple(range(len(node.shape) - 1))
        sums = [
            n for n in self.readers.get(masked, [])
            if n.primitive.kind == "reduce" and n.primitive.combine == SUM
            and n.settings["axis"] == rows and n.inputs == (masked,) and n.dtype is node.dtype
        ]  # fmt: skip
        return _Back(node, others[0], masked, sums[0] if sums else None)

    def _simple(self, node: Node) -> bool:
        """Return whether a product may have an epilogue: float32, not many, not asked for itself.

        In float64 arithmetic takes so long that a pass over memory is nothing beside it.
        """
        product = self.products[node]
        return product.batch == 1 and node.dtype is dtypes.FLOAT32 and node not in self.kept

    # -- what becomes of it ------------------------------------------------------------------------

    def activated(self, layer: _Layer) -> None:
        """Make a layer one call, and the products back through its ReLU too, where they can be."""
        forward = self._ending(layer.product, layer.relu)
        name = "RELU{}" if layer.bias is None else "RELU{}_BIAS"
        plain, noting = (
            replace(forward, epilogue=name.format(bits), vector=layer.bias,
                    mask=layer.relu if bits else None)
            for bits in ("", "_AUX")
        )  # fmt: skip
        nodes = [*dict.fromkeys((layer.product, layer.sum, layer.relu))]
        backs = self._all_back(layer)
        if backs and self.able(noting):
            self._call(layer.product, noting, [*nodes, *layer.slopes], [layer.relu])
            for back, product in backs.items():
                ends = [back.masked]
                if product.vector is not None and back.summed is not None:
                    ends.append(back.summed)
                self._call(back.product, product, [back.product, *ends], ends)
        elif self.able(plain):
            self._call(layer.product, plain, nodes, [layer.relu])
            view = View(layer.relu, layer.relu.shape, contiguous(layer.relu.shape))
            self.fused.views[layer.sum] = view
            for slope in layer.slopes:
                self._sink(slope)

    def _all_back(self, layer: _Layer) -> dict[_Back, Product]:
        """Return all that asks for ReLU's derivative in a layer, as products; none if not all."""
        found: dict[_Back, Product] = {}
        for slope in layer.slopes:
            for reader in self.readers.get(slope, []):
                back = self.backward.get(reader)
                product = self._going_back(back, layer) if back else None
                if back is None or product is None or slope in self.kept:
                    return {}
                found[back] = product
        return found

    def _going_back(self, back: _Back, layer: _Layer) -> Product | None:
        alone = replace(self._ending(back.product, back.masked), epilogue="DRELU", mask=layer.relu)
        if alone.d.rows != self.products[layer.product].d.rows:
            return None  # the mask's bits stand otherwise
        if back.summed is not None:
            n = back.summed.size
            both = replace(alone, epilogue="DRELU_BGRAD", vector=View(back.summed, (n,), (1,)))
            if self.able(both):
                return both
        return alone if self.able(alone) else None

    def alone(self, node: Node) -> None:
        """Make a product that is not in a call yet one, with its bias if nothing follows that."""
        if node in self.calls:
            return
        biased = self.biased(node)
        if biased and len(self.fused.kernel_of[biased[0]].nodes) == 1:
            total, bias = biased
            product = replace(self._ending(node, total), epilogue="BIAS", vector=bias)
            if self.able(product):
                self._call(node, product, [node, total], [total])
                return
        self._call(node, self.products[node], [node], [node])

    def _ending(self, node: Node, end: Node) -> Product:
        """Return a product whose result is what its epilogue makes of it."""
        product = self.products[node]
        return replace(product, d=replace(product.d, node=end))

    def _call(self, node: Node, product: Product, nodes: list[Node], ends: list[Node]) -> None:
        """Take nodes out of their loops and into a call that writes some of them."""
        self.calls[node] = Call("cublas", node.shape, nodes, product=product)
        for n in nodes[1:]:
            self.fused.kernel_of[n].nodes.remove(n)
            self.fused.kernel_of[n] = self.calls[node]
        self.stored -= set(nodes)
        self.stored |= set(ends)

    def _sink(self, node: Node) -> None:
        """Compute a node of one input, which is stored anyway, in the only loop that asks for it.

        Then it need not be stored itself.
        """
        homes = {self.fused.kernel_of[n] for n in self.readers.get(node, [])}
        goal = homes.pop() if len(homes) == 1 else None
        alone = all(node in n.inputs for n in self.readers.get(node, []))
        if goal and goal.kind == "loop" and goal.domain == node.shape and alone:
            self.fused.kernel_of[node].nodes.remove(node)
            goal.nodes.insert(0, node)
            self.fused.kernel_of[node] = goal
            if node not in self.kept:
                self.stored.discard(node)

    def finished(self) -> Fused:
        """Return the kernels that are left, calls in the places of their products."""
        kernels = [self.calls.get(k.nodes[0], k) for k in self.fused.kernels if k.nodes]
        return replace(
            self.fused, kernels=kernels, stored=sorted(self.stored, key=by_serial),
            kernel_of={n: k for k in kernels for n in k.nodes},
        )  # fmt: skip
