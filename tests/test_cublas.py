"""Products through cuBLASLt: which go there and how, without a GPU; with the library's own bindings
where the extra ``cublas`` is installed; and what is said where it is not.

`simulated_cublas.py` holds the tests of numbers, in Numba's simulator, in a process of its own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.compiler.cuda import blas as cuda_blas
from graphgrad.compiler.cuda import cublas as cuda_cublas
from graphgrad.compiler.cuda.blas import product_of
from graphgrad.compiler.cuda.text import Text
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.program import program
from graphgrad.errors import CompileError, MissingDependencyError

from .test_cuda import becomes_ptx, benchmark_program, needs_toolkit

HERE = Path(__file__).parent


def in_a_process(file, **environment):
    """Run a file of tests in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", str(HERE / file)],
        env={**os.environ, **environment}, cwd=HERE.parent, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert "skipped" not in done.stdout
    return int(re.search(r"(\d+) passed", done.stdout)[1])


def test_numbers_in_the_simulator():
    assert in_a_process("simulated_cublas.py", NUMBA_ENABLE_CUDASIM="1") > 90


# -- the library's own bindings ----------------------------------------------------------------


def library_path(folder):
    """Return where the driver's library is; make one that says its version if there is none."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        if shutil.which("cc") is None:
            pytest.skip("nvmath-python wants libcuda.so.1; no driver, and no cc to make one")
        source = folder / "driver.c"
        source.write_text("int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True
        )
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))


@pytest.mark.skipif(
    importlib.util.find_spec("nvmath") is None, reason="needs pip install 'graphgrad[cublas]'"
)
@pytest.mark.skipif(sys.platform != "linux", reason="a driver's library is made for Linux only")
def test_descriptors_through_the_real_bindings(tmp_path):
    assert in_a_process("real_cublas.py", LD_LIBRARY_PATH=library_path(tmp_path)) == 12


# -- which products ----------------------------------------------------------------------------


def calls(built, able=lambda _: True):
    """Return the products that go to cuBLASLt, as sizes, transposes and epilogues."""
    found = [launch.call for launch in Text(built, able=able).step.launches if launch.call]
    return [
        (p.batch, p.d.columns, p.d.rows, p.inner, "".join("NT"[t] for t in p.turned), p.epilogue)
        for p in found
    ]


@pytest.mark.parametrize("work", ["moons", "digits", "mnist", "chain", "cnn"])
def test_small_networks_keep_our_own_kernels(work):
    built = benchmark_program(work)
    assert calls(built) == []
    assert Text(built, able=lambda _: pytest.fail("asked")).step.text == Text(built).step.text


MNIST = [
    (1, 128, 512, 784, "NN", "RELU_AUX_BIAS"),
    (1, 128, 512, 512, "NN", "RELU_AUX_BIAS"),
    (1, 128, 10, 512, "NN", "DEFAULT"),
    (1, 128, 512, 10, "TN", "DRELU_BGRAD"),
    (1, 128, 512, 512, "TN", "DRELU_BGRAD"),
    (1, 512, 10, 128, "NT", "DEFAULT"),
    (1, 512, 512, 128, "NT", "DEFAULT"),
    (1, 784, 512, 128, "NT", "DEFAULT"),
]
"""The products of a training step: X·W + b and ReLU, G·Wᵀ times ReLU's derivative, Xᵀ·G."""


def test_the_step_of_mnist(monkeypatch):
    monkeypatch.setattr(cuda_blas, "LEAST", 0)
    assert sorted(calls(benchmark_program("mnist"))) == sorted(MNIST)


def test_from_a_number_of_operations_on(monkeypatch):
    monkeypatch.setattr(cuda_blas, "LEAST", 2 * 128 * 512 * 512)
    found = calls(benchmark_program("mnist"))
    # the product back to the second layer is our own and asks for ReLU's derivative there
    expected = [c for c in MNIST if 10 not in c]
    expected[1] = (*expected[1][:-1], "RELU_BIAS")
    assert sorted(found) == sorted(expected)


def test_it_takes_fewer_launches_of_ours(monkeypatch):
    monkeypatch.setattr(cuda_blas, "LEAST", 0)
    built = benchmark_program("mnist")
    text, own = Text(built, able=lambda _: True), Text(built)
    ours = [launch for launch in text.step.launches if not launch.call]
    assert len(ours) < len(own.step.launches)
    assert not any(k.kind == "matmul" for launch in ours for k in launch.kernels)


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
def test_what_is_left_becomes_ptx(monkeypatch, tmp_path):
    monkeypatch.setattr(cuda_blas, "LEAST", 0)
    text = Text(benchmark_program("mnist"), able=lambda p: "AUX" not in p.epilogue)
    names = [name for name, _, _ in becomes_ptx(text, 90, tmp_path, monkeypatch)]
    assert "launch_4" in names
    assert not any(name.startswith("cublas") for name in names)


@pytest.mark.parametrize(("epilogues", "expected"), [
    (set(), []),
    ({"DEFAULT"}, ["DEFAULT"] * 8),
    ({"DEFAULT", "RELU_BIAS", "DRELU_BGRAD"}, ["DEFAULT"] * 6 + ["RELU_BIAS"] * 2),
    ({"DEFAULT", "RELU_AUX_BIAS", "DRELU"}, ["DEFAULT"] * 4 + ["DRELU"] * 2
     + ["RELU_AUX_BIAS"] * 2),
])  # fmt: skip
def test_what_the_library_lacks_is_done_otherwise(monkeypatch, epilogues, expected):
    monkeypatch.setattr(cuda_blas, "LEAST", 0)
    found = calls(benchmark_program("mnist"), lambda p: p.epilogue in epilogues)
    assert sorted(c[-1] for c in found) == expected


