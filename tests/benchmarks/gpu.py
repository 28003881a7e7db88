"""The CUDA target on a real GPU: correctness, then speed beside PyTorch and JAX, in one call.

    python tests/benchmarks/gpu.py [PART …] [--out FILE.json] [--seconds 520] [--small]

Parts: about (machine, versions, bandwidth of a copy), primitives-64 and -32 (every one and its
gradient), graphs (random ones), products (sizes and layouts), sums, then one part for each
contestant: graphgrad, torch (eager), torch-graphs, jax, torch-compile. Each is a process of its
own with a time of its own, so that one that fails stops no other; the file is written again every
half second, so that what was found is there whatever happens. In the end what was wrong, the times
and the goals (`gpu_goals.py`) are printed. The parts that mostly compile run together, among them
one "warm" part for each work that graphgrad is timed with; all others run alone. The machine needs
NumPy, Numba, numba-cuda, SciPy, rich and pytest, the last two for a table of the machine and the
tests' graphs; nothing that draws.

All of graphgrad is by its own kernels but for the parts that run where the extra ``cublas`` is
installed (`gpu_cublas.py`): cublas (products through the library, and from what size on they are
faster), graphgrad-cublas and graphgrad-tf32 (steps whose large products go there).

Correctness is against float64 on the CPU, with fresh random inputs and all buffers poisoned with
nan before each run; a float32 graph is computed from the same numbers in float64 and may differ by
1e-5 of the largest entry (products by 1e-6 √k, at least 1e-5).

Works: as in cpu.py, with other sizes: moons at batch 100, digits 32, mnist 128 and 8192, the chain
of 10⁸ numbers, cnn 256; float32 throughout, no TF32. Times are of a training step with everything
on the GPU, by events around many steps, medians of ten. JAX, which has no events, is timed by the
clock around as many steps. `--small` runs a small part of it in Numba's simulator
(NUMBA_ENABLE_CUDASIM=1).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from functools import partial
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import numpy as np  # noqa: E402

import graphgrad as gg  # noqa: E402
from graphgrad.graph import evaluate  # noqa: E402

WORKS = {
    "moons 100": ("moons", 100), "digits 32": ("digits", 32), "mnist 128": ("mnist", 128),
    "mnist 8192": ("mnist", 8192), "chain 1e8": ("chain", 10**8), "cnn 256": ("cnn", 256),
}  # fmt: skip
LAYERS = ("mnist 128", "mnist 8192", "cnn 256")
"""Works with products large enough for a library."""
RATE = 1e-6


def load(name):
    """Return another file of this folder, or of the tests, as a module."""
    path = HERE / f"{name}.py"
    path = path if path.exists() else HERE.parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# -- correctness -------------------------------------------------------------------------------


def poison(f):
    """Fill every buffer but variables and constants with nan, or with what is most absurd."""
    runtime = f._runtime
    for kind, arena in runtime._arenas.items():
        values = arena.copy_to_host()
        kept = np.zeros(values.size, bool)
        for n in runtime.fused.stored:
            if n.is_leaf and n.dtype is kind:
                kept[runtime.plan.start[n] : runtime.plan.start[n] + n.size] = True
        flag = runtime.text.layout.flag
        if kind.name == "int64" and flag >= 0:
            kept[flag] = True
        values[~kept] = {"int64": -(2**40), "bool": True}.get(kind.name, np.nan)
        arena.copy_to_device(values)


def wrong(nodes, labels, tolerance, exact=None, floor=1e-30, math="fast"):
    """Return how many outputs there are, and those that differ from the CPU by too much.

    Args:
        nodes, labels: what to compute, and its names.
        tolerance: the largest difference allowed, relative to the largest entry.
        exact: the same in float64; by default the nodes themselves.
        floor: the least that errors are relative to; where numbers cancel, their size says little.
        math: as for `gg.compile`.
    """
    f = gg.compile(nodes, target="cuda", math=math)
    f()
    poison(f)
    f()  # this one is recorded
    poison(f)
    found = f()  # and this one is a replay
    bad = []
    for label, a, b in zip(labels, found, evaluate(exact or nodes), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        scale = max(float(np.abs(b[np.isfinite(b)]).max(initial=0.0)), floor)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(all="ignore"):
            error = float(np.where(same, 0.0, np.abs(a - b) / scale).max(initial=0.0))
        if not error <= tolerance:
            bad.append({"what": label, "error": error})
    return len(nodes), bad


def checked(say, what, build, dtype, tolerance, math="fast"):
    """Check what `build` makes of float32 numbers, in a type, against float64 on the CPU."""
    try:
        nodes = build(dtype)
        labels = [f"{n.op}#{k}" for k, n in enumerate(nodes)]
        count, bad = wrong(nodes, labels, tolerance, build("float64"), floor=1.0, math=math)
        say({"what": f"{dtype} {what}", "checked": count, "wrong": bad})
    except Exception as problem:
        say({"what": f"{dtype} {what}", "error": f"{type(problem).__name__}: {problem}"[:500]})


def normal(rng, shape, dtype):
    """Return random float32 numbers in a type."""
    return rng.normal(size=shape).astype(np.float32).astype(dtype)


def primitives(say, small, dtype, tolerance):
    """Check every primitive and its gradient."""
    from tests.test_compiler_ops import GROUPS, graphs

    for group in GROUPS[:1] if small else GROUPS:
        name = f"{dtype} {group[0].name} … {group[-1].name}"
        try:
            labelled = graphs(group, dtype)
            count, bad = wrong([y for _, y in labelled], [s for s, _ in labelled], tolerance)
            say({"what": name, "checked": count, "wrong": bad})
        except Exception as problem:
            say({"what": name, "error": f"{type(problem).__name__}: {problem}"[:500]})


def random_graph(seed, dtype):
    """Return a small graph of vectors and matrices with sharing, and its gradient."""
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(2, 60, 2)]
    shapes = [tuple(sizes), (sizes[1],), (sizes[0], 1), ()]
    leaves = [
        gg.var(f"a{k}", rng.uniform(0.3, 1.2, s).astype(np.float32).astype(dtype))
        for k, s in enumerate(shapes)
    ]
    pool = list(leaves)
    unary = [gg.tanh, gg.sigmoid, gg.relu, gg.softplus, lambda a: gg.sum(a, keepdims=True),
             lambda a: gg.exp(-gg.square(a)), lambda a: a - gg.mean(a)]  # fmt: skip
    binary = [gg.add, gg.mul, gg.sub, gg.maximum]
    for _ in range(int(rng.integers(3, 12))):
        a, b = (pool[k] for k in rng.integers(len(pool), size=2))
        new = (
            unary[rng.integers(len(unary))](a)
            if rng.random() < 0.5
            else (binary[rng.integers(len(binary))](a, b))
        )
        pool.append(new)
    square = [n for n in pool if len(n.shape) == 2]
    loss = gg.mean(pool[-1]) + gg.mean(gg.tanh(square[-1] @ gg.transpose(square[-1])))
    return [loss, pool[-1], *gg.grad(loss, leaves)]


def graphs_part(say, small):
    """Check random graphs and their gradients."""
    for dtype, tolerance in (("float64", 1e-11), ("float32", 1e-5)):
        for seed in range(2 if small else 20):
            checked(
                say, f"seed {seed}", lambda kind, s=seed: random_graph(s, kind), dtype, tolerance
            )


SIZES = [(1, 1, 1), (17, 33, 65), (128, 512, 784), (64, 10, 1568), (1000, 1, 1000), (3, 2000, 5),
         (300, 300, 300), (2048, 2048, 512)]  # fmt: skip


def products(say, small):
    """Check products of many sizes and layouts, with what follows them."""
    for size, dtype in itertools.product(SIZES[:2] if small else SIZES, ("float64", "float32")):
        m, n, k = size

        def build(kind, m=m, n=n, k=k):
            rng = np.random.default_rng([m, n, k])
            a, b, c = (normal(rng, s, kind) for s in ((m, k), (k, n), (n,)))
            A, B, At, Bt, c = (gg.var(s, x) for s, x in zip("ABCDc", (a, b, a.T, b.T, c)))
            return [A @ B, At.T @ B, A @ Bt.T, At.T @ Bt.T,
                    gg.tanh((A @ B + c) / float(np.sqrt(k)))]  # fmt: skip

        tolerance = (1e-13 if dtype == "float64" else 1e-6) * max(10.0, np.sqrt(k))
        checked(say, f"{m}x{n}x{k}", build, dtype, tolerance)


def sums(say, small):
    """Check long sums over rows, columns and everything, and that they give the same bits."""
    shapes = [(1_000_003,), (5000, 700), (7, 300_000), (200, 30, 70)]
    for shape, dtype in itertools.product(
        [(7, 9), (300, 5)] if small else shapes, ("float64", "float32")
    ):

        def build(kind, shape=shape):
            x = gg.var("x", normal(np.random.default_rng(0), shape, kind))
            y = gg.tanh(x)
            nodes = [gg.sum(y), gg.max(x), gg.argmax(x), gg.grad(gg.sum(y), x), gg.max(x, -1)]
            return nodes + [gg.sum(y, k) for k in range(len(shape))]

        checked(say, str(shape), build, dtype, 1e-12 if dtype == "float64" else 1e-5)
        f = gg.compile(build(dtype), target="cuda")
        if len({f()[0].tobytes() for _ in range(5)}) > 1:
            say({"what": f"{dtype} {shape}", "error": "the bits differ from run to run"})


# -- the works ---------------------------------------------------------------------------------


def data(work, batch):
    """Return inputs, targets and parameters of a work, as in cpu.py, at another batch size."""
    if work == "chain":
        return np.random.default_rng(0).standard_normal(batch, np.float32), None, []
    x, y, start = load("peers").data(work)
    rows = np.arange(batch) % len(x)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((batch, *x.shape[1:])).astype(np.float32)
    return x[rows] + np.float32(0.1) * noise, y[rows], start


def medians(sample, count):
    """Return the median seconds of a step over ten samples of `count` steps each."""
    return statistics.median(sample(count) / count for _ in range(10))


def elapsed(begin, end):
    """Return the seconds between two events of Numba's; the simulator has no clock."""
    return (begin.elapsed_time(end) or 1.0) / 1e3


