"""Random numbers: Philox's published test vectors, uniformity, one stream for both widths."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats

import graphgrad as gg
from graphgrad.errors import DtypeError, ShapeError
from graphgrad.ops.random import bits, philox

# Random123's kat_vectors, lines "philox4x32 10": counter, key, result.
VECTORS = """
00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1
"""


@pytest.mark.parametrize("line", VECTORS.split("\n")[1:-1])
def test_philox_gives_the_known_answers(line: str) -> None:
    words = [int(w, 16) for w in line.split()]
    counter, key, expected = words[:4], words[4:6], words[6:]
    assert [int(w) for w in philox(tuple(counter), tuple(key))] == expected


def test_philox_on_arrays_is_philox_entry_by_entry() -> None:
    blocks = np.arange(5, dtype=np.uint64)
    together = np.array(philox((blocks, 1, 2, 3), (4, 5)))
    alone = [[int(w) for w in philox((k, 1, 2, 3), (4, 5))] for k in range(5)]
    np.testing.assert_array_equal(together.T, alone)


def uniform(counter: Any = 0, n: int = 50_000, **settings: Any) -> Any:
    return gg.random_uniform(counter, (n,), **settings)


def test_the_first_number_is_the_first_two_words() -> None:
    word = 0x6627E8D5E169C58D
    assert gg.random_uniform(0) == (word >> 11) * 2.0**-53
    assert gg.random_uniform(0, dtype="float32") == np.float32((word >> 40) * 2.0**-24)


def test_an_entry_depends_on_its_place_alone() -> None:
    long = uniform(7, 101, seed=3)
    for n in (0, 1, 2, 3, 100):
        np.testing.assert_array_equal(uniform(7, n, seed=3), long[:n])
    np.testing.assert_array_equal(gg.random_uniform(7, (10, 10), seed=3).ravel(), long[:100])


def test_float32_is_the_head_of_float64() -> None:
    wide, narrow = uniform(1, 1000, seed=9), uniform(1, 1000, seed=9, dtype="float32")
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(narrow, np.floor(wide * 2**24) / 2**24)


def test_counters_and_seeds_give_streams_of_their_own() -> None:
    picks = [(c, s) for c in (0, 1, -1, 2**32, 2**63 - 1) for s in (0, 1, 2**32, 2**63)]
    streams = {pick: uniform(pick[0], 1000, seed=pick[1]) for pick in picks}
    for a, b in itertools.combinations(picks, 2):
        assert not np.isin(streams[a], streams[b]).any(), (a, b)
        assert abs(np.corrcoef(streams[a], streams[b])[0, 1]) < 0.15


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_are_uniform_in_the_half_open_interval(dtype: str) -> None:
    u = uniform(seed=11, dtype=dtype)
    assert u.min() >= 0
    assert u.max() < 1
    assert scipy.stats.kstest(u, "uniform").pvalue > 0.01
    pairs = np.histogram2d(u[::2], u[1::2], bins=10, range=[[0, 1], [0, 1]])[0]
    assert scipy.stats.chisquare(pairs.ravel()).pvalue > 0.01


def test_each_bit_is_set_half_of_the_time() -> None:
    words = bits(20_000, 0, 5)
    share = [((words >> np.uint64(k)) & np.uint64(1)).mean() for k in range(64)]
    assert np.abs(np.array(share) - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)


def test_a_node_follows_its_counter() -> None:
    step = gg.var("step", 0, dtype=int)
    u = gg.random_uniform(step, (3,), seed=7)
    values = []
    for k in (0, 1, 0):
        step.value = k
        values.append(u.value.tolist())
    assert values[0] == values[2] != values[1]
    assert values[1] == uniform(1, 3, seed=7).tolist()
    assert not u.active


def test_errors_say_what_was_wrong() -> None:
    for call, error, text in [
        (lambda: gg.random_uniform(gg.var("c", 0.0)), DtypeError, "counter is float64; expected"),
        (lambda: gg.random_uniform(gg.const([1])), ShapeError, r"counter has shape \(1,\)"),
        (lambda: gg.random_uniform(0, -1), ShapeError, "sizes must not be negative"),
        (lambda: gg.random_uniform(0, dtype=int), DtypeError, "dtype int64; expected float64"),
    ]:
        with pytest.raises(error, match=text):
            call()
