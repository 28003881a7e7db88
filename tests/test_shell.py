"""The shell: driven by scripts through pipes, and by keys at a real (pseudo) terminal."""

from __future__ import annotations

import io
import os
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.stepping import terminal
from graphgrad.stepping.shell import plainly

fcntl = pytest.importorskip("fcntl", reason="pseudo-terminals are a thing of Unix")
pty = pytest.importorskip("pty", reason="pseudo-terminals are a thing of Unix")
termios = pytest.importorskip("termios", reason="pseudo-terminals are a thing of Unix")

PROGRAM = [sys.executable, "-m", "graphgrad.cli", "step"]
LESSON = [*PROGRAM, "abs(4 - (x*w + b))", "x=2", "w=3", "b=1"]
PATIENCE = 30.0
"""Seconds after which a terminal that says nothing has failed; a slow machine needs a few."""


# -- scripts ---------------------------------------------------------------------------------


def piped(
    command: list[str], script: str | bytes, **env: str
) -> subprocess.CompletedProcess[bytes]:
    given = script.encode() if isinstance(script, str) else script
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **env}
    return subprocess.run(
        command, input=given, capture_output=True, env=environment, timeout=PATIENCE
    )


def test_a_script_gets_answers_only() -> None:
    done = piped(LESSON, "next\nbreak op:sub\nrun\n\nshow w\nquit\nnext\n")
    assert done.returncode == 0
    assert done.stderr == b""
    told = done.stdout.decode().split("\n")
    assert told[0] == "[1] forward 1/4   v₁ = x·w = 2·3 = 6"
    assert told[1] == "breakpoint 1: op:sub"
    assert told[2:4] == ["2 steps made", "[3] forward 3/4   v₃ = 4 − v₂ = 4 − 7 = −3"]
    assert "[7] backward 2/6" in told[6]
    assert not [line for line in told if "\x1b" in line or "> " in line]


def test_a_command_that_fails_makes_the_status_1_and_the_script_goes_on() -> None:
    done = piped(LESSON, "nxt\nnext\n")
    assert done.returncode == 1
    assert "unknown command 'nxt' (did you mean next?)" in done.stdout.decode()
    assert "[1] forward 1/4" in done.stdout.decode()


def test_an_ascii_terminal_gets_ascii() -> None:
    done = piped(LESSON, "next 6\nwhere\nshow w\n", PYTHONIOENCODING="ascii")
    assert "w_bar" in done.stdout.decode("ascii")
    assert done.returncode == 0


def test_bytes_that_are_no_text_are_an_error_of_that_line() -> None:
    done = piped(LESSON, b"show \xff\xfe\nnext\n")
    assert done.returncode == 1
    assert "\\xff" in done.stdout.decode()
    assert "[1] forward 1/4" in done.stdout.decode()


