"""What the CUDA target asks of the driver, in which order, with a driver that does not compute.

`paper_driver.c` stands for NVIDIA's library. Everything else is real: Numba compiles the kernels,
NVIDIA's linker makes machine code of them, and the bindings call the driver. Needs the extra
``cuda`` and a C compiler.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("numba_cuda") is None, reason="needs pip install 'graphgrad[cuda]'"
    ),
    pytest.mark.skipif(
        COMPILER is None or not sys.platform.startswith("linux"), reason="needs a C compiler"
    ),
]

STEP = """
    import json, warnings
    from pathlib import Path
    import numpy as np
    import graphgrad as gg
    from graphgrad.errors import CompileError, DeviceMemoryError

    def say(text):
        with open(LOG, "a") as file:
            file.write(f"-- {text}\\n")

    def step(rows=6, target="cuda", wide=4):
        x = gg.var("x", shape=(rows, wide))
        W, b = gg.var("W", np.ones((wide, 5))), gg.var("b", np.zeros(5))
        loss = gg.sum(gg.tanh(x @ W + b))
        dW, db = gg.grad(loss, [W, b])
        f = gg.compile([loss], [x], {W: W - 0.1 * dW, b: b - 0.1 * db}, target)
        return f, x, W, b
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """Return a function that runs a program on the driver of paper; it returns what it was asked.

    What the program prints comes as well.
    """
    folder = tmp_path_factory.mktemp("paper")
    library = folder / "libcuda.so.1"
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library),
         str(HERE / "paper_driver.c"), "-ldl"], check=True,
    )  # fmt: skip

    def run(program, **environment):
        log = folder / "log"
        log.write_text("")
        text = f"LOG = {str(log)!r}\n" + textwrap.dedent(STEP) + textwrap.dedent(program)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text], capture_output=True, text=True,
            timeout=300, cwd=HERE.parent,
            env={**os.environ, "LD_LIBRARY_PATH": str(folder), "PAPER_LOG": str(log),
                 "GRAPHGRAD_CACHE": str(folder / "cache"), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        asked = log.read_text()
        assert "ILLEGAL" not in asked
        return done.stdout, asked

    return run


def parts_of(asked):
    """Return what was asked for after each remark of the program, without numbers of handles."""
    plain = re.sub(r"^0x\w+ | (on )?0x\w+", "", asked, flags=re.MULTILINE)
    found = {}
    for part in plain.split("-- ")[1:]:
        name, _, lines = part.partition("\n")
        found[name] = [line.strip() for line in lines.splitlines()]
    return found


def test_a_call_is_one_replay_and_one_wait(paper):
    said, asked = paper("""
        f, x, W, b = step()
        for k in range(4):
            say(f"call {k}")
            f(np.ones((6, 4)))
        say("set")
        W.value, b.value = np.zeros((4, 5)), np.ones(5)
        f(np.ones((6, 4)))
        say("end")
        print(f._runtime.replayed, f._runtime.obstacle)
    """)
    calls = parts_of(asked)
    assert said.split() == ["True"]
    assert any(line.startswith("launch") for line in calls["call 0"])
    assert calls["call 1"][0] == "record"
    assert calls["call 1"][-2:] == ["replay", "wait"]
    assert calls["call 2"] == calls["call 3"] == ["replay", "wait"]
    new = [line for line in calls["set"] if not line.startswith(("meet", "mark", "pin"))]
    assert new == ["up 160", "up 40", "replay", "wait"]


def test_an_epoch_makes_no_round_trips_and_the_next_one_needs_no_memory(paper):
    _, asked = paper("""
        f, x, W, b = step()
        table = np.ones((50, 4))
        table.flags.writeable = False
        for k in range(3):
            say(f"epoch {k}")
            f.epoch(table, rows=np.zeros((9, 6), int))
        say("shorter")
        f.epoch(table, rows=np.zeros((4, 6), int))
        say("end")
    """)
    epochs = parts_of(asked)
    first, second = epochs["epoch 0"], epochs["epoch 1"]
    assert first.count("replay") == 8  # after the first step, which loads everything
    begin = next(k for k, line in enumerate(first) if line.startswith("launch feed_1"))
    end = len(first) - first[::-1].index("replay")
    allowed = ("launch", "replay", "record")
    assert all(line.startswith(allowed) for line in first[begin:end])
    assert second == epochs["epoch 2"]
    assert second.count("replay") == 9
    assert not any(line.startswith(("allocate", "free", "pin", "record")) for line in second)
    assert [line for line in second if line.startswith("up")] == ["up 432", "up 8"]
    assert epochs["shorter"].count("replay") == 4
    assert [line for line in second if line.startswith("wait")] == ["wait"]


def test_parts_overlap_without_new_memory(paper):
    _, asked = paper("""
        f, x, W, b = step()
        from graphgrad.compiler.cuda import feeding as cuda_feeding
        cuda_feeding.SHARE = 1e-5  # of 1 GB
        data = np.ones((100, 6, 4))
        for k in range(2):
            say(f"epoch {k}")
            f.epoch(data)
        say("end")
        print(f._runtime._at_once)
    """)
    epochs = parts_of(asked)
    second = epochs["epoch 1"]
    assert not any(line.startswith(("allocate", "free", "pin", "record")) for line in second)
    assert second.count("replay") == 100
    words = "".join({"up": "u", "replay": "r", "down": "d"}.get(w.split()[0], "") for w in second)
    words = re.sub(r"(.)\1*", r"\1", words)
    # the second part is sent while the first one runs; then the first one's results come back
    assert re.fullmatch(r"urur(dur)*dd?", words), words


def test_without_graphs_everything_is_launched(paper):
    said, asked = paper("""
        f, x, W, b = step()
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as told:
            f(np.ones((6, 4))), f(np.ones((6, 4)))
        assert [type(w.message).__name__ for w in told] == ["LaunchWarning"]
        warnings.simplefilter("error")
        say("third")
        f(np.ones((6, 4)))
        say("end")
        print(f._runtime.replayed, f._runtime.obstacle)
        f.epoch(np.ones((3, 6, 4)))
        warnings.simplefilter("ignore")
        print(len(f.profile(np.ones((6, 4)))))
    """, PAPER_NO_GRAPHS="1")  # fmt: skip
    assert said.startswith("False target 'cuda': the driver answered CUDA_ERROR_NOT_SUPPORTED\n")
    third = parts_of(asked)["third"]
    words = [line.split()[0] for line in third]
    assert list(dict.fromkeys(words)) == ["up", "launch", "down", "wait"]
    assert words.count("launch") > 1


def test_kernels_are_timed_within_a_replay(paper):
    said, asked = paper("""
        f, x, W, b = step()
        say("profile")
        print(json.dumps([k.seconds for k in f.profile(np.ones((6, 4)))]))
    """)
    assert "mark flags 1 recorded" in parts_of(asked)["profile"]
    launches = len(re.findall("launch .* recorded", asked))
    assert sum(json.loads(said)) == pytest.approx(launches * 0.5e-3)


# -- out of memory -----------------------------------------------------------------------------


def test_what_does_not_fit_says_so_and_values_survive(paper):
    said, _ = paper("""
        f, x, W, b = step()
        f(np.ones((6, 4)))
        for wrong in (lambda: step(rows=100_000), lambda: f.epoch(np.ones((20_000, 6, 4)))):
            try:
                wrong()
            except DeviceMemoryError as problem:
                print(problem)
        print(f.epoch(np.ones((2, 6, 4)))[0].shape, W.value.shape, float(f(np.ones((6, 4)))[0]))
        g, x, W, b = step(target="numpy")
        print(g(np.ones((6, 4)))[0] > 0)
    """, PAPER_TOTAL="2000000")  # fmt: skip
    lines = said.splitlines()
    assert re.match(
        r"target 'cuda': 0\.0\d+ GB are needed, 0\.00\d+ of the device's 0\.002 GB are free; "
        r"use smaller batches, or target='numba'", lines[0],
    )  # fmt: skip
    assert lines[-2:] == ["(2,) (4, 5) 0.0", "True"]


def test_memory_of_what_is_gone_is_free_again(paper):
    said, asked = paper("""
        for k in range(3):
            f, x, W, b = step(rows=12_000)
            del f
        print("there was room")
    """, PAPER_TOTAL="2000000")  # fmt: skip
    assert said == "there was room\n"
    assert len(re.findall(r"^free \d{7}$", asked, re.MULTILINE)) >= 1


def test_pinned_memory_that_is_not_to_be_had_is_told(paper):
    said, _ = paper("""
        try:
            step(rows=100_000)
        except DeviceMemoryError as problem:
            print(problem)
    """, PAPER_PINNED="100000")  # fmt: skip
    assert said.startswith("target 'cuda': 0.0032 GB of this machine's memory cannot be pinned for")
    assert said.count("\n") == 1
    assert "use smaller batches, or target='numba'" in said


# -- drivers that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"PAPER_INIT": "803"}, "no NVIDIA device can be used (.*SYSTEM_DRIVER_MISMATCH"),
        ({"PAPER_INIT": "100"}, "no NVIDIA device can be used (.*NO_DEVICE"),
        ({"PAPER_COUNT": "0"}, "no NVIDIA device can be used (the driver has none); install"),
        (
            {"PAPER_LOAD": "222"},
            "the kernels cannot be compiled for this device (.*unsupported toolchain",
        ),
        ({"PAPER_CC": "52"}, "the kernels cannot be compiled for this device (.*capability 5.2"),
    ],
    ids=["mismatch", "no device", "none", "too old", "device too old"],
)
def test_a_driver_that_does_not_fit_is_one_sentence(environment, text, paper):
    said, _ = paper("""
        try:
            step()
        except CompileError as problem:
            print(problem)
        g, x, W, b = step(target="numpy")
        print(g(np.ones((6, 4)))[0] > 0)
    """, **environment)  # fmt: skip
    sentence, works = said.splitlines()
    begin, _, reason = text.partition(".*")
    assert sentence.startswith(f"target 'cuda': {begin}")
    assert reason in sentence
    assert "target='numba'" in sentence
    assert works == "True"


