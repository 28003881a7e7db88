"""Small products that show whether cuBLASLt's epilogues do what the graph says.

NVIDIA's manual says neither whether ReLU passes nan on nor which bit it notes for 0. Here nan
stays, so that nothing hides where a training diverged, and ReLU's derivative at 0 is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.compiler.cuda.blas import Matrix, Product
from graphgrad.compiler.cuda.device import address
from graphgrad.compiler.cuda.memory import allocate
from graphgrad.compiler.views import View
from graphgrad.graph import const

__all__ = ["TRIED", "does"]

TRIED = ("DEFAULT", "RELU_BIAS", "RELU_AUX_BIAS")
"""Epilogues that are tried; those of the way back only multiply by the bits."""
NUMBERS = (np.nan, -1.0, 0.0, -0.0, 2.0)
"""Arguments of ReLU that tell it from its likes."""
SIDE = 16
"""Rows and columns of the matrices."""


def does(library: Any, cuda: Any, stream: Any, epilogue: str) -> bool:
    """Return whether a product with an epilogue gives what the graph would.

    All entries of both factors are 1, so each of the product is the number of rows; the bias takes
    that off again and leaves `NUMBERS`.
    """
    n = SIDE
    numbers = np.resize(np.array(NUMBERS, np.float32), n)
    ones, unset = np.ones(n * n, np.float32), np.full(n * n, np.nan, np.float32)
    given = [ones, ones, unset, numbers - n]
    nodes = [const(np.zeros(len(v), np.float32)) for v in given]
    a, b, d = (Matrix(node, 0, n, n, n) for node in nodes[:3])
    product = Product(a, b, d, (False, False), n)
    expected = np.full(n, float(n), np.float32)
    if epilogue != "DEFAULT":
        mask, vector = (d.node if "AUX" in epilogue else None), View(nodes[3], (n,), (1,))
        product = replace(product, epilogue=epilogue, vector=vector, mask=mask)
        expected = np.where(numbers < 0, np.float32(0), numbers)
    if not library.able(product):
        return False
    arrays = allocate(cuda, [(v.size, v.dtype) for v in given])
    for array, value in zip(arrays, given, strict=True):
        array.copy_to_device(value, stream=stream)
    places = dict(zip(nodes, map(address, arrays), strict=True))
    calls, masks = library.calls([product], lambda node, _: places[node])
    calls[product]()
    found = arrays[2].copy_to_host(stream=stream)
    bits = masks[d.node].copy_to_host(stream=stream) if masks else None
    stream.synchronize()
    right = np.array_equal(found, np.tile(expected, n), equal_nan=True)
    return right and (bits is None or _bits_are_right(bits, numbers))


def _bits_are_right(mask: Any, numbers: Any) -> bool:
    """Return whether the bits of the first column are those of numbers above 0, but for nan."""
    bits = np.unpackbits(mask[: SIDE // 8], bitorder="little")
    known = ~np.isnan(numbers)
    return bool(np.array_equal(bits[known], numbers[known] > 0))