def test_a_reader_that_has_seen_enough() -> None:
    command = subprocess.Popen(LESSON, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    assert command.stdin
    assert command.stdout
    command.stdin.write(b"next\n")
    command.stdin.flush()
    assert b"[1]" in command.stdout.readline()
    command.stdout.close()
    try:
        command.stdin.write(b"list all\n" * 2000)
        command.stdin.close()
    except BrokenPipeError:
        pass
    assert command.wait(PATIENCE) == 0
    assert command.stderr
    assert command.stderr.read() == b""
    command.stderr.close()


def test_a_program_can_talk_to_it_line_by_line() -> None:
    command = subprocess.Popen(LESSON, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert command.stdin
    assert command.stdout
    for number in (1, 2, 3):
        command.stdin.write(b"next\n")
        command.stdin.flush()
        assert command.stdout.readline().startswith(f"[{number}]".encode())
    command.stdin.close()
    assert command.wait(PATIENCE) == 0
    command.stdout.close()


def test_step_in_python_reads_a_pipe_too() -> None:
    code = "import graphgrad as gg; s = gg.step(gg.var('x', 2.0) * 3); print(s.position)"
    done = piped([sys.executable, "-c", code], "next\n")
    assert done.stdout.decode().split("\n")[1] == "Position(phase='forward', step=1)"


def test_plain_mode_without_a_process() -> None:
    session = gg.step(gg.var("x", 2.0) * 3, interactive=False)
    sink = io.StringIO()
    assert plainly(session, io.StringIO("next\n# a remark\nquit"), sink) == 0
    assert sink.getvalue() == "[1] forward 1/1   v₁ = x·3 = 2·3 = 6\n"
    assert session.done


# -- the command line ------------------------------------------------------------------------


def stepped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, script: str, *given: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    status = main(["step", *given])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_save_and_go_on(capsys, monkeypatch, tmp_path):
    path = str(tmp_path / "s.json")
    given = ["x*w", "x=2", "w=[1,2]"]
    assert stepped(capsys, monkeypatch, f"set w [3, 4]\nsave {path}\n", *given)[0] == 0
    for again in (["--load", path], [*given, "--load", path]):
        status, out, _ = stepped(capsys, monkeypatch, "show w\n", *again)
        assert status == 0
        assert "w = [3 4]" in out


def test_quiz_and_mistake_on_the_command_line(capsys, monkeypatch):
    given = ["(x*w)**2 + x", "x=2", "w=3"]
    _, out, _ = stepped(capsys, monkeypatch, "skip\n", *given, "--quiz")
    assert out.count("question") == 2
    _, out, _ = stepped(capsys, monkeypatch, "next 20\n", *given, "--mistake", "overwrite")
    assert "≠ overwrite, the first wrong step: " in out


def test_expand_and_digits(capsys, monkeypatch):
    given = ["W @ x", "W=[[1,2]]", "x=[0.123456,1]", "--expand", "--digits", "3"]
    _, out, _ = stepped(capsys, monkeypatch, "list\n", *given)
    assert "W[0,1]" in out
    assert "0.123" in out
    assert "0.1234" not in out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "there is no expression to step through"),
        (["x*w", "x=1"], "no value for w: add w=…"),
        (["x", "x=1", "--mistake", "bad"], "no mistake 'bad'"),
        (["--load", "nothing.json"], "nothing.json: No such file"),
        (["x", "x=1", "--digits", "99"], "digits=99"),
    ],
)
def test_errors_before_the_first_command(capsys, monkeypatch, given, message):
    status, out, err = stepped(capsys, monkeypatch, "next\n", *given)
    assert (status, out) == (1, "")
    assert err.startswith("graphgrad: ")
    assert message in err


# -- a terminal ------------------------------------------------------------------------------


CODES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>]|\][^\x07]*\x07)")
RIGHT, LEFT, UP = "\x1b[C", "\x1b[D", "\x1b[A"
ENTER, TAB, CTRL_C, CTRL_D = "\r", "\t", "\x03", "\x04"


class Terminal:
    """A program at a pseudo-terminal: send keys, wait for text."""

    def __init__(self, command: list[str], columns: int = 120, **env: str):
        self.end, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        given = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
        given |= {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **env}
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=given, start_new_session=True
        )
        os.close(inside)
        self.raw = b""

    @property
    def text(self) -> str:
        """All it has written, without the codes for colours and cursor."""
        return re.sub(
            r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>]|\][^\x07]*\x07)", "", self.raw.decode("utf-8", "ignore")
        )

    def send(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def wait(self, wanted: str, since: int = 0) -> int:
        """Read until it has written `wanted`, and return where it ends."""
        until = time.monotonic() + PATIENCE
        while wanted not in self.text[since:]:
            if time.monotonic() > until or not self._read():
                raise AssertionError(f"{wanted!r} never came:\n{self.text[since:]}")
        return self.text.index(wanted, since) + len(wanted)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.end], [], [], 1.0)
        if ready:
            try:
                self.raw += os.read(self.end, 65536)
            except OSError:  # the program has ended
                return False
        return True

    def run(self, keys: str, wanted: str) -> None:
        """Send keys when the prompt is there, and wait for what they bring."""
        at = len(self.text)
        self.send(keys)
        self.wait(wanted, at)
        self.wait(">", len(self.text) - len(self.text.rpartition(wanted)[2]))

    def status(self) -> int:
        """Wait for the program's end and return its exit status."""
        until = time.monotonic() + PATIENCE
        while self._read() and time.monotonic() < until:
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Terminal]:
    t = Terminal(LESSON, XDG_STATE_HOME=str(tmp_path))
    try:
        t.wait("[0] forward 0/4>")
        yield t
    finally:
        t.close()


