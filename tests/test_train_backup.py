"""``graphgrad train --backup``: killed and run again it ends with the same bytes."""

import signal
import subprocess
import sys

import pytest

from graphgrad import nn
from graphgrad.cli import main

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL"
)

DOOMED = """
import os, signal, sys
from graphgrad import cli
from graphgrad.cli import reports
from graphgrad.nn.backup import BackupAndRestore

left = int(sys.argv.pop(1))
save_epoch = BackupAndRestore.save_epoch

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def save_then_die(self):
    global left
    save_epoch(self)
    left -= 1
    if left == 0:
        killed()

BackupAndRestore.save_epoch = save_then_die
if not left:
    reports.scores = killed
cli.main(sys.argv[1:])
"""
OPTIONS = ["--target", "kind", "--executor", "numpy", "--hidden", "8", "--dropout", "0.2",
           "--epochs", "6", "--batch-size", "16"]  # fmt: skip


@pytest.fixture
def data(tmp_path):
    X, y = nn.datasets.blobs(60, classes=3)
    path = tmp_path / "blobs.csv"
    rows = "".join(f"{a},{b},{'xyz'[k]}\n" for (a, b), k in zip(X.tolist(), y))
    path.write_text("a,b,kind\n" + rows)
    return path


def doomed(saves, data, *options):
    """Train in a process that kills itself after so many saves; with 0, before it tells scores."""
    command = [sys.executable, "-c", DOOMED, str(saves), "train", data, *OPTIONS, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout


def train(capsys, data, *options):
    status = main([str(a) for a in ("train", data, *OPTIONS, *options)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("stopping", ["0", "3"])
def test_killed_three_times_it_ends_with_the_same_bytes(data, tmp_path, capsys, stopping):
    whole, killed, run = (tmp_path / f"{n}.npz" for n in ("whole", "killed", "run"))
    stop = ["--early-stopping", stopping]
    assert train(capsys, data, "--save", whole, *stop)[0] == 0
    kept = ["--save", killed, "--backup", run, *stop]
    doomed(2, data, *kept)
    assert "going on after epoch 2" in doomed(1, data, *kept)
    assert "going on after epoch 3" in doomed(0, data, *kept)
    assert run.exists()
    assert not killed.exists()
    status, out, _ = train(capsys, data, *kept)
    assert status == 0
    assert f"going on after epoch 6: {run}\ntrained 6 epochs" in out
    assert killed.read_bytes() == whole.read_bytes()
    assert not run.exists()


def test_without_a_kill_nothing_is_left_and_nothing_changes(data, tmp_path, capsys):
    plain, kept, run = (tmp_path / f"{n}.npz" for n in ("plain", "kept", "run"))
    train(capsys, data, "--save", plain)
    _, out, _ = train(capsys, data, "--save", kept, "--backup", run)
    assert "going on" not in out
    assert kept.read_bytes() == plain.read_bytes()
    assert not run.exists()


def test_more_epochs_may_be_asked_for(data, tmp_path, capsys):
    whole, longer, run = (tmp_path / f"{n}.npz" for n in ("whole", "longer", "run"))
    doomed(0, data, "--backup", run)
    train(capsys, data, "--save", longer, "--backup", run, "--epochs", "9")
    train(capsys, data, "--save", whole, "--epochs", "9")
    assert longer.read_bytes() == whole.read_bytes()


def test_another_training_is_refused_and_the_backup_kept(data, tmp_path, capsys):
    run = tmp_path / "run.npz"
    doomed(2, data, "--backup", run)
    before = run.read_bytes()
    status, _, err = train(capsys, data, "--backup", run, "--learning-rate", "0.5")
    assert status == 1
    assert err == (
        f"graphgrad: {run} is the backup of another training: --learning-rate was not given, and "
        f"is 0.5; go on with what was given then, or remove the file to begin anew\n"
    )
    _, _, err = train(capsys, data, "--backup", run, "--batch-size", "8")
    assert "--batch-size was 16, and is 8" in err
    data.write_text(data.read_text().replace(",x\n", ",y\n", 1))
    status, _, err = train(capsys, data, "--backup", run)
    assert status == 1
    assert "is the backup of another training: on other data; go on" in err
    assert run.read_bytes() == before


def test_a_file_that_is_no_backup_is_refused(data, tmp_path, capsys):
    net = tmp_path / "net.npz"
    train(capsys, data, "--save", net)
    before = net.read_bytes()
    status, _, err = train(capsys, data, "--backup", net)
    assert status == 1
    assert "net.npz is no backup of a training: give --backup a file of its own" in err
    _, _, err = train(capsys, data, "--backup", net, "--save", tmp_path / "." / "net.npz")
    assert "--save and --backup name the same file" in err
    assert net.read_bytes() == before
    _, _, err = train(capsys, data, "--backup", data)
    assert "is no network saved by graphgrad" in err
    _, _, err = train(capsys, data, "--backup", tmp_path / "none" / "run.npz")
    assert "there is no folder" in err


def test_ctrl_c_keeps_the_backup(data, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run.npz"
    save = nn.BackupAndRestore.save_epoch

    def interrupted(self):
        save(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(nn.BackupAndRestore, "save_epoch", interrupted)
    _, out, _ = train(capsys, data, "--backup", run)
    assert "trained 1 epoch in" in out
    assert run.exists()
    monkeypatch.undo()
    _, out, _ = train(capsys, data, "--backup", run)
    assert "going on after epoch 1" in out
    assert not run.exists()
