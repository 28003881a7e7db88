"""cuBLASLt on a device: asked once what it can do, then only called.

When a graph is compiled, the library's heuristics choose an algorithm for each product; calling it
is then one function with addresses that never change, so it is recorded in a CUDA graph like any
launch. Nothing is loaded before a graph has a product large enough. Where the library is missing or
broken all products are our own, unless `math` asks for what only it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.compiler.cuda.blas import Product
from graphgrad.compiler.cuda.descriptors import Descriptors
from graphgrad.compiler.cuda.device import WAY_OUT, address, readable, simulated
from graphgrad.compiler.cuda.memory import allocate
from graphgrad.compiler.cuda.trials import TRIED, does
from graphgrad.errors import CompileError, DeviceMemoryError, MissingDependencyError
from graphgrad.graph import Node

__all__ = ["REDUCED", "Library", "bindings"]

REDUCED = ("tf32", "bf16")
"""Values of `math` for which products of float32 may be rounded to fewer digits."""
BYTE = np.dtype(np.uint8)


def bindings() -> Any:
    """Return nvmath's module `cublasLt`, with the library behind it loaded.

    Raises:
        MissingDependencyError: when either is missing or broken.
    """
    if simulated():
        raise MissingDependencyError("cuBLAS does not run in Numba's simulator")
    try:
        from nvmath.bindings import cublasLt

        cublasLt.get_version()
    except Exception as found:  # broken toolkits raise whatever they like
        raise MissingDependencyError(
            f"cuBLAS cannot be loaded ({readable(found)}); pip install 'graphgrad[cublas]'"
        ) from None
    return cublasLt


@dataclass(frozen=True)
class _Prepared:
    """A product's descriptor, the layouts of A, B and D, and the algorithm chosen for it."""

    descriptor: int
    layouts: tuple[int, int, int]
    algorithm: Any


class Library:
    """cuBLASLt with a handle of its own, on one stream; loaded when first asked.

    Args:
        cuda, stream: Numba's module, and the stream to run on.
        math: as for `compile`.

    Attributes:
        right: the epilogues that were shown to do what the graph says; None before it is loaded.

    Raises:
        MissingDependencyError: when `math` asks for what only cuBLASLt can do.
    """

    def __init__(self, cuda: Any, stream: Any, math: str) -> None:
        self._cuda, self._stream, self._math = cuda, stream, math
        self._known: dict[Product, _Prepared | None] = {}
        self.right: frozenset[str] | None = None
        if math in REDUCED:
            self._load()

    def _load(self) -> frozenset[str]:
        """Load the library and return the epilogues that do what the graph says."""
        try:
            self._lt = bindings()
            self._words = Descriptors(self._lt, self._math)
            self._handle = self._words.handle()
            self.right = frozenset(TRIED)
            self.right = frozenset(
                name for name in TRIED if does(self, self._cuda, self._stream, name)
            )
            if "DEFAULT" not in self.right:
                raise MissingDependencyError("cuBLAS: a product of ones came out wrong")
        except DeviceMemoryError:
            raise
        except Exception as found:  # of the bindings or the driver
            self.right = frozenset()
            if self._math in REDUCED:
                raise MissingDependencyError(
                    f"math {self._math!r}: products on tensor cores need cuBLAS; "
                    f"{readable(found)}, or use math='fast'"
                ) from None
        return self.right

    def able(self, product: Product) -> bool:
        """Return whether there is an algorithm for a product that does all that is asked of it."""
        right = self._load() if self.right is None else self.right
        wanted = {"DEFAULT"}
        if "RELU" in product.epilogue:
            wanted.add("RELU_BIAS" if product.mask is None else "RELU_AUX_BIAS")
        return wanted <= right and self._prepared(product) is not None

    def _prepared(self, product: Product) -> _Prepared | None:
        if product not in self._known:
            words = self._words
            descriptor = words.product(product)
            a, b, d = (words.layout(x, product.batch) for x in (product.a, product.b, product.d))
            chosen = words.algorithm(self._handle, product, descriptor, (a, b, d))
            found = None if chosen is None else _Prepared(descriptor, (a, b, d), chosen)
            self._known[product] = found
        return self._known[product]

    def calls(
        self, products: Sequence[Product], place: Callable[[Node, int], int]
    ) -> tuple[dict[Product, Callable[..., None]], dict[Node, Any]]:
        """Return each product as a function that has it computed on the stream.

        Args:
            products: what `able` has said yes to.
            place: returns the address of an entry of a node's buffer.

        Returns:
            The functions, and the masks by the nodes whose signs they note.

        Raises:
            DeviceMemoryError: when there is no room for the workspace and the masks.
        """
        ready = {p: self._known[p] for p in products}
        most = max((int(r.algorithm["workspace"][0]) for r in ready.values() if r), default=0)
        noted = {p.mask: p.mask_bytes for p in products if p.mask is not None}
        if not products:
            return {}, {}
        sizes = [(max(count, 1), BYTE) for count in (most, *noted.values())]
        workspace, *arrays = allocate(self._cuda, sizes)
        masks = dict(zip(noted, arrays, strict=True))
        found = {}
        for p, prepared in ready.items():
            assert prepared is not None, "no algorithm: `able` has said so"
            vector = place(p.vector.root, p.vector.offset) if p.vector else 0
            mask = address(masks[p.mask]) if p.mask is not None else 0
            self._words.point(prepared.descriptor, p, vector, mask)
            places = tuple(place(x.node, x.offset) for x in (p.a, p.b, p.d))
            found[p] = self._call(p, prepared, places, (workspace, most, masks))
        return found, masks

    def _call(
        self, product: Product, prepared: _Prepared, places: tuple[int, ...], room: tuple[Any, ...]
    ) -> Callable[..., None]:
        one, zero = np.ones(1, product.dtype), np.zeros(1, product.dtype)
        (a, b, d), (of_a, of_b, of_d) = places, prepared.layouts
        given = (
            self._handle, prepared.descriptor, one.ctypes.data, a, of_a, b, of_b,
            zero.ctypes.data, d, of_d, d, of_d, prepared.algorithm.ctypes.data,
            address(room[0]), room[1], 0 if simulated() else int(self._stream),
        )  # fmt: skip
        held = one, zero, prepared, room  # for as long as their addresses are used

        def call(*_arenas: Any, held: Any = held) -> None:
            try:
                self._lt.matmul(*given)
            except Exception as found:  # the bindings' own class
                raise CompileError(
                    f"target 'cuda': cuBLAS does not make {product} ({readable(found)}); {WAY_OUT}"
                ) from found

        return call
