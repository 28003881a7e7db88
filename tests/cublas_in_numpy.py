"""cuBLASLt in NumPy, for tests without a GPU: what the library computes of what it is told.

It stands for nvmath's module ``cublasLt``: the same functions, attributes and numbers (which
`test_cublas.py` compares with the real ones), on addresses of this machine's memory, where Numba's
simulator keeps its arrays. Nothing of graphgrad is used: shapes, transposes, leading dimensions and
epilogues are those that were set, as NVIDIA's manual describes them, column by column.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum

import numpy as np

MatmulDescAttribute = IntEnum("MatmulDescAttribute", {
    "TRANSA": 3, "TRANSB": 4, "EPILOGUE": 7, "BIAS_POINTER": 8, "EPILOGUE_AUX_POINTER": 11,
    "EPILOGUE_AUX_LD": 12,
})  # fmt: skip
MatrixLayoutAttribute = IntEnum(
    "MatrixLayoutAttribute", {"BATCH_COUNT": 5, "STRIDED_BATCH_OFFSET": 6}
)
MatmulPreferenceAttribute = IntEnum("MatmulPreferenceAttribute", {
    "MAX_WORKSPACE_BYTES": 1, "REDUCTION_SCHEME_MASK": 3, "MIN_ALIGNMENT_A_BYTES": 5,
    "MIN_ALIGNMENT_B_BYTES": 6, "MIN_ALIGNMENT_C_BYTES": 7, "MIN_ALIGNMENT_D_BYTES": 8,
})  # fmt: skip
Epilogue = IntEnum("Epilogue", {
    "DEFAULT": 1, "RELU": 2, "RELU_AUX": 130, "BIAS": 4, "RELU_BIAS": 6, "RELU_AUX_BIAS": 134,
    "DRELU": 136, "DRELU_BGRAD": 152,
})  # fmt: skip
KINDS = {0: np.float32, 1: np.float64}
COMPUTE = {68: np.float32, 70: np.float64, 75: np.float32, 77: np.float32}
DIGITS = {75: 7, 77: 10}
"""Binary digits behind the point that tensor cores keep of a factor."""
WIDTHS = {
    MatmulDescAttribute: {3: 4, 4: 4, 7: 4, 8: 8, 11: 8, 12: 8},
    MatrixLayoutAttribute: {5: 4, 6: 8},
    MatmulPreferenceAttribute: {1: 8, 3: 4, 5: 4, 6: 4, 7: 4, 8: 4},
}
"""Bytes of each attribute."""


class CublasLtError(Exception):
    """What the bindings raise."""


class CublasLt:
    """The module, with a memory of what it was asked.

    Args:
        at_zero: the bit that ReLU notes for 0.
        keeps_nan: whether ReLU passes nan on.
        lacks: epilogues for which there is no algorithm.
        workspace: bytes that every algorithm says it needs.

    Attributes:
        called: the epilogue of each product computed, in order.
        alive: descriptors, layouts, preferences and handles that were not given back.
    """

    MatmulDescAttribute = MatmulDescAttribute
    MatrixLayoutAttribute = MatrixLayoutAttribute
    MatmulPreferenceAttribute = MatmulPreferenceAttribute
    Epilogue = Epilogue

    def __init__(self, at_zero=0, keeps_nan=True, lacks=(), workspace=64):
        self.at_zero, self.keeps_nan, self.lacks = at_zero, keeps_nan, set(lacks)
        self.workspace = workspace
        self.alive = {}
        self.called, self.asked = [], []
        self._last = 0

    def _new(self, **what):
        self._last += 1
        self.alive[self._last] = what
        return self._last

    def _gone(self, made):
        del self.alive[made]

    destroy = matmul_desc_destroy = matrix_layout_destroy = matmul_preference_destroy = _gone

    def create(self):
        return self._new()

    def matmul_desc_create(self, compute_type, scale_type):
        assert KINDS[scale_type] is COMPUTE[compute_type]
        return self._new(compute=compute_type)

    def matrix_layout_create(self, kind, rows, cols, ld):
        assert ld >= rows
        return self._new(kind=KINDS[kind], rows=rows, columns=cols, lead=ld)

    def matmul_preference_create(self):
        return self._new()

    def _set(self, names, made, attribute, buf, size_in_bytes):
        assert size_in_bytes == WIDTHS[names][attribute]
        kind = np.int64 if size_in_bytes == 8 else np.int32
        self.alive[made][names(attribute).name] = int(memory(buf, 1, kind)[0])

    def matmul_desc_set_attribute(self, *given):
        self._set(MatmulDescAttribute, *given)

    def matrix_layout_set_attribute(self, *given):
        self._set(MatrixLayoutAttribute, *given)

    def matmul_preference_set_attribute(self, *given):
        self._set(MatmulPreferenceAttribute, *given)

    def matmul_algo_get_heuristic(
        self, handle, desc, a, b, c, d, preference, wanted, results, count
    ):  # fmt: skip
        assert handle in self.alive
        assert wanted == 1
        assert c == d
        self.asked.append((self.alive[desc], self.alive[preference]))
        if Epilogue(self.alive[desc]["EPILOGUE"]).name in self.lacks:
            raise CublasLtError("CUBLAS_STATUS_NOT_SUPPORTED")
        assert self.alive[preference]["MAX_WORKSPACE_BYTES"] >= self.workspace
        memory(results, 12, np.uint64)[:9] = [7] * 8 + [self.workspace]
        memory(count, 1, np.int32)[0] = 1

    def matmul(
        self, handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo,
        workspace, room, stream,
    ):  # fmt: skip
        assert handle in self.alive
        assert memory(algo, 8, np.uint64).tolist() == [7] * 8
        assert room >= self.workspace
        assert workspace
        assert (c, c_layout, stream) == (d, d_layout, 0)
        told = self.alive[desc]
        x, y, z = (self._matrices(*m) for m in ((a, a_layout), (b, b_layout), (d, d_layout)))
        assert memory(alpha, 1, z.dtype)[0] == 1
        assert memory(beta, 1, z.dtype)[0] == 0
        x = x.swapaxes(1, 2) if told["TRANSA"] else x
        y = y.swapaxes(1, 2) if told["TRANSB"] else y
        x, y = (rounded(f, DIGITS[told["compute"]]) if told["compute"] in DIGITS else f
                for f in (x, y))  # fmt: skip
        assert z.shape == (len(x), x.shape[1], y.shape[2])
        assert len(x) == len(y)
        epilogue = Epilogue(told["EPILOGUE"])
        self.called.append(epilogue.name)
        with np.errstate(all="ignore"):
            z[...] = self._ended(x @ y, epilogue, told)

    def _matrices(self, at, layout):
        """Return the matrices of a layout as a view of memory, of shape (batch, rows, columns)."""
        told = self.alive[layout]
        kind, lead, step = told["kind"], told["lead"], told["STRIDED_BATCH_OFFSET"]
        batch, rows, columns = told["BATCH_COUNT"], told["rows"], told["columns"]
        size = np.dtype(kind).itemsize
        flat = memory(at, (batch - 1) * step + (columns - 1) * lead + rows, kind)
        return np.lib.stride_tricks.as_strided(
            flat, (batch, rows, columns), (step * size, size, lead * size)
        )

    def _ended(self, x, epilogue, told):
        rows, columns = x.shape[1:]
        if epilogue.name.endswith("BIAS"):
            x = x + memory(told["BIAS_POINTER"], rows, x.dtype)[:, None]
        if "AUX" in epilogue.name or epilogue.name.startswith("DRELU"):
            lead = told["EPILOGUE_AUX_LD"]
            assert lead % 128 == 0
            assert lead >= rows
            assert len(x) == 1
            bits = memory(told["EPILOGUE_AUX_POINTER"], lead // 8 * columns, np.uint8)
            bits = bits.reshape(columns, lead // 8)
        if epilogue.name.startswith("RELU"):
            if "AUX" in epilogue.name:
                noted = np.where(x[0].T == 0, self.at_zero, x[0].T > 0)
                packed = np.packbits(noted.astype(np.uint8), axis=1, bitorder="little")
                bits[:, : packed.shape[1]] = packed
            x = np.where(x < 0, x.dtype.type(0), x)
            x = x if self.keeps_nan else np.nan_to_num(x)
        if epilogue.name.startswith("DRELU"):
            x = x * np.unpackbits(bits, axis=1, bitorder="little")[:, :rows].T.astype(x.dtype)
        if epilogue.name.endswith("BGRAD"):
            memory(told["BIAS_POINTER"], rows, x.dtype)[:] = x[0].sum(1)
        return x


def memory(at, count, kind):
    """Return so many numbers from an address on, as an array that writes there."""
    assert at, "a null pointer"
    kind = np.dtype(kind)
    assert at % kind.itemsize == 0
    room = (ctypes.c_char * (count * kind.itemsize)).from_address(at)
    return np.frombuffer(room, kind)


def rounded(x, digits):
    """Return float32 numbers rounded to so many binary digits behind the point."""
    drop = 23 - digits
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    bits = (bits + (1 << (drop - 1)) - 1 + (bits >> drop & 1)) >> drop << drop
    return bits.astype(np.uint32).view(np.float32)