def steps_for(once):
    """Return how many steps make a sample of about 50 ms; in the simulator one."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        return 1
    return max(2, min(2000, int(0.05 / max(once, 1e-7))))


def sampler(runtime, replayed=True):
    """Return a function that gives the seconds of so many steps of a compiled graph.

    Without `replayed` the launches of a step are made one by one.
    """
    from numba import cuda

    from graphgrad.compiler.cuda.replay import Replay

    stream = runtime._stream
    go = runtime._step  # without the copies of a call's inputs and outputs
    if replayed and runtime.replayed:
        go = Replay(cuda, stream, go)

    def sample(count):
        begin, end = cuda.event(), cuda.event()
        begin.record(stream)
        for _ in range(count):
            go()
        end.record(stream)
        end.synchronize()
        return elapsed(begin, end)

    return sample


def graphgrad_part(say, small, math="fast", only=None):
    """Time graphgrad's steps: launches replayed on the device, a call, an epoch.

    Args:
        say, small: as for all parts.
        math: as for `gg.compile`.
        only: names of works; by default all.
    """
    cpu = load("cpu")
    works = {"moons 100": ("moons", 8), "chain 1e8": ("chain", 100)} if small else WORKS
    if only is not None and not small:
        works = {name: works[name] for name in only}
    for name, (work, batch) in works.items():
        try:
            for row in _graphgrad_work(cpu, name, work, batch, math):
                say(row)
        except Exception as problem:
            said = f"{type(problem).__name__}: {problem}"[:800]
            say({"what": name, "error": said, "trace": traceback.format_exc()[-1500:]})


def _graphgrad_work(cpu, name, work, batch, math):
    """Yield the times of a work, and then, which takes longer to compile, those of its kernels."""
    x, y, _ = given = data(work, batch)
    found = []
    real = gg.compile

    def caught(outputs, inputs=(), updates=None, **_):
        found.append(real(outputs, inputs, updates, target="cuda", math=math))
        return found[0]

    begin = time.perf_counter()
    cpu.data, gg.compile = lambda _: given, caught
    try:
        step = cpu.graphgrad_step(work)
    finally:
        gg.compile = real
    f = found[0]
    loss = float(step())
    first = time.perf_counter() - begin
    step()
    runtime = f._runtime
    launches = runtime.text.step.launches
    sample = sampler(runtime)
    sample(2)
    count = steps_for(sample(5) / 5)
    row = {"what": name, "step_us": 1e6 * medians(sample, count), "first_s": first, "loss": loss,
           "launches": len(launches), "replayed": runtime.replayed,
           "cublas": [launch.call.epilogue for launch in launches if launch.call]}  # fmt: skip
    row["not_replayed"] = runtime.obstacle
    launched = sampler(runtime, replayed=False)
    row["without_graph_us"] = 1e6 * medians(launched, min(count, 200))
    if work != "chain":
        row |= _calls_and_epochs(f, step, x, y, batch)
    yield row
    slow = sorted(f.profile(*([x] if y is None else [x, y])), key=lambda k: -(k.seconds or 0))[:6]
    yield {"what": f"{name}, kernels", "slowest": [
        {"kernel": k.what, "us": 1e6 * k.seconds, "GB/s": k.bytes / k.seconds / 1e9,
         "GFLOP/s": k.flops / k.seconds / 1e9} for k in slow if k.seconds
    ]}  # fmt: skip


def _calls_and_epochs(f, step, x, y, batch):
    """Return the times of a call from Python, and of a step of an epoch."""
    calls = [time.perf_counter()]
    for _ in range(20):
        step()
        calls.append(time.perf_counter())
    call = statistics.median(b - a for a, b in itertools.pairwise(calls))
    table = [np.repeat(x, 4, axis=0), np.repeat(y, 4, axis=0)]
    for array in table:
        array.flags.writeable = False  # so that only the first epoch sends them
    rows = np.random.default_rng(0).integers(0, len(table[0]), (100, batch))
    f.epoch(*table, rows=rows)
    begin = time.perf_counter()
    f.epoch(*table, rows=rows)
    epoch = time.perf_counter() - begin
    return {"call_us": 1e6 * call, "epoch_of_100_step_us": 1e4 * epoch}


# -- peers -------------------------------------------------------------------------------------


def torch_loss(torch, work, P):
    """Return the loss as a function of a batch."""
    from torch.nn import functional as F  # noqa: N812 (its usual name)

    def loss(X, Y):
        if work == "chain":
            return (torch.tanh(X) * torch.sigmoid(X) + torch.exp(-X * X)).sum()
        h = X
        if work == "cnn":
            for k, b in ((P[0], P[1]), (P[2], P[3])):
                h = F.max_pool2d(torch.relu(F.conv2d(h, k, b, padding=1)), 2)
            return F.cross_entropy(h.flatten(1) @ P[4] + P[5], Y)
        for W, b in zip(P[0:-2:2], P[1:-2:2], strict=True):
            h = torch.relu(h @ W + b)
        z = h @ P[-2] + P[-1]
        if work == "moons":
            return F.binary_cross_entropy_with_logits(z[:, 0], Y)
        return F.cross_entropy(z, Y)

    return loss


def torch_part(say, small, how="eager"):
    """Time PyTorch's steps: eager, as CUDA graphs, or compiled."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    for name, (work, batch) in WORKS.items():
        try:
            say(_torch_work(torch, name, work, min(batch, 64) if small else batch, how))
        except Exception as problem:
            say({"what": name, "error": f"{type(problem).__name__}: {problem}"[:500]})
        torch.cuda.empty_cache()


