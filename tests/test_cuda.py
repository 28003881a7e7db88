"""The CUDA target without a GPU: in Numba's simulator, as PTX for two devices, and what it refuses.

`simulated_cuda.py` holds the tests that run in the simulator, in one process of its own. PTX is
made when the extra ``cuda`` is installed, and given to NVIDIA's assembler where its library is.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.cuda import device as cuda_device
from graphgrad.compiler.cuda.text import Text
from graphgrad.compiler.program import program
from graphgrad.errors import CompileError, DeviceMemoryError, MissingDependencyError

from . import rulebook

HERE = Path(__file__).parent
WORKS = ("moons", "digits", "mnist", "chain", "cnn")


def test_in_the_simulator():
    parts = ("", "_windows", "_vectors", "_fast")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x",
         *(str(HERE / f"simulated_cuda{part}.py") for part in parts)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}, cwd=HERE.parent, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"\d\d passed", done.stdout)
    assert "skipped" not in done.stdout


# -- text and PTX ------------------------------------------------------------------------------


def benchmark_program(work):
    """Return the training step of a benchmark network, not compiled."""
    spec = importlib.util.spec_from_file_location("cpu_works", HERE / "benchmarks" / "cpu.py")
    module = importlib.util.module_from_spec(spec)
    found = []

    def caught(outputs, inputs=(), updates=None, **_):
        found.append(program(list(outputs), list(inputs), dict(updates or {}), gpu=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(gg, "compile", caught)
        spec.loader.exec_module(module)
        module.graphgrad_step(work)
    return found[0]


@pytest.mark.parametrize(("work", "launches"), [
    ("moons", 10), ("digits", 13), ("mnist", 21), ("chain", 2), ("cnn", 21),
])  # fmt: skip
def test_few_launches_make_a_step(work, launches):
    text = Text(benchmark_program(work))
    assert len(text.step.launches) <= launches
    compile(text.step.text, work, "exec")
    compile(text.epoch([True, True]).text, work, "exec")


def test_a_scatter_of_many_indices_takes_few_launches():
    x, i = gg.var("x", shape=(100_000, 64)), gg.var("i", shape=(100_000,), dtype=int)
    text = Text(program([gg.scatter_add(x, i, 10_000)], [x, i], {}, gpu=True))
    assert len(text.step.launches) == 5
    assert "range(first" not in text.step.text  # nobody goes through all indices


def test_a_convolution_copies_neither_windows_nor_borders():
    fused = Text(benchmark_program("cnn")).fused
    assert {k.nodes[0].op for k in fused.kernels if k.kind == "move"} <= {"fold"}
    assert max(n.size for n in fused.stored) == 64 * 16 * 28 * 28  # what the first layer gives


def wide_programs():
    """Return programs whose buffers have more entries than 32 bits can count."""
    N = 70_000
    x = gg.var("x", shape=(N, N), dtype="float32")
    a, b = gg.var("a", shape=(N, 8), dtype="float32"), gg.var("b", shape=(8, N), dtype="float32")
    rows = gg.var("rows", shape=(50_000_000, 128), dtype="float32")
    at, step = gg.var("at", shape=(1000,), dtype=int), gg.var("step", 0, dtype=int)
    picked = gg.sum(gg.take(rows, at))
    yield [gg.exp(x) + gg.transpose(x)], [x]
    yield [a @ b], [a, b]
    yield [x @ a], [x, a]
    yield [gg.sum(x, 0), gg.sum(x, 1), gg.sum(x), gg.argmax(x), gg.max(x, 0)], [x]
    yield [picked, gg.grad(picked, rows)], [rows, at]
    yield [gg.concatenate([x, x], 1), gg.pad(x, 2)], [x]
    yield [gg.random_uniform(step, (N * N,), dtype="float32")], [step]
    yield [gg.softmax(x)], [x]


def test_indices_are_as_wide_as_the_buffers_they_are_for():
    for nodes, inputs in wide_programs():
        text = Text(program(nodes, inputs, {}))
        whole = text.step.text + text.epoch([True] * len(inputs)).text
        compared = 0
        for function in whole.split("\ndef "):
            narrow = set(re.findall(r"\b(\w+) = u32\(", function))
            for name, limit in re.findall(r"\b(\w+) (?:\+ \d+ )?< (\d+)", function):
                assert name not in narrow or int(limit) < 2**32 - 2**24, (name, limit)
                compared += int(limit) > 2**32
        assert compared or any(n.op == "matmul" for n in nodes)


def functions_of(text, folder, monkeypatch):
    """Return the functions to launch of a text with their signatures, and compile none of them."""
    from numba import cuda

    found, real = [], cuda.jit

    def jit(signature=None, **options):
        if options.get("device"):
            return real(device=True)
        return lambda function: found.append((function, signature)) or function

    path = folder / "text.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("cuda_text", path)
    monkeypatch.setattr(cuda, "jit", jit)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    monkeypatch.setattr(cuda, "jit", real)
    return found


def assembled(ptx, arch):
    """Return what NVIDIA's assembler says of a kernel; None where its library is not there."""
    try:
        from cuda.bindings import nvjitlink
    except ImportError:
        return None
    handle = nvjitlink.create(2, [f"-arch=sm_{arch}", "-verbose"])
    data = ptx.encode() + b"\0"
    nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), "kernel.ptx")
    nvjitlink.complete(handle)
    log = bytearray(nvjitlink.get_info_log_size(handle))
    nvjitlink.get_info_log(handle, log)
    nvjitlink.destroy(handle)
    return log.decode()


