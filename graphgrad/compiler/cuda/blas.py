"""Matrix products as cuBLASLt describes them: which may go there, and with what layouts.

cuBLASLt stores matrices column by column, graphgrad row by row, and a matrix stored row by row is
its transpose stored column by column. So for C = X·Y it is asked for Cᵀ = Yᵀ·Xᵀ: its left factor A
is our right one, its right factor B our left one, its rows are our columns, and nothing is copied.
A transposed factor, a view with other strides, is the same with the flag that transposes it.

Nothing here needs a GPU or the library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd

from graphgrad import dtypes
from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.memory import ALIGNMENT
from graphgrad.compiler.text import Loops
from graphgrad.compiler.views import View
from graphgrad.dtypes import Dtype
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["LEAST", "Call", "Matrix", "Product", "product_of"]

LEAST = 10**9
"""Floating operations of a product from which on it goes to cuBLASLt: some 20 µs of float32.

Below, a launch more, and one pass more over the result, cost as much as the library's better code
saves: our own kernel does what follows a product in the same launch, and shares it with others.
"""


@dataclass(frozen=True)
class Matrix:
    """A matrix stored column by column, or as many as there are products, one after the other.

    Attributes:
        node, offset: the buffer it is in, and its first entry there.
        rows, columns: as stored.
        lead: entries from one column to the next.
        step: entries from one matrix to the next; 0 where all products use the same.
    """

    node: Node
    offset: int
    rows: int
    columns: int
    lead: int
    step: int = 0

    @property
    def alignment(self) -> int:
        """Bytes of which every matrix' address is a multiple, wherever the buffer is put."""
        item = self.node.dtype.itemsize
        whole = ALIGNMENT if self.node.size * item >= ALIGNMENT else item
        return gcd(whole, self.offset * item, self.step * item)


@dataclass(frozen=True)
class Product:
    """D = op(A)·op(B), all stored column by column, and what is done to D before it is written.

    Attributes:
        a, b, d: the matrices.
        turned: whether A and B are transposed.
        inner: length of the sums.
        batch: how many products.
        epilogue: cuBLASLt's name of what is done: "DEFAULT" for nothing, "BIAS", "RELU_BIAS", …
        vector: what "BIAS" adds to each column of D, or where "BGRAD" puts the sums of its rows.
        mask: the node whose signs "RELU_AUX" notes as bits, and "DRELU" reads.
    """

    a: Matrix
    b: Matrix
    d: Matrix
    turned: tuple[bool, bool]
    inner: int
    batch: int = 1
    epilogue: str = "DEFAULT"
    vector: View | None = None
    mask: Node | None = None

    @property
    def dtype(self) -> Dtype:
        """The type of all matrices."""
        return self.d.node.dtype

    @property
    def flops(self) -> int:
        """Floating operations: 2 · m · n · k for each product."""
        return 2 * self.d.rows * self.d.columns * self.inner * self.batch

    @property
    def mask_lead(self) -> int:
        """Bits from one column of the mask to the next; cuBLASLt wants a multiple of 128."""
        return -(-self.d.rows // 128) * 128

    @property
    def mask_bytes(self) -> int:
        """Bytes that the mask takes."""
        return self.mask_lead // 8 * self.d.columns

    def __str__(self) -> str:
        turned = [f"{x}ᵀ" if t else x for x, t in zip("AB", self.turned, strict=True)]
        times = f"{self.batch} of " if self.batch > 1 else ""
        leads = [f"{x} {y.lead}" for x, y in zip("ABD", (self.a, self.b, self.d), strict=True)]
        return (
            f"{times}D[{self.d.rows}, {self.d.columns}] = {turned[0]}·{turned[1]} over "
            f"{self.inner}, column by column, leading dimensions {', '.join(leads)}; "
            f"epilogue {self.epilogue}"
        )


@dataclass(eq=False)
class Call(Kernel):
    """A kernel that is a call of cuBLASLt: a product, and the nodes its epilogue computes."""

    product: Product = field(kw_only=True)


def product_of(kernel: Kernel, fused: Fused) -> Product | None:
    """Return a matrix product as cuBLASLt would be asked for it; None where it cannot be.

    Factors must be stored row by row or column by column, floating, of the result's type. Batches
    must be one step apart; those of which all share the right factor are rows of a single product.
    Sums of products are left to our own kernels, which do not write the products to memory.
    """
    node = kernel.nodes[0]
    if kernel.kind != "matmul" or node.primitive.name != "matmul" or len(kernel.nodes) > 1:
        return None
    x, y = (fused.view(n) for n in node.inputs)
    m, n, k = node.shape[-2], node.shape[-1], x.shape[-1]
    shape = node.shape[:-2]
    if not dtypes.is_float(node.dtype) or {x.root.dtype, y.root.dtype} != {node.dtype}:
        return None
    if type(x) is not View or type(y) is not View:
        return None  # windows, which our own kernels read without copying them
    x, y = x.broadcast((*shape, m, k)), y.broadcast((*shape, k, n))
    loops = Loops.over(shape, [x.strides[:-2], y.strides[:-2]])
    if len(loops.sizes) > 1 or not node.size * k:
        return None
    batch, (step, other) = size(shape), (s[0] if s else 0 for s in loops.strides)
    rows, down = m, x.strides[-2]
    if batch > 1 and other == 0 and step == m * down and x.strides[-1] == 1:
        rows, batch, step = batch * m, 1, 0
    left, right = (
        _matrix(y.root, y.offset, (k, n), y.strides[-2:], other),
        _matrix(x.root, x.offset, (rows, k), x.strides[-2:], step),
    )
    if left is None or right is None:
        return None
    result = Matrix(node, 0, n, rows, n, n * rows if batch > 1 else 0)
    return Product(left[0], right[0], result, (left[1], right[1]), k, batch)


def _matrix(
    root: Node, offset: int, shape: tuple[int, int], strides: tuple[int, ...], step: int
) -> tuple[Matrix, bool] | None:
    """Return the transpose of a matrix as it is stored, and whether that must be transposed."""
    (rows, columns), (down, across) = shape, strides
    if step < 0:
        return None
    if across == 1 and down >= columns:
        return Matrix(root, offset, columns, rows, down, step), False
    if down == 1 and across >= rows:
        return Matrix(root, offset, rows, columns, across, step), True
    return None