def _torch_work(torch, name, work, batch, how):
    x, y, start = data(work, batch)
    X = torch.tensor(x, device="cuda")
    Y = None if y is None else torch.tensor(y, device="cuda")
    P = [torch.tensor(p, device="cuda").requires_grad_() for p in start]
    loss_of = torch_loss(torch, work, P)
    if how == "compile":
        loss_of = torch.compile(loss_of)
    if work == "chain":
        X.requires_grad_()
        optimizer = None
    elif work in ("digits", "mnist"):
        optimizer = torch.optim.Adam(P, lr=RATE, fused=True, capturable=how == "graphs")
    else:
        optimizer = torch.optim.SGD(P, lr=0.01)

    def step():
        for p in P or [X]:
            p.grad = None
        loss = loss_of(X, Y)
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        return loss

    begin = time.perf_counter()
    loss = step().item()
    first = time.perf_counter() - begin
    for _ in range(5):
        step()
    go = step
    if how == "graphs":
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        go = graph.replay

    def sample(count):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            go()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    sample(2)
    count = steps_for(sample(5) / 5)
    return {"what": name, "step_us": 1e6 * medians(sample, count), "first_s": first, "loss": loss}


def jax_part(say, small):
    """Time JAX's steps, jitted."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    jax.config.update("jax_default_matmul_precision", "float32")
    for name, (work, batch) in WORKS.items():
        try:
            given = data(work, min(batch, 64) if small else batch)
            peers = load("peers")
            peers.data = lambda _, given=given: given
            say(_jax_work(jax, peers, name, work))
        except Exception as problem:
            say({"what": name, "error": f"{type(problem).__name__}: {problem}"[:500]})


def _jax_work(jax, peers, name, work):
    begin = time.perf_counter()
    waiting = jax.block_until_ready
    step = peers.jax_step(work)
    loss = float(step())
    first = time.perf_counter() - begin
    row = {"what": name, "first_s": first, "loss": loss}

    def sample(count):
        begin = time.perf_counter()
        for _ in range(count):
            last = step()
        waiting(last)
        return time.perf_counter() - begin

    sample(2)
    row["step_us"] = 1e6 * medians(sample, min(200, steps_for(sample(5) / 5)))
    row["note"] = "by the clock; waits for each step's loss"
    return row


# -- all in one call ---------------------------------------------------------------------------


def warm(say, small, name):
    """Compile, into the cache on disk, what ``graphgrad`` will time."""
    if not small:
        graphgrad_part(lambda row: say({"what": name, "error": row["error"]})
                       if "error" in row else None, small, only=[name])  # fmt: skip


def about(say, small):
    """Tell the machine and the versions, and measure how fast memory is copied."""
    from graphgrad.cli.checkup import checkup

    def version(name):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    names = ("numpy", "numba", "numba-cuda", "cuda-bindings", "nvmath-python", "nvidia-cublas",
             "torch", "jax")  # fmt: skip
    say({"what": "versions", "python": platform.python_version(),
         **{n: version(n) for n in names}})  # fmt: skip
    say({"what": "parts", **{f.part: f"{f.state}: {f.found}" for f in checkup()}})
    from numba import cuda

    count = 10**4 if small else 10**8
    a, b = cuda.device_array(count, np.float32), cuda.device_array(count, np.float32)
    stream = cuda.stream()
    times = []
    for _ in range(10):
        begin, end = cuda.event(), cuda.event()
        begin.record(stream)
        b.copy_to_device(a, stream=stream)
        end.record(stream)
        end.synchronize()
        times.append(elapsed(begin, end))
    seconds = statistics.median(times)
    say({"what": "copy", "bytes": 8 * count, "GB/s": 8 * count / max(seconds, 1e-9) / 1e9})


def with_cublas(run):
    """Return a part that needs the extra ``cublas``, and says so where it is not there."""

    def part(say, small):
        from graphgrad.compiler.cuda import cublas as cuda_cublas

        try:
            cuda_cublas.bindings()
        except ImportError as problem:
            say({"what": "cuBLAS", "skipped": str(problem)})
            return
        run(say, small)

    return part


def put_cublas(part, simulated):
    """Have a part's products made by what it is to use: the library, or our own kernels."""
    from graphgrad.compiler.cuda import cublas as cuda_cublas

    def left_out():
        raise ImportError("this part is by graphgrad's own kernels")

    if part not in CUBLAS and part != "about":
        cuda_cublas.bindings = left_out
    elif simulated:
        library = load("cublas_in_numpy").CublasLt()
        cuda_cublas.bindings = lambda: library