def test_convolutions_read_their_windows_in_place(monkeypatch):
    monkeypatch.setattr(cuda_blas, "LEAST", 0)
    found = calls(benchmark_program("cnn"))
    assert {c[-1] for c in found} <= {"DEFAULT", "BIAS"}
    kinds = [k.kind for launch in Text(benchmark_program("cnn"), able=lambda _: True).step.launches
             for k in launch.kernels]  # fmt: skip
    assert "matmul" in kinds


# -- how they lie ------------------------------------------------------------------------------


def product(build, *shapes, dtype="float32"):
    """Return a product of variables as cuBLASLt would be asked for it."""
    leaves = [gg.var(f"x{k}", shape=s, dtype=dtype) for k, s in enumerate(shapes)]
    fused = fuse(program([build(*leaves)], leaves, {}))
    (kernel,) = [k for k in fused.kernels if k.kind == "matmul"]
    return product_of(kernel, fused)


def stored(m):
    return (m.offset, m.rows, m.columns, m.lead, m.step)


def test_a_product_is_asked_for_transposed():
    p = product(lambda x, y: x @ y, (3, 4), (4, 5))
    assert (p.d.rows, p.d.columns, p.inner, p.batch, p.turned) == (5, 3, 4, 1, (False, False))
    assert stored(p.a) == (0, 5, 4, 5, 0)
    assert stored(p.b) == (0, 4, 3, 4, 0)
    assert stored(p.d) == (0, 5, 3, 5, 0)
    assert p.flops == 2 * 3 * 4 * 5
    assert p.dtype.name == "float32"


def test_transposed_factors_are_read_where_they_lie():
    p = product(lambda x, y: x.T @ y.T, (4, 3), (5, 4))
    assert p.turned == (True, True)
    assert stored(p.a) == (0, 4, 5, 4, 0)
    assert stored(p.b) == (0, 3, 4, 3, 0)
    assert str(p) == ("D[5, 3] = Aᵀ·Bᵀ over 4, column by column, leading dimensions A 4, B 3, D 5; "
                      "epilogue DEFAULT")  # fmt: skip


def test_parts_of_matrices_have_offsets_and_leading_dimensions():
    p = product(lambda x, y: x[2:8, 4:8] @ y[1:5, 16:21], (10, 12), (9, 32))
    assert stored(p.a) == (32 + 16, 5, 4, 32, 0)
    assert stored(p.b) == (24 + 4, 4, 6, 12, 0)
    assert (p.a.alignment, p.b.alignment, p.d.alignment) == (64, 16, 64)


def test_small_buffers_promise_no_alignment():
    assert product(lambda x, y: x @ y, (3, 1), (1, 5), dtype="float64").a.alignment == 8


def test_batches_are_a_step_apart_or_share_a_factor():
    p = product(lambda x, y: x @ y, (6, 3, 4), (6, 4, 5))
    assert (p.batch, p.a.step, p.b.step, p.d.step) == (6, 20, 12, 15)
    p = product(lambda x, y: x @ y, (2, 3, 3, 4), (2, 3, 4, 5))
    assert (p.batch, p.a.step, p.b.step, p.d.step) == (6, 20, 12, 15)
    p = product(lambda x, y: x @ y, (3, 4), (6, 4, 5))
    assert (p.batch, p.a.step, p.b.step, p.d.step) == (6, 20, 0, 15)


def test_batches_that_share_the_right_factor_are_rows_of_one_product():
    p = product(lambda x, y: x @ y, (6, 3, 4), (4, 5))
    assert (p.batch, p.d.rows, p.d.columns, p.d.step) == (1, 5, 18, 0)
    p = product(lambda x, y: gg.transpose(x, (0, 2, 1)) @ y, (6, 4, 3), (4, 5))
    assert (p.batch, p.a.step, p.b.step, p.turned) == (6, 0, 12, (False, True))


@pytest.mark.parametrize(("build", "shapes"), [
    (lambda x: x[:, ::2] @ x[:5], [(10, 10)]),
    (lambda x: x[::-1] @ x, [(10, 10)]),
    (lambda x: gg.broadcast_to(x[:1], (10, 10)) @ x, [(10, 10)]),
    (lambda x, y: gg.sum(x @ y, 0), [(6, 3, 4), (6, 4, 5)]),
    (lambda x, y: x @ y, [(2, 1, 3, 4), (5, 4, 3)]),
    (lambda x, y: x @ y, [(0, 3), (3, 4)]),
])  # fmt: skip
def test_all_else_is_our_own(build, shapes):
    leaves = [gg.var(f"x{k}", shape=s) for k, s in enumerate(shapes)]
    fused = fuse(program([build(*leaves)], leaves, {}))
    assert [product_of(k, fused) for k in fused.kernels] == [None] * len(fused.kernels)


def test_integers_are_our_own():
    assert product(lambda x, y: x @ y, (3, 4), (4, 5), dtype="int64") is None


# -- what is said ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("math", ["tf32", "bf16"])
def test_only_a_gpu_rounds_products(target, math):
    with pytest.raises(CompileError) as caught:
        gg.compile([gg.var("x", 1.0)], target=target, math=math)
    assert str(caught.value) == (
        f"math '{math}': rounds products on a GPU's tensor cores; target '{target}' knows 'fast' "
        "and 'exact', or use target='cuda'"
    )


def test_an_unknown_math_is_refused_with_those_there_are():
    with pytest.raises(CompileError, match="math 'fp16': expected one of 'fast', 'exact', 'tf32'"):
        gg.compile([gg.var("x", 1.0)], target="cuda", math="fp16")


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvmath", None)
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        cuda_cublas.bindings()
    said = str(caught.value)
    assert said.startswith("cuBLAS cannot be loaded (")
    assert said.endswith("; pip install 'graphgrad[cublas]'")