CALLED = """
    from graphgrad.compiler.cuda import blas as cuda_blas
    from graphgrad.compiler.cuda import cublas as cuda_cublas
    from tests.cublas_in_numpy import CublasLt

    class Noting(CublasLt):
        def matmul(self, handle, desc, alpha, *given):
            a, _, b, _, beta, c, _, d, _, algo, workspace, room, stream = given
            super().matmul(handle, desc, alpha, *given[:-1], 0)
            say("matmul")
            calls.append((stream, min(a, b, c, d), max(a, b, c, d)))

    calls, library = [], Noting()
    cuda_blas.LEAST = 0
    cuda_cublas.bindings = lambda: library
    say("compile")
    f, x, W, b = step()
    print(*sorted(f._runtime._blas.right))
    calls.clear()
    for k in range(3):
        say(f"call {k}")
        f(np.ones((6, 4)))
    say("end")
    arena = next(iter(f._runtime._arenas.values()))
    begin = arena.device_ctypes_pointer.value
    print(len(calls), f._runtime.replayed, f._runtime.obstacle)
    for stream, low, high in calls:
        print(stream == int(f._runtime._stream), begin <= low <= high < begin + arena.nbytes)
"""


def test_calls_of_cublas_are_recorded_with_the_launches_around_them(paper):
    said, asked = paper(CALLED)
    # a call for each product, twice: as they are, and to be recorded; then only the recording runs
    names = [part.partition("\n")[0] for part in asked.split("-- ")[1:]]
    assert names[:4] == ["compile", *["matmul"] * 3]  # the trials
    assert names[4:] == ["call 0", *["matmul"] * 2, "call 1", *["matmul"] * 2, "call 2", "end"]
    assert said.split() == ["DEFAULT", "RELU_AUX_BIAS", "RELU_BIAS", "4"] + ["True"] * 9
    assert parts_of(asked)["call 2"] == ["replay", "wait"]


def test_the_doctor_names_toolkit_driver_and_device(paper):
    said, _ = paper("""
        from graphgrad.cli import main
        assert main(["doctor", "--json"]) == 0
    """)
    parts = {p["part"]: p for p in json.loads(said)["parts"]}
    assert re.fullmatch(
        r"numba-cuda \S+ with CUDA's toolkit 1\d\.\d+", parts["CUDA kernels"]["found"]
    )
    assert parts["GPU"]["found"] == (
        "Paper, compute capability 9.0, 1.1 of 1.1 GB free, driver for CUDA 13.0"
    )
    assert [parts[p]["state"] for p in ("CUDA kernels", "GPU")] == ["ok", "ok"]


def test_the_doctor_tells_a_driver_that_does_not_fit(paper):
    said, _ = paper("""
        from graphgrad.cli import main
        assert main(["doctor", "--json"]) == 0
    """, PAPER_INIT="803")  # fmt: skip
    gpu = {p["part"]: p for p in json.loads(said)["parts"]}["GPU"]
    assert "SYSTEM_DRIVER_MISMATCH" in gpu["found"]
    assert (gpu["state"], gpu["cost"]) == ("missing", "target='cuda'")
    assert "target='numba'" in gpu["remedy"]