def cublas_part(say, small):
    """Check and time products through the library."""
    cublas, gpu = load("gpu_cublas"), sys.modules[__name__]
    cublas.checks(gpu, say, small)
    cublas.sizes(gpu, say, small)


CUBLAS = {
    "graphgrad-cublas": with_cublas(partial(graphgrad_part, only=LAYERS)),
    "graphgrad-tf32": with_cublas(partial(graphgrad_part, math="tf32", only=LAYERS)),
    "cublas": with_cublas(cublas_part),
}
"""Parts that use the library where they can."""
PARTS = {
    "about": about,
    "primitives-64": partial(primitives, dtype="float64", tolerance=1e-12),
    "primitives-32": partial(primitives, dtype="float32", tolerance=1e-5),
    "graphs": graphs_part,
    "products": products,
    "sums": sums,
    **{f"warm {name}": partial(warm, name=name) for name in WORKS},
    "graphgrad": graphgrad_part,
    "torch": torch_part,
    "torch-graphs": partial(torch_part, how="graphs"),
    **CUBLAS,
    "jax": jax_part,
    "torch-compile": partial(torch_part, how="compile"),
}
TOGETHER = ("primitives-64", "primitives-32", "graphs", "products", "sums",
            *(f"warm {name}" for name in WORKS))  # fmt: skip