def test_arrows_move_on_an_empty_line_and_edit_otherwise(shell: Terminal) -> None:
    shell.run(RIGHT, "v₁ = x·w = 2·3 = 6")
    shell.run(RIGHT, "v₂ = v₁ + b = 6 + 1 = 7")
    shell.run(LEFT, "v₁ = x·w = 2·3 = 6")
    shell.run(f"nxt{LEFT}{LEFT}e{ENTER}", "v₂ = v₁ + b = 6 + 1 = 7")
    shell.run(ENTER, "v₃ = 4 − v₂ = 4 − 7 = −3")
    shell.run(f"{UP}{ENTER}", "v₄ = |v₃| = |−3| = 3")


def test_tab_completes(shell: Terminal, tmp_path: Path) -> None:
    (tmp_path / "saved.json").touch()
    for typed, rest, wanted in (
        ("whe", "re", "forward, start"),
        ("break op:su", "b", "breakpoint 1: op:sub"),
        ("mistake stale", "-value", "a stale value"),
        (f"load {tmp_path}/sav", "ed.json", "is no session that can be loaded"),
    ):
        at = len(shell.text)
        shell.send(f"{typed}{TAB}")
        shell.wait(rest, shell.wait(typed[-1], at))
        shell.run(ENTER, wanted)


def test_control_c_drops_the_line_and_control_d_quits(shell: Terminal) -> None:
    shell.send("quit")
    shell.wait("quit")
    shell.run(CTRL_C, "[0] forward 0/4")
    shell.run(f"next{ENTER}", "v₁ = x·w = 2·3 = 6")
    shell.send(CTRL_D)
    assert shell.status() == 0


def test_quit_and_history(shell: Terminal, tmp_path: Path) -> None:
    shell.run(RIGHT, "v₁ = x·w = 2·3 = 6")
    shell.run(f"show w{ENTER}", "variable")
    shell.send(f"quit{ENTER}")
    assert shell.status() == 0
    kept = (tmp_path / "graphgrad" / "history").read_text()
    assert "+show w\n" in kept
    assert "next" not in kept  # → is no typed line


def test_colours_and_none(tmp_path: Path) -> None:
    for given, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        t = Terminal(LESSON, XDG_STATE_HOME=str(tmp_path), **given)
        try:
            t.wait("[0] forward 0/4>")
            t.run(f"where{ENTER}", "forward, start")
            t.run(f"run{ENTER}", "the gradient")
            assert bool(re.search(rb"\x1b\[(\d+;)*3[1-6]m", t.raw)) is coloured
        finally:
            t.close()


def test_a_state_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    t = Terminal(LESSON, XDG_STATE_HOME=str(tmp_path / "file"))
    try:
        t.wait("[0] forward 0/4>")
        t.run(f"next{ENTER}", "v₁ = x·w = 2·3 = 6")
        t.run(f"{UP}{ENTER}", "v₂ = v₁ + b = 6 + 1 = 7")
    finally:
        t.close()


def test_a_narrow_terminal_gets_a_list(tmp_path: Path) -> None:
    t = Terminal(LESSON, columns=60, XDG_STATE_HOME=str(tmp_path))
    try:
        t.wait("[0] forward 0/4>")
        t.run(f"where{ENTER}", "┄ v₁ = x × w = –")
    finally:
        t.close()


def test_the_first_commands_of_the_command_line(tmp_path: Path) -> None:
    t = Terminal([*LESSON, "--quiz"], XDG_STATE_HOME=str(tmp_path))
    try:
        t.wait("question 1 of")
        t.wait("0/4>")
        t.run(f"1234{ENTER}", "[0] forward 0/4")
    finally:
        t.close()


# -- history ---------------------------------------------------------------------------------


def test_where_the_history_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert terminal.history_file() == tmp_path / "graphgrad" / "history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the standard says to ignore such
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert terminal.history_file() == tmp_path / "home/.local/state/graphgrad/history"
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert terminal.history_file() is None
