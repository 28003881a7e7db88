"""Products through cuBLASLt on a GPU: right, with the same bits each time, and where it is faster.

Parts of `gpu.py`, which runs them where the extra ``cublas`` is installed. Products are checked as
our own are; with ``math="tf32"`` and ``"bf16"`` they may differ by 2⁻⁹ and 2⁻⁶ of the largest
entry. What small products showed of ReLU (is nan passed on, is its bit at 0 a 0) is told as
`right`. The times of our own products and of the library's, at growing sizes, are there to set
`cuda.blas.LEAST` by.
"""

from __future__ import annotations

import itertools
import statistics

import numpy as np

import graphgrad as gg
from graphgrad.compiler.cuda import blas as cuda_blas

SIZES = [(17, 33, 65), (128, 512, 784), (64, 10, 1568), (300, 300, 300), (2048, 2048, 512),
         (512, 784, 8192)]  # fmt: skip
BATCHES = [((7, 60, 50), (7, 50, 40)), ((7, 60, 50), (50, 40)), ((60, 50), (7, 50, 40))]
SQUARES = (128, 256, 512, 768, 1024, 2048, 4096)
LOST = {"tf32": 2.0**-9, "bf16": 2.0**-6}


def layouts(gpu, m, n, k, kind):
    """Return a product in four layouts, of parts of larger matrices, and with epilogues."""
    rng = np.random.default_rng([m, n, k])
    a, b, c = (gpu.normal(rng, s, kind) for s in ((m, k), (k, n), (n,)))
    A, B, At, Bt, c = (gg.var(s, x) for s, x in zip("ABCDc", (a, b, a.T, b.T, c), strict=True))
    around = gg.var("E", np.pad(a, ((1, 2), (3, 5))))
    return [A @ B, At.T @ B, A @ Bt.T, At.T @ Bt.T, around[1 : m + 1, 3 : k + 3] @ B,
            A @ (B * 2) + c, gg.relu(A @ (B * 3) + c), gg.tanh(A @ (B * 4) / float(k))]  # fmt: skip


def layer(gpu, m, n, k, kind):
    """Return a layer of ReLU, a product onward, and gradients.

    Numbers are small integers, so that all maths agree on what is above 0 and much is exactly 0.
    """
    rng = np.random.default_rng([m, n, k])
    x, W, b, V = (gg.var(s, rng.integers(-3, 4, shape).astype(kind)) for s, shape in (
        ("x", (m, k)), ("W", (k, n)), ("b", (n,)), ("V", (n, 40))))  # fmt: skip
    loss = gg.sum(gg.square(gg.relu(x @ W + b) @ V / float(k * n)))
    return [loss, *gg.grad(loss, [x, W, b, V])]


def checks(gpu, say, small):
    """Check products of many sizes, layouts, epilogues and maths, and that bits stay the same."""
    cuda_blas.LEAST = 0
    for math in ("fast", "tf32", "bf16"):
        for m, n, k in SIZES[:1] if small else SIZES if math == "fast" else SIZES[1::3]:
            scale = max(10.0, float(np.sqrt(k)))
            tolerances = {"float32": LOST.get(math, 1e-6 * scale)}
            if math == "fast":
                tolerances["float64"] = 1e-13 * scale
            for build, (kind, most) in itertools.product((layouts, layer), tolerances.items()):
                what = f"{math} {build.__name__} {m}x{n}x{k}"
                gpu.checked(
                    say, what, lambda t, f=build, s=(m, n, k): f(gpu, *s, t), kind, most, math
                )
    for shapes in BATCHES:

        def build(kind, shapes=shapes):
            rng = np.random.default_rng(0)
            a, b = (gg.var("ab"[k], gpu.normal(rng, s, kind)) for k, s in enumerate(shapes))
            return [a @ b, gg.relu(a @ b + 1)]

        gpu.checked(say, str(shapes), build, "float32", 1e-5)
    say(_told(gpu, *((17, 33, 65) if small else (300, 784, 2048))))


def _told(gpu, m, n, k):
    """Tell what the library's trials showed, what it calls, and whether the bits are the same."""
    f = gg.compile(layer(gpu, m, n, k, "float32"), target="cuda")
    runs = {tuple(y.tobytes() for y in f()) for _ in range(10)}
    calls = [launch.call for launch in f._runtime.text.step.launches if launch.call]
    row = {"what": "calls of a layer", "epilogues": [p.epilogue for p in calls],
           "right": sorted(f._runtime._blas.right)}  # fmt: skip
    return row | ({"error": "the bits differ from run to run"} if len(runs) > 1 else {})


def sizes(gpu, say, small):
    """Time relu(x·W + b) of squares, by our own kernels and by the library."""
    for n in (8,) if small else SQUARES:
        row = {"what": f"relu(x·W + b), {n}³", "flops": 2 * n**3}
        for name, least, math in (("own", 10**18, "fast"), ("cublas", 0, "fast"),
                                  ("tf32", 0, "tf32"), ("bf16", 0, "bf16")):  # fmt: skip
            cuda_blas.LEAST = least
            rng = np.random.default_rng(n)
            x, W, b = (gg.var(s, gpu.normal(rng, shape, "float32"))
                       for s, shape in (("x", (n, n)), ("W", (n, n)), ("b", (n,))))  # fmt: skip
            f = gg.compile([gg.sum(gg.relu(x @ W + b))], target="cuda", math=math)
            for _ in range(3):
                f()
            sample = gpu.sampler(f._runtime)
            sample(2)
            count = gpu.steps_for(sample(5) / 5)
            row[f"{name}_us"] = 1e6 * statistics.median(sample(count) / count for _ in range(5))
        say(row)