"""Parts that mostly compile and time nothing."""
LIMITS = {"about": 60, "graphgrad": 110, "cublas": 50, "graphgrad-cublas": 50,
          "graphgrad-tf32": 40, "torch-compile": 100} | dict.fromkeys(TOGETHER, 200)  # fmt: skip
"""Seconds that a part may take; others 60."""


def one(part, into, small):
    """Run a part in this process; write each row as soon as it is there."""
    warnings.simplefilter("ignore")
    simulated = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
    about = load("simulator").simulator() if simulated else contextlib.nullcontext()
    put_cublas(part, simulated)
    with about, open(into, "a", encoding="utf-8") as file:

        def say(row):
            file.write(json.dumps(row, default=str) + "\n")
            file.flush()

        PARTS[part](say, small)


class Run:
    """A part in a process of its own, so that one that fails stops no other."""

    def __init__(self, part, folder, seconds, small):
        self.part, self.seconds = part, seconds
        self.begin, self.took, self.end = time.perf_counter(), None, None
        self._rows, self._said = folder / f"{part}.jsonl", folder / f"{part}.txt"
        self._rows.touch()
        command = [sys.executable, __file__, "--one", part, "--into", str(self._rows)]
        with open(self._said, "w") as said:
            self._process = subprocess.Popen(
                command + ["--small"] * small, stdout=said, stderr=said, start_new_session=True
            )

    def poll(self):
        """Return whether it has ended; stop it when its time is up."""
        if self.took is not None:
            return True
        status, took = self._process.poll(), time.perf_counter() - self.begin
        if status is None and took <= self.seconds:
            return False
        if status is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # with what torch.compile has started
            self._process.wait()
            self.end = f"stopped after {self.seconds:.0f} s"
        elif status:
            self.end = f"exit {status}: {self._said.read_text(errors='replace')[-1500:]}"
        self.took = took
        return True

    def found(self):
        """Return its rows so far, how long it took, and how it ended if not well."""
        lines = self._rows.read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        took = time.perf_counter() - self.begin if self.took is None else self.took
        error = {"error": self.end} if self.end else {"error": "running"} if not self.took else {}
        return {"rows": rows, "seconds": round(took, 1), **error}


