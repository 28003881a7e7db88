"""Saving, loading, and trainings that are killed and taken up again."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.errors import CheckpointError, NetworkError
from graphgrad.nn import archive


def small(target="numpy", **options):
    model = nn.Sequential(
        [
            nn.Dense(5, "tanh", input_shape=(3,), kernel_regularizer=nn.L2(0.001)),
            nn.Dropout(0.3),
            nn.BatchNormalization(),
            nn.Dense(2, "softmax"),
        ],
        seed=4,
    )
    model.compile(
        nn.Adam(nn.CosineDecay(0.05, 60)), "sparse_categorical_crossentropy", ["accuracy"],
        target=target, **options,
    )  # fmt: skip
    return model


def data(n=50):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, (X[:, 0] > X[:, 1]).astype(int)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


# -- files -------------------------------------------------------------------------------------


def test_a_loaded_network_predicts_the_same_and_trains_on_the_same(tmp_path):
    X, y = data()
    model = small()
    model.extra = {"columns": ["a", "b"], "mean": [0.5, 1e300]}
    model.fit(X, y, epochs=2, batch_size=8, verbose=0)
    model.save(tmp_path / "m.npz")
    other = nn.load_model(tmp_path / "m.npz")
    assert same(model, other)
    assert other.extra == model.extra
    assert np.array_equal(model.predict(X), other.predict(X))
    for m in (model, other):
        m.fit(X, y, initial_epoch=2, epochs=4, batch_size=8, verbose=0)
    assert same(model, other)
    assert model.history.history == other.history.history


def test_functional_networks_keep_their_connections(tmp_path):
    a, b = nn.Input(2, name="left"), nn.Input(3)
    twin = nn.Dense(3, "relu", name="twin")
    joined = nn.Concatenate()([twin(a), twin(nn.Dense(2)(b))])
    model = nn.Model([a, b], [nn.Dense(1, name="one")(joined), nn.Dense(4, name="four")(joined)])
    model.save(tmp_path / "m.npz")
    other = nn.load_model(tmp_path / "m.npz")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(5, 2)), rng.normal(size=(5, 3))]
    for p, q in zip(model.predict(given), other.predict(given), strict=True):
        np.testing.assert_array_equal(p, q)
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]


def test_own_layers_and_functions_are_named_when_loading(tmp_path):
    class Scale(nn.Layer):
        def build(self, shape):
            self.k = self.add_weight("k", (shape[-1],), "ones")

        def call(self, x, run):
            return x * self.k

    def cubic(y_true, y_pred):
        return abs(y_true - y_pred) ** 3

    model = nn.Sequential([Scale(input_shape=(2,))])
    model.compile("sgd", cubic, target="numpy")
    model.save(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match=r"names the class 'Scale'.*custom_objects"):
        nn.load_model(tmp_path / "m.npz")
    found = nn.load_model(tmp_path / "m.npz", {"Scale": Scale, "cubic": cubic})
    assert found.evaluate([[2.0, 0.0]], [[0.0, 0.0]]) == 4.0


def test_primitives_and_activations_are_kept_by_name(tmp_path):
    model = nn.Sequential([nn.Dense(2, activation=gg.sin, input_shape=(1,)),
                           nn.Activation(gg.atan), nn.Activation(gg.softmax)])  # fmt: skip
    model.save(tmp_path / "m.npz")
    found = nn.load_model(tmp_path / "m.npz")
    assert [layer.activation for layer in found.layers] == [gg.sin, gg.atan, gg.softmax]


def test_a_layer_that_does_not_keep_its_arguments_cannot_be_saved(tmp_path):
    class Power(nn.Layer):
        def __init__(self, k, **more):
            super().__init__(**more)
            self.exponent = k

        def call(self, x, run):
            return x**self.exponent

    model = nn.Sequential([Power(2, input_shape=(1,))])
    assert model.predict([[3.0]]).tolist() == [[9.0]]
    assert repr(model.layers[0]) == "Power()"
    model.summary()
    with pytest.raises(NetworkError, match="Power has no attribute 'k': keep what the constructor"):
        model.save(tmp_path / "m.npz")


def test_what_has_no_name_cannot_be_saved(tmp_path):
    model = nn.Sequential([nn.Dense(1, activation=lambda x: x * x, input_shape=(1,))])
    with pytest.raises(NetworkError, match="cannot be saved: expected numbers, names"):
        model.save(tmp_path / "m.npz")
    assert not list(tmp_path.iterdir())


def test_saving_replaces_in_one_stroke_and_leaves_nothing_behind(tmp_path, monkeypatch):
    model = small()
    model.save(tmp_path / "m.npz")
    before = (tmp_path / "m.npz").read_bytes()
    model.save(tmp_path / "m.npz")
    assert (tmp_path / "m.npz").read_bytes() == before  # the same network, the same bytes
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    model.layers[0].bias.value = np.ones(5)
    with pytest.raises(OSError, match="disk full"):
        model.save(tmp_path / "m.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]
    assert (tmp_path / "m.npz").read_bytes() == before


def rewritten(source, target, *, change=None, drop=(), extra=None):
    """Copy a saved network, with its text changed, parts dropped, or parts added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            raw = old.read(info)
            if info.filename == archive.TEXT and change is not None:
                text = json.loads(raw)
                change(text)
                raw = json.dumps(text).encode()
            if info.filename not in drop:
                new.writestr(info.filename, raw)
        for name, raw in (extra or {}).items():
            new.writestr(name, raw)


