"""The command line: the main job, every option, and what it says when something is wrong."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from graphgrad.cli import main

LESSON = ["abs(4 - (x*w + b))", "x=2", "w=3", "b=1"]


@pytest.fixture(autouse=True)
def _terminal_of_any_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def run(capsys, *arguments):
    status = main(["draw", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_main_job(tmp_path, capsys):
    path = tmp_path / "loss.svg"
    assert run(capsys, *LESSON, "--phase", "backward", "-o", str(path)) == (0, "", "")
    texts = "".join(ET.parse(path).getroot().itertext())
    for shown in ("∂v₁/∂w = x = 2", "∂v₄/∂v₃ = sign(v₃) = −1", "−3"):
        assert shown in texts


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.PNG", b"\x89PNG"), ("a.dot", b"digraph")],
)
def test_the_ending_tells_the_format(tmp_path, capsys, name, head):
    assert run(capsys, *LESSON, "-o", str(tmp_path / name))[0] == 0
    assert (tmp_path / name).read_bytes().startswith(head)


@pytest.mark.parametrize("output", [[], ["-o", "-"]])
def test_without_a_file_it_draws_in_the_terminal(capsys, output):
    status, out, _ = run(capsys, *LESSON, *output)
    assert status == 0
    assert "(×)" in out
    assert "forward pass: v₄ = 3" in out


def test_a_step_in_the_terminal(capsys):
    _, out, _ = run(capsys, *LESSON, "--phase", "backward", "--step", "2")
    assert "backward, step 2 of 6" in out
    assert "v̄₂ ← v̄₃ · ∂v₃/∂v₂ = (−1) · (−1) = 1" in out


def test_ascii_has_only_ascii(capsys):
    _, out, _ = run(capsys, *LESSON, "--ascii")
    assert re.search(r"\+-+\+", out)


def test_frames_are_numbered_and_share_their_layout(tmp_path, capsys):
    assert run(capsys, *LESSON, "--frames", str(tmp_path / "f"))[0] == 0
    files = sorted((tmp_path / "f").iterdir())
    assert [f.name for f in files][:6] == [
        "000-forward-0.svg", "001-forward-1.svg", "002-forward-2.svg", "003-forward-3.svg",
        "004-forward-4.svg", "005-backward-0.svg",
    ]  # fmt: skip
    assert len(files) == 5 + 7
    assert len({re.search(r'viewBox="[^"]*"', f.read_text())[0] for f in files}) == 1


def test_frames_of_one_phase(tmp_path, capsys):
    run(capsys, *LESSON, "--frames", str(tmp_path), "--phase", "backward")
    assert len(list(tmp_path.iterdir())) == 7


def test_frames_of_a_vector_are_forward_only(tmp_path, capsys):
    assert run(capsys, "2*x", "x=[1,2]", "--frames", str(tmp_path))[0] == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_vectors_can_be_expanded(capsys):
    _, out, _ = run(capsys, "sum(W @ x)", "W=[[1,2],[3,4]]", "x=[1,1]", "--expand", "--digits", "3")
    assert "W[0,1]" in out


def test_options_and_values_may_be_mixed(capsys):
    status, out, _ = run(capsys, "--phase", "forward", "x*w", "x=2", "--digits", "2", "w=1.234")
    assert status == 0
    assert "2.5" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x*w + b", "x=2"], "no value for w, b: add w=… b=…"),
        (["x*w", "x=2", "x=3", "w=1"], "x is given twice"),
        (["x*", "x=2"], "x*"),
        (["x", "x=two"], "two"),
        (["x", "x"], "expected name=value"),
        (["x", "x=1", "-o", "picture"], "the ending tells the format"),
        (["x", "x=1", "-o", "picture.xyz"], "xyz"),
        (["x", "x=1", "-o", "/nonexistent/p.svg"], "/nonexistent/p.svg: No such file"),
        (["x", "x=[1,2]", "--phase", "backward"], "shape (2,)"),
        (["x", "x=1", "--step", "7"], "step 7: the forward pass has steps 0 to 0"),
        (["x", "x=1", "--collapse", "g"], "no group 'g'"),
        (["__import__('os').system('true')"], "__import__"),
    ],
)
def test_errors_are_one_clear_message(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("graphgrad: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 0), (["--help"], 0), (["--version"], 0), (["draw", "--help"], 0), (["fly"], 2),
     (["draw"], 2), (["draw", "x", "--theme", "neon"], 2)],
)  # fmt: skip
def test_help_and_wrong_options(capsys, arguments, status):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == status
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_as_a_program_whatever_the_encoding_of_its_output(encoding):
    command = [sys.executable, "-m", "graphgrad.cli", "draw", *LESSON]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    done.stdout.decode(encoding)
    assert done.stderr == b""
