"""Products in cuBLASLt's own words: descriptors, layouts, preferences, and what the heuristics say.

Everything goes through nvmath-python's low-level bindings, whose functions take addresses: of what
is on the device, and of what is here. No device is needed for any of it but the heuristics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.compiler.cuda.blas import Matrix, Product
from graphgrad.compiler.views import View

__all__ = ["HEURISTIC", "WORKSPACE", "Descriptors"]

WORKSPACE = 32 * 2**20
"""Bytes that an algorithm may have to itself, as NVIDIA advises from Hopper on."""
FLOAT32, FLOAT64 = 0, 1
"""cudaDataType: CUDA_R_32F, CUDA_R_64F."""
COMPUTE = {"fast": 68, "exact": 68, "tf32": 77, "bf16": 75}
"""cublasComputeType_t of float32: CUBLAS_COMPUTE_32F, _32F_FAST_TF32, _32F_FAST_16BF."""
COMPUTE_64F = 70
"""cublasComputeType_t of float64, whatever `math` says."""
REDUCTION = 2
"""CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE: parts of a split sum wait in the workspace, and are added
in a step of their own, always in the same order."""
SOMEWHERE = 2**20
"""An address for the heuristics: they look at its alignment and read nothing."""
HEURISTIC = np.dtype([
    ("algorithm", "<u8", 8), ("workspace", "<u8"), ("status", "<i4"), ("waves", "<f4"),
    ("reserved", "<i4", 4),
])  # fmt: skip
"""cublasLtMatmulHeuristicResult_t."""


class Descriptors:
    """Makes what describes products to cuBLASLt, and gives it all back in the end.

    Args:
        lt: the bindings.
        math: as for `compile`: how products of float32 are rounded.
    """

    def __init__(self, lt: Any, math: str) -> None:
        self._lt, self._math = lt, math
        self._ends: list[Callable[[], None]] = []

    def __del__(self) -> None:
        for end in reversed(self._ends):
            with contextlib.suppress(Exception):  # the driver may be gone already
                end()

    def handle(self) -> int:
        """Return a handle of the library, for the current device."""
        lt = self._lt
        made: int = lt.create()
        self._ends.append(lambda: lt.destroy(made))
        return made

    def product(self, product: Product) -> int:
        """Return the descriptor of a product and its epilogue."""
        lt, single = self._lt, product.dtype is dtypes.FLOAT32
        compute, scale = (COMPUTE[self._math], FLOAT32) if single else (COMPUTE_64F, FLOAT64)
        made: int = lt.matmul_desc_create(compute, scale)
        self._ends.append(lambda: lt.matmul_desc_destroy(made))
        names = lt.MatmulDescAttribute
        self._set("matmul_desc", made, names.TRANSA, product.turned[0], np.int32)
        self._set("matmul_desc", made, names.TRANSB, product.turned[1], np.int32)
        self._set("matmul_desc", made, names.EPILOGUE, lt.Epilogue[product.epilogue], np.uint32)
        self.point(made, product, SOMEWHERE + _alignment(product.vector), SOMEWHERE)
        return made

    def point(self, descriptor: int, product: Product, vector: int, mask: int) -> None:
        """Tell a descriptor the addresses of its epilogue's vector and mask."""
        names = self._lt.MatmulDescAttribute
        if product.vector is not None:
            self._set("matmul_desc", descriptor, names.BIAS_POINTER, vector, np.int64)
        if product.mask is not None:
            lead = product.mask_lead
            self._set("matmul_desc", descriptor, names.EPILOGUE_AUX_POINTER, mask, np.int64)
            self._set("matmul_desc", descriptor, names.EPILOGUE_AUX_LD, lead, np.int64)

    def layout(self, x: Matrix, batch: int) -> int:
        """Return the layout of a matrix, or of as many as there are products."""
        lt = self._lt
        kind = FLOAT32 if x.node.dtype is dtypes.FLOAT32 else FLOAT64
        made: int = lt.matrix_layout_create(kind, x.rows, x.columns, x.lead)
        self._ends.append(lambda: lt.matrix_layout_destroy(made))
        names = lt.MatrixLayoutAttribute
        self._set("matrix_layout", made, names.BATCH_COUNT, batch, np.int32)
        self._set("matrix_layout", made, names.STRIDED_BATCH_OFFSET, x.step, np.int64)
        return made

    def preference(self, product: Product) -> int:
        """Return what an algorithm may do: its workspace, its sums, the alignment it can trust."""
        lt = self._lt
        made: int = lt.matmul_preference_create()
        self._ends.append(lambda: lt.matmul_preference_destroy(made))
        names = lt.MatmulPreferenceAttribute
        self._set("matmul_preference", made, names.MAX_WORKSPACE_BYTES, WORKSPACE, np.uint64)
        self._set("matmul_preference", made, names.REDUCTION_SCHEME_MASK, REDUCTION, np.uint32)
        for name, x in (("A", product.a), ("B", product.b), ("C", product.d), ("D", product.d)):
            attribute = names[f"MIN_ALIGNMENT_{name}_BYTES"]
            self._set("matmul_preference", made, attribute, x.alignment, np.uint32)
        return made

    def algorithm(
        self, handle: int, product: Product, descriptor: int, layouts: tuple[int, int, int]
    ) -> Any:
        """Return the best algorithm the heuristics know, a `HEURISTIC`; None if there is none."""
        found, count = np.zeros(1, HEURISTIC), np.zeros(1, np.int32)
        try:
            self._lt.matmul_algo_get_heuristic(
                handle, descriptor, *layouts, layouts[2], self.preference(product), 1,
                found.ctypes.data, count.ctypes.data,
            )  # fmt: skip
        except Exception:  # the bindings' own class: the library has no code for this
            return None
        return found if count[0] and not found["status"][0] else None

    def _set(self, what: str, made: int, attribute: int, value: int, kind: Any) -> None:
        given = np.array([value], kind)
        setter = getattr(self._lt, f"{what}_set_attribute")
        setter(made, int(attribute), given.ctypes.data, given.nbytes)


def _alignment(vector: View | None) -> int:
    """Return bytes of which a vector's address is a multiple."""
    if vector is None:
        return 0
    n = vector.root.size
    return Matrix(vector.root, vector.offset, n, 1, n).alignment