@pytest.fixture
def saved(tmp_path):
    small().save(tmp_path / "m.npz")
    return tmp_path / "m.npz"


def test_every_truncation_is_told(saved):
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"is no network saved by graphgrad|cut short"):
            nn.load_model(saved)


def test_a_flipped_bit_is_told(saved):
    whole = bytearray(saved.read_bytes())
    at = whole.index(b"weights/dense/W.npy") + 200
    whole[at] ^= 1
    saved.write_bytes(whole)
    with pytest.raises(CheckpointError, match="Bad CRC-32"):
        nn.load_model(saved)


CHANGES = {
    "newer": (lambda t: t.update(version=99), "is of version 99.*install a newer one"),
    "another format": (lambda t: t.update(format="other"), "its format is 'other'"),
    "unknown layer": (
        lambda t: t["network"]["layers"][0].update({"class": "os.system"}),
        "names the class 'os.system'",
    ),
    "unknown function": (
        lambda t: t["network"]["layers"][0].update(activation={"function": "eval"}),
        "names the function 'eval'",
    ),
    "a loss among layers": (
        lambda t: t["network"]["layers"].__setitem__(0, {"class": "Huber"}), "are no layers",
    ),
    "strange setting": (
        lambda t: t["network"]["layers"][0].update(evil=1), "a Dense with settings",
    ),
    "huge layer": (
        lambda t: t["network"]["layers"][0].update(units=10**12), "needs float32 of shape",
    ),
    "no network": (lambda t: t.pop("network"), "is damaged: KeyError"),
    "cycle": (lambda t: t["network"].update(kind="model", calls=[[0, [7]]]), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_hostile_text_is_refused(saved, tmp_path, name):
    change, message = CHANGES[name]
    rewritten(saved, tmp_path / "bad.npz", change=change)
    with pytest.raises(CheckpointError, match=message):
        nn.load_model(tmp_path / "bad.npz")


def test_missing_strange_and_pickled_parts_are_refused(saved, tmp_path):
    bad = tmp_path / "bad.npz"
    rewritten(saved, bad, drop=["weights/dense/W.npy"])
    with pytest.raises(CheckpointError, match="has no 'weights/dense/W'"):
        nn.load_model(bad)
    np.savez(bad, a=np.array([print], dtype=object))
    with pytest.raises(CheckpointError, match=r"no graphgrad\.json"):
        nn.load_model(bad)
    with zipfile.ZipFile(bad) as file:
        pickled = file.read("a.npy")
    rewritten(saved, bad, extra={"a.npy": pickled})
    with pytest.raises(CheckpointError, match="holds object: expected plain numbers"):
        nn.load_model(bad)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    rewritten(saved, bad, extra={"a.npy": start + header})
    with pytest.raises(CheckpointError, match=r"has 0 bytes for shape \(1000000000000,\)"):
        nn.load_model(bad)
    np.savez_compressed(bad, a=np.zeros(10))
    with pytest.raises(CheckpointError, match="compressed parts"):
        nn.load_model(bad)
    bad.write_text("not a zip")
    with pytest.raises(CheckpointError, match="is no network saved by graphgrad"):
        nn.load_model(bad)
    with pytest.raises(FileNotFoundError):
        nn.load_model(tmp_path / "nowhere.npz")


# -- trainings that are killed -------------------------------------------------------------------

PROGRAM = """
import sys, os, signal, numpy as np
sys.path.insert(0, {tests!r})
from test_nn_checkpoint import small, data
from graphgrad import nn

class Killer(nn.Callback):
    "Ends the process without warning after so many saves."
    left = int(sys.argv[1])

class Backup(nn.BackupAndRestore):
    def after(self):
        Killer.left -= 1
        if Killer.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def save_epoch(self):
        super().save_epoch()
        self.after()
    def save_batch(self, batch):
        super().save_batch(batch)
        self.after()

X, y = data()
model = small({target!r})
backup = Backup("backup.npz", save_freq={freq!r})
model.fit(X, y, epochs=6, batch_size=8, verbose=0, validation_data=data(20), callbacks=[
    backup, nn.EarlyStopping(patience=5), nn.CSVLogger("log.csv")])
model.loop = None
model.extra = {{"history": model.history.history}}
model.save("end.npz")
print(backup.restored)
"""


def trained(folder, kill=0, target="numpy", freq=3):
    text = PROGRAM.format(tests=str(Path(__file__).parent), target=target, freq=freq)
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", text, str(kill)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
@pytest.mark.parametrize("freq", ["epoch", 3])
def test_killed_and_taken_up_is_bit_identical(tmp_path, freq):
    assert trained(tmp_path / "whole", freq=freq).returncode == 0
    for kill in (3, 2):
        done = trained(tmp_path / "killed", kill, freq=freq)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (tmp_path / "killed" / "backup.npz").exists()
    done = trained(tmp_path / "killed", freq=freq)
    assert done.stdout == "True\n", done.stderr
    for name in ("end.npz", "log.csv"):
        whole, killed = ((tmp_path / f / name).read_bytes() for f in ("whole", "killed"))
        assert whole == killed, name
    assert not (tmp_path / "killed" / "backup.npz").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed_at_random_moments(tmp_path):
    assert trained(tmp_path / "whole", freq=1).returncode == 0
    killed = tmp_path / "killed"
    killed.mkdir()
    text = PROGRAM.format(tests=str(Path(__file__).parent), target="numpy", freq=1)
    rng = np.random.default_rng()
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", text, "0"], cwd=killed)
        while process.poll() is None and not any(killed.iterdir()):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait()
    assert trained(killed, freq=1).returncode == 0
    for name in ("end.npz", "log.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (killed / name).read_bytes(), name


def test_a_training_taken_up_counts_the_seconds_before(tmp_path, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr("graphgrad.nn.loop.time.perf_counter", lambda: float(next(ticks)))
    X, y = data()

    def fit(epochs):
        backup = nn.BackupAndRestore(tmp_path / "b.npz", delete_checkpoint=False)
        return small().fit(X, y, epochs=epochs, callbacks=[backup], verbose=0).seconds

    once = fit(2)
    assert fit(4) > once  # it makes two epochs more, and no fewer looks at the clock


def test_a_backup_of_another_network_is_refused(tmp_path):
    X, y = data()
    model = small()
    model.save(tmp_path / "b.npz")
    other = nn.Sequential([nn.Dense(2, "softmax", input_shape=(3,))])
    other.compile("sgd", "sparse_categorical_crossentropy", target="numpy")
    with pytest.raises(CheckpointError, match="holds another network"):
        other.fit(X, y, callbacks=[nn.BackupAndRestore(tmp_path / "b.npz")], verbose=0)
    assert (tmp_path / "b.npz").exists()


def test_other_callbacks_than_those_saved_are_refused(tmp_path):
    X, y = data()
    path = tmp_path / "b.npz"

    def fit(*more):
        small().fit(X, y, epochs=1, verbose=0, callbacks=[
            nn.BackupAndRestore(path, delete_checkpoint=False), *more])  # fmt: skip

    fit()
    with pytest.raises(CheckpointError, match="was saved with callbacks BackupAndRestore, and"):
        fit(nn.EarlyStopping())
    with pytest.raises(NetworkError, match="save_freq=0"):
        nn.BackupAndRestore(path, save_freq=0)


def test_checkpoints_of_the_best_epochs(tmp_path):
    X, y = data()
    model = small()
    keep = nn.ModelCheckpoint(tmp_path / "net-{epoch:02d}.npz", "loss")
    best = nn.ModelCheckpoint(tmp_path / "best.npz", "loss", save_best_only=True)
    history = model.fit(X, y, epochs=4, verbose=0, callbacks=[keep, best])
    assert sorted(p.name for p in tmp_path.glob("net*")) == [f"net-0{k}.npz" for k in range(1, 5)]
    lowest = int(np.argmin(history.history["loss"])) + 1
    best_model = nn.load_model(tmp_path / "best.npz")
    assert same(best_model, nn.load_model(tmp_path / f"net-0{lowest}.npz"))
    assert isinstance(best_model.optimizer.rate, gg.Node)