needs_toolkit = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="needs pip install 'graphgrad[cuda]'"
)


def becomes_ptx(text, arch, folder, monkeypatch):
    """Compile every launch of a program for a device that need not be there."""
    from numba import cuda, types
    from numba.cuda import dispatcher

    capability = (arch // 10, arch % 10)
    device = SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    both = [text.step.text, text.epoch([True] * len(text.program.inputs)).text]
    for function, signature in [f for t in both for f in functions_of(t, folder, monkeypatch)]:
        names = re.findall(r"(\w+)\[::1\]", signature)
        arguments = [getattr(types, name)[::1] for name in names]
        ptx, _ = cuda.compile_ptx(function, types.void(*arguments), cc=capability)
        assert f".target sm_{arch}" in ptx
        log = assembled(ptx, arch)
        if log is not None:
            assert "0 bytes spill stores" in log, (function.__name__, log)
        yield function.__name__, ptx, log


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("work", WORKS)
def test_kernels_become_ptx_without_local_memory(work, arch, monkeypatch, tmp_path):
    text = Text(benchmark_program(work))
    for name, ptx, log in becomes_ptx(text, arch, tmp_path, monkeypatch):
        assert log is None or "0 bytes stack frame" in log, (name, log)
        assert not re.search(r"(div|rem)\.[su]64", ptx), name


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
def test_large_tiles_are_loaded_sixteen_bytes_at_a_time(monkeypatch, tmp_path):
    x, y = (gg.var(name, shape=(2048, 2048), dtype="float32") for name in "xy")
    text = Text(program([x @ y], [x, y], {}, gpu=True))
    _, ptx, log = next(becomes_ptx(text, 90, tmp_path, monkeypatch))
    body = next(b for b in re.split(r"\$L__BB\S+:", ptx) if b.count("fma.rn.f32") >= 64)
    assert (body.count("fma.rn.f32"), body.count("ld.shared.v4.f32")) == (128, 8)
    assert body.count(";") <= 145  # so nine in ten instructions are multiplications
    assert log is None or int(re.search(r"Used (\d+) registers", log)[1]) <= 128, log


def moved(ptx):
    """Return how often a text in PTX loads from and stores to memory, by kind of number."""
    found = Counter(re.findall(r"\b(?:ld|st)\.global\.(?:v\d\.)?f\d\d", ptx))
    return {kind.replace(".global", ""): count for kind, count in found.items()}


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", [80, 90])
def test_the_chain_moves_sixteen_bytes_at_a_time(arch, monkeypatch, tmp_path):
    text = Text(benchmark_program("chain"))
    _, ptx, log = next(becomes_ptx(text, arch, tmp_path, monkeypatch))
    assert moved(ptx) == {"ld.v4.f32": 1, "st.v4.f32": 1, "st.f32": 1}  # the last is a part's sum
    assert log is None or "0 bytes stack frame" in log, log


def adam(shape, dtype):
    """Return a program of Adam's update of a parameter, whose gradient is given."""
    w, m, v, g = (gg.var(name, shape=shape, dtype=dtype) for name in "wmvg")
    step = gg.var("step", np.zeros((), dtype))
    number = np.dtype(dtype).type
    now = step + number(1)
    m1 = number(0.9) * m + number(0.1) * g
    v1 = number(0.999) * v + number(0.001) * gg.square(g)
    rate = number(1e-3) * gg.sqrt(1 - number(0.999) ** now) / (1 - number(0.9) ** now)
    updates = {step: now, m: m1, v: v1, w: w - rate * m1 / (gg.sqrt(v1) + number(1e-8))}
    return program([], [g], updates, gpu=True)


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize(("dtype", "kind", "each"), [("float32", "v4.f32", 1),
                                                     ("float64", "v2.f64", 2)])  # fmt: skip
@pytest.mark.parametrize("shape", [(784, 512), (785, 513)])
def test_adam_moves_sixteen_bytes_at_a_time(arch, dtype, kind, each, shape, monkeypatch, tmp_path):
    text = Text(adam(shape, dtype))
    ptxs = [p for name, p, _ in becomes_ptx(text, arch, tmp_path, monkeypatch) if "launch" in name]
    counts = sum((Counter(moved(p)) for p in ptxs), Counter())
    assert (counts[f"ld.{kind}"], counts[f"st.{kind}"]) == (4 * each, 3 * each), counts
    alone = 2 + 3 * (shape == (785, 513))  # the step, the rate; the one entry that is left
    assert counts[f"st.{kind[-3:]}"] == alone, counts


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_scalar_function_becomes_ptx(dtype, monkeypatch, tmp_path):
    numbers = [gg.var(f"x{k}", shape=(300,), dtype=dtype) for k in range(3)]
    flags = [gg.var(f"m{k}", shape=(300,), dtype=bool) for k in range(3)]
    nodes = []
    for p in rulebook.ELEMENTWISE:
        given = [(flags if mask else numbers)[k] for k, mask in enumerate(rulebook.masks(p))]
        nodes += [p(*given, **case.settings) for case in p.cases]
    text = Text(program(nodes, [*numbers, *flags], {}))
    whole = "".join(ptx for _, ptx, _ in becomes_ptx(text, 90, tmp_path, monkeypatch))
    assert len(nodes) >= len(rulebook.ELEMENTWISE)
    assert "sqrt" in whole


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
def test_the_other_forms_become_ptx(monkeypatch, tmp_path):
    x, i = gg.var("x", shape=(70, 9)), gg.var("i", shape=(70,), dtype=int)
    step, y = gg.var("step", shape=(), dtype=int), gg.var("y", shape=(9, 200))
    many = gg.var("many", shape=(350,), dtype=int)
    nodes = [
        gg.argmax(x, 1), gg.take(x, i), gg.scatter_add(x, i, 50), gg.prod(x, 0), x @ y,
        gg.where(x > 0, x, 0.0),
        gg.random_uniform(step, (33,), dtype="float32"), gg.random_uniform(step, (33,)),
        gg.concatenate([x, x], 1), gg.pad(x, 2), gg.sum(x > 1), gg.max(i),
        gg.scatter_add(gg.concatenate([x] * 5), many, 6),
    ]  # fmt: skip
    text = Text(program(nodes, [x, i, step, y, many], {}))
    assert [*becomes_ptx(text, 90, tmp_path, monkeypatch)]


@needs_toolkit
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("math", ["fast", "exact"])
def test_the_chain_is_a_straight_line_with_fast_reciprocals(math, arch, monkeypatch, tmp_path):
    text = Text(benchmark_program("chain"), math=math)
    _, ptx, _ = next(becomes_ptx(text, arch, tmp_path, monkeypatch))
    lines = re.split(r"\$L__BB\S+:|\bbra\b", ptx)  # what runs without a branch
    loop = next(b for b in lines if b.count("ex2.approx") >= 12)  # four entries, tanh and all
    assert "ld.global" in loop
    assert "st.global" in loop
    divided = loop.count("rcp.rn.f32"), loop.count("rcp.approx.ftz.f32")
    assert divided == ((0, 8) if math == "fast" else (4, 4))  # σ, and in tanh


# -- refusals ----------------------------------------------------------------------------------


def in_a_process(program, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
    import graphgrad as gg
    x = gg.var("x", 1.0)
    try:
        gg.compile([x + 1], target="cuda")
    except gg.errors.GraphError as problem:
        print(type(problem).__name__, problem)
"""


@pytest.mark.skipif(cuda_device.problem() is None, reason="there is a GPU")
def test_without_a_gpu_the_way_out_is_named():
    said = in_a_process(ASK)
    assert said.startswith("CompileError target 'cuda': no NVIDIA device can be used (")
    assert said.count("\n") == 1
    assert "use target='numba'" in said


def test_a_broken_toolkit_is_one_clear_sentence():
    broken = "import sys; sys.modules['numba.cuda'] = None" + ASK.replace("\n    ", "\n")
    said = in_a_process(broken)
    assert said.startswith("MissingDependencyError target 'cuda': Numba's CUDA part cannot be")
    assert "pip install 'graphgrad[cuda]', or use target='numba'" in said


def test_nothing_of_cuda_is_loaded_before_it_is_asked_for():
    said = in_a_process("""
        import sys, graphgrad as gg
        x = gg.var("x", 1.0)
        gg.compile([x + 1], target="numpy")()
        import graphgrad.compiler.cuda
        print([m for m in sys.modules if m.split(".")[0] == "numba"])
    """)
    assert said == "[]\n"


def test_errors_are_also_the_builtin_ones():
    assert issubclass(MissingDependencyError, ImportError)
    assert issubclass(CompileError, ValueError)
    assert issubclass(DeviceMemoryError, MemoryError)


def test_long_reasons_are_cut():
    assert cuda_device.readable(ValueError()) == "ValueError"
    assert len(cuda_device.readable(ValueError("x " * 200))) == 160