def run_all(parts, end, out, small):
    """Run parts, first those that may run together; keep the file of all they found up to date."""
    folder = Path(tempfile.mkdtemp(prefix="graphgrad-gpu-"))
    result = {}
    crowd = [p for p in parts if p in TOGETHER]
    alone = [[p] for p in parts if p not in TOGETHER]
    first = [group for group in alone if group == ["about"]]
    for group in [*first, *([crowd] if crowd else []), *(g for g in alone if g not in first)]:
        left = end - time.perf_counter()
        if left < 5:
            result |= {p: {"rows": [], "seconds": 0.0, "error": "no time was left"} for p in group}
            continue
        runs = [Run(p, folder, min(left, LIMITS.get(p, 60) * (4 if small else 1)), small)
                for p in group]  # fmt: skip
        waiting = list(runs)
        while waiting:
            time.sleep(0.5)
            for run in [r for r in waiting if r.poll()]:
                waiting.remove(run)
                ran = run.found()
                sys.stdout.write(f"{run.part}: {ran['seconds']} s, {len(ran['rows'])} rows "
                                 f"{ran.get('error', '')[-300:]}\n")  # fmt: skip
                sys.stdout.flush()
            result |= {r.part: r.found() for r in runs}
            write(out, result, small)
    return result


def write(out, result, small):
    """Write everything to a file, at once and not in the middle of its old text."""
    whole = {"summary": load("gpu_goals").summary(result, small), **result}
    draft = Path(f"{out}.draft")
    draft.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, out)


def find_toolkit():
    """Name the folder of CUDA's compiler, if there is one; its libraries need not be wheels."""
    compiler = shutil.which("nvcc")
    if compiler:
        os.environ.setdefault("CUDA_HOME", str(Path(compiler).resolve().parent.parent))


def main():
    """Run the parts named on the command line, all by default, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=[], metavar="PART")
    parser.add_argument("--out", default="gpu.json")
    parser.add_argument("--seconds", type=float, default=520.0)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--one", metavar="PART")
    parser.add_argument("--into", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments.into, arguments.small)
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    find_toolkit()
    end = time.perf_counter() + arguments.seconds
    result = run_all(arguments.parts or list(PARTS), end, arguments.out, arguments.small)
    goals = load("gpu_goals")
    sys.stdout.write(goals.text(goals.summary(result, arguments.small)) + "\n")


if __name__ == "__main__":
    main()
