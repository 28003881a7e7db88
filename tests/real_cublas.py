"""The real bindings of cuBLASLt beside those in NumPy; `test_cublas.py` runs this in a process.

Descriptors, layouts and preferences live on this side, so no device is needed. nvmath-python wants
the driver's library to be there all the same, if only an empty one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.cuda import descriptors as cuda_descriptors
from graphgrad.compiler.cuda.blas import product_of
from graphgrad.compiler.cuda.descriptors import Descriptors
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.program import program
from graphgrad.compiler.views import View

from . import cublas_in_numpy

lt = pytest.importorskip("nvmath.bindings.cublasLt")
cublas = pytest.importorskip("nvmath.bindings.cublas")

ENUMS = {
    "matmul_desc": "MatmulDescAttribute", "matrix_layout": "MatrixLayoutAttribute",
    "matmul_preference": "MatmulPreferenceAttribute",
}  # fmt: skip


@pytest.mark.parametrize("name", [*ENUMS.values(), "Epilogue"])
def test_names_have_the_librarys_numbers(name):
    for one in getattr(cublas_in_numpy, name):
        assert getattr(lt, name)[one.name] == one


def test_types_have_the_librarys_numbers():
    names = {"fast": "32F", "exact": "32F", "tf32": "32F_FAST_TF32", "bf16": "32F_FAST_16BF"}
    for math, name in names.items():
        assert cuda_descriptors.COMPUTE[math] == cublas.ComputeType[f"COMPUTE_{name}"]
    assert cuda_descriptors.COMPUTE_64F == cublas.ComputeType.COMPUTE_64F
    assert cuda_descriptors.REDUCTION == lt.ReductionScheme.COMPUTE_TYPE
    mine, real = cuda_descriptors.HEURISTIC, lt.matmul_heuristic_result_dtype
    assert mine.itemsize == real.itemsize
    for a, b in (("algorithm", "algo"), ("workspace", "workspace_size"), ("status", "state")):
        assert mine.fields[a][1] == real.fields[b][1]


def products(dtype):
    """Return products of several layouts, and in float32 of several epilogues."""
    x, y = gg.var("x", shape=(6, 40, 70), dtype=dtype), gg.var("y", shape=(70, 30), dtype=dtype)
    z = gg.var("z", shape=(6, 30, 40), dtype=dtype)
    turned = gg.transpose(z, (0, 2, 1))
    nodes = [
        x @ y,
        x[0] @ y,
        y.T @ x[1].T,
        gg.transpose(x, (0, 2, 1)) @ x,
        turned[..., 2:9] @ y[:7],
    ]
    fused = fuse(program(nodes, [x, y, z], {}))
    found = [p for k in fused.kernels if (p := product_of(k, fused))]
    assert len(found) == 5
    if dtype == "float32":
        first = found[1]
        vector = View(first.a.node, (first.d.rows,), (1,), 4)
        for name in ("BIAS", "RELU_BIAS", "RELU_AUX_BIAS", "DRELU_BGRAD"):
            mask = first.d.node if name in ("RELU_AUX_BIAS", "DRELU_BGRAD") else None
            found.append(replace(first, epilogue=name, vector=vector, mask=mask))
    return found


def read_back(what, made, names):
    """Return attributes of a real descriptor, layout or preference."""
    found = {}
    for name in names:
        attribute = int(getattr(lt, ENUMS[what])[name])
        value = np.zeros(1, getattr(lt, f"get_{what}_attribute_dtype")(attribute))
        count = np.zeros(1, np.uint64)
        get = getattr(lt, f"{what}_get_attribute")
        get(made, attribute, value.ctypes.data, value.nbytes, count.ctypes.data)
        found[name] = int(value[0])
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("math", ["fast", "tf32", "bf16"])
def test_what_is_set_is_what_the_library_reads(math, dtype):
    fake = cublas_in_numpy.CublasLt()
    told, real = Descriptors(fake, math), Descriptors(lt, math)
    for p in products(dtype):
        pairs = [
            ("matmul_desc", told.product(p), real.product(p)),
            ("matmul_preference", told.preference(p), real.preference(p)),
            *(("matrix_layout", told.layout(x, p.batch), real.layout(x, p.batch))
              for x in (p.a, p.b, p.d)),
        ]  # fmt: skip
        for what, mine, made in pairs:
            expected = dict(fake.alive[mine])
            if what == "matrix_layout":
                kind = expected.pop("kind")
                expected["TYPE"] = int(kind is np.float64)
                for name, key in (("ROWS", "rows"), ("COLS", "columns"), ("LD", "lead")):
                    expected[name] = expected.pop(key)
            elif what == "matmul_desc":
                expected["COMPUTE_TYPE"] = expected.pop("compute")
            assert len(expected) > 2
            assert read_back(what, made, expected) == expected


def test_the_heuristics_say_no_without_a_device_and_nothing_breaks():
    words = Descriptors(lt, "fast")
    p = products("float32")[0]
    descriptor = words.product(p)
    a, b, d = (words.layout(x, p.batch) for x in (p.a, p.b, p.d))
    assert words.algorithm(0, p, descriptor, (a, b, d)) is None
