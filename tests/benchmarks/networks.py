"""Whole trainings beside PyTorch's, in one run, on the same data.

    python tests/benchmarks/networks.py [digits cnn small overhead nist] [--json] [--turns 3]

digits: UCI digits, 64-100-100-10, Adam at 0.005, batches of 16, 20 epochs: the seconds of training
until 97 % of the test examples are right, and those of all 20 epochs; evaluation and compilation
are not counted, compilation is told apart. cnn: the same to 98 %, conv16-pool-conv32-pool-dense10,
Adam at 0.01, batches of 32. PyTorch runs eager, once with batches cut by a permutation, once with a
DataLoader. Each has a process of its own, in turns, and so many seeds; figures are medians.

small: XOR to 4 of 4, moons 2-16-16-1 to 100 %. overhead: `fit` beside the same compiled steps
called bare, moons 2-16-16-1, batches of 100. nist: the digits to which `nn.minimize` finds the
certified parameters of NIST's nonlinear sets, from the second start (data beside the project).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np

import graphgrad as gg
from graphgrad import nn

GOALS = {"digits": (0.97, 16, 20, 0.005), "cnn": (0.98, 32, 20, 0.01)}
"""Accuracy to reach, size of batches, epochs, learning rate."""


def data(work):
    """Return training and test examples, images in rows."""
    X, y = nn.datasets.digits()
    parts = nn.datasets.split(X.astype(np.float32), y, test=0.25)
    shape = (64,) if work == "digits" else (8, 8, 1)
    return [p.reshape(-1, *shape) if p.ndim > 1 else p for p in parts]


# -- who takes part ------------------------------------------------------------------------------


def graphgrad_run(work, seed):
    """Train with `fit`; return seconds to compile, and accuracy and seconds after each epoch."""
    X, X_test, y, y_test = data(work)
    if work == "digits":
        layers = [nn.Dense(100, "relu", input_shape=(64,)), nn.Dense(100, "relu")]
    else:
        layers = [nn.Conv2D(16, 3, padding="same", activation="relu", input_shape=(8, 8, 1)),
                  nn.MaxPooling2D(), nn.Conv2D(32, 3, padding="same", activation="relu"),
                  nn.MaxPooling2D(), nn.Flatten()]  # fmt: skip
    model = nn.Sequential([*layers, nn.Dense(10, "softmax")], seed=seed)
    _, batch, epochs, rate = GOALS[work]
    model.compile(nn.Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
    rows, spent = [], 0.0
    begin = time.perf_counter()
    start = model.get_weights()
    model.fit(X, y, batch_size=batch, epochs=1, verbose=0)
    model.evaluate(X_test, y_test)
    compiling = time.perf_counter() - begin
    model.set_weights(start)
    for state in model.optimizer.states.values():  # as if that epoch had not been
        if state.name != "learning_rate":
            state.value = np.zeros(state.shape, state.dtype)
    for _ in range(epochs):
        begin = time.perf_counter()
        model.fit(X, y, batch_size=batch, epochs=1, verbose=0)
        spent += time.perf_counter() - begin
        rows.append((model.evaluate(X_test, y_test)[1], spent))
    begin = time.perf_counter()
    model.fit(X, y, batch_size=batch, epochs=epochs, verbose=0)
    return compiling, rows, time.perf_counter() - begin


def torch_run(work, seed, loader):
    """Train with PyTorch, eager, as its tutorials do."""
    import torch
    from torch import nn as tnn

    torch.set_num_threads(2)
    torch.manual_seed(seed)
    X, X_test, y, y_test = (torch.tensor(a) for a in data(work))
    if work == "digits":
        net = tnn.Sequential(tnn.Linear(64, 100), tnn.ReLU(), tnn.Linear(100, 100), tnn.ReLU(),
                             tnn.Linear(100, 10))  # fmt: skip
    else:
        X, X_test = X.permute(0, 3, 1, 2).contiguous(), X_test.permute(0, 3, 1, 2).contiguous()
        net = tnn.Sequential(
            tnn.Conv2d(1, 16, 3, padding=1), tnn.ReLU(), tnn.MaxPool2d(2),
            tnn.Conv2d(16, 32, 3, padding=1), tnn.ReLU(), tnn.MaxPool2d(2), tnn.Flatten(),
            tnn.Linear(128, 10),
        )  # fmt: skip
    _, batch, epochs, rate = GOALS[work]
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    criterion = tnn.CrossEntropyLoss()
    table = torch.utils.data.TensorDataset(X, y)
    batches = torch.utils.data.DataLoader(table, batch, shuffle=True)

    def cut():
        order = torch.randperm(len(X))
        return ((X[rows], y[rows]) for rows in order.split(batch))

    def epoch():
        total = 0.0
        for x, t in batches if loader else cut():
            optimizer.zero_grad()
            loss = criterion(net(x), t)
            loss.backward()
            optimizer.step()
            total += loss.item()

    rows, spent = [], 0.0
    for _ in range(epochs):
        begin = time.perf_counter()
        epoch()
        spent += time.perf_counter() - begin
        with torch.no_grad():
            rows.append((float((net(X_test).argmax(1) == y_test).float().mean()), spent))
    return 0.0, rows, spent


PEERS = {
    "graphgrad": graphgrad_run,
    "torch eager": lambda work, seed: torch_run(work, seed, False),
    "torch eager, DataLoader": lambda work, seed: torch_run(work, seed, True),
}


def compare(work, turns):
    """Return medians over seeds of all who take part, a process each, in turns."""
    goal = GOALS[work][0]
    found = {name: [] for name in PEERS}
    for seed in range(turns):
        for name, rows in found.items():
            command = [sys.executable, __file__, work, "--one", name, "--seed", str(seed)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                rows.append(json.loads(done.stdout))
    found = {name: rows for name, rows in found.items() if rows}
    reached = {
        name: [next((t for a, t in rows if a >= goal), None) for _, rows, _ in runs]
        for name, runs in found.items()
    }
    whole = {name: statistics.median(r[2] for r in runs) for name, runs in found.items()}
    to_goal = {
        name: statistics.median(t for t in times if t is not None) if any(times) else None
        for name, times in reached.items()
    }
    return {
        "work": work,
        f"seconds_to_{goal:.0%}": {n: t and round(t, 4) for n, t in to_goal.items()},
        "reached": {n: f"{sum(t is not None for t in v)} of {len(v)}" for n, v in reached.items()},
        "seconds_of_all_epochs": {n: round(t, 4) for n, t in whole.items()},
        "times_faster": {n: round(t / whole["graphgrad"], 2) for n, t in whole.items()},
        "best_accuracy": {
            n: [round(max(a for a, _ in rows), 4) for _, rows, _ in runs]
            for n, runs in found.items()
        },
        "compile_s": [round(r[0], 2) for r in found["graphgrad"]],
    }


# -- graphgrad alone -------------------------------------------------------------------------------


def moons(n):
    """Return data and a network."""
    X, y = nn.datasets.moons(n)
    model = nn.Sequential([nn.Dense(16, "relu", input_shape=(2,)), nn.Dense(16, "relu"),
                           nn.Dense(1, "sigmoid")])  # fmt: skip
    return X, y, model


def small(turns):
    """Return how long XOR and moons take, and what they reach."""
    X, y = nn.datasets.xor()
    xor = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(1, "sigmoid")])
    rows = {}
    for name, (A, b, model), epochs, batch in [
        ("xor", (X, y, xor), 300, 4), ("moons", moons(1000), 200, 100),
    ]:  # fmt: skip
        model.compile(nn.Adam(0.02), "binary_crossentropy", ["accuracy"])
        model.fit(A, b, epochs=1, batch_size=batch, verbose=0)
        history = model.fit(A, b, epochs=epochs, batch_size=batch, verbose=0)
        right = history.history["accuracy"]
        rows[name] = {
            "accuracy": right[-1], "seconds": round(history.seconds, 4),
            "epochs_to_100%": next((k + 1 for k, a in enumerate(right) if a == 1.0), None),
        }  # fmt: skip
    return {"work": "small", **rows}


def overhead(turns):
    """Return microseconds a step of `fit`, of the bare compiled epoch, and of single calls."""
    X, y, model = moons(10_000)
    model.compile("sgd", "binary_crossentropy")
    model.fit(X, y, epochs=3, batch_size=100, verbose=0)
    _, step = model._compiled("fit", 100)
    x, t = X.astype(np.float32), y.astype(np.float32)[:, None]
    epochs = 300
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(10_000) for _ in range(epochs)]).reshape(-1, 100)
    ways = {
        "fit": lambda: model.fit(X, y, epochs=epochs, batch_size=100, verbose=0),
        "bare epoch": lambda: step.epoch(x, t, rows=rows),
        "bare calls": lambda: [step(x[:100], t[:100]) for _ in range(len(rows))],
    }
    spent = {name: [] for name in ways}
    for _ in range(turns * 3):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            spent[name].append((time.perf_counter() - begin) / len(rows) * 1e6)
    pairs = list(zip(spent["fit"], spent["bare epoch"], strict=True))
    return {
        "work": "overhead",
        "step_us": {name: round(statistics.median(v), 2) for name, v in spent.items()},
        "fit_over_bare_epoch": round(statistics.median(a / b for a, b in pairs), 3),
    }


def nist(turns):
    """Return digits of the worst parameter for each of NIST's sets."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "nist_strd" / "nonlinear"
    found = {}
    for path in sorted(folder.glob("*.json")):
        problem = json.loads(path.read_text("utf-8"))
        entry = problem["x"]
        x = np.array(entry["data"]).reshape(entry["shape"]) if isinstance(entry, dict) else entry
        x = np.array(x)
        given = {"x": x} if x.ndim == 1 else {f"x{k + 1}": row for k, row in enumerate(x)}
        r = problem["response"]
        given["response"] = np.array(r["data"] if isinstance(r, dict) else r)
        names = [f"b{k + 1}" for k in range(problem["n_params"])]
        start = np.ravel(plain(problem["start2"]))
        loss = gg.parse(problem["expr_objective"], **given, **dict(zip(names, start.tolist())))
        nodes = {n.name: n for n in gg.ancestors(loss) if n.op == "variable"}
        result = nn.minimize(loss, [nodes[n] for n in names])
        certified = np.ravel(plain(problem["certified"]))
        off = np.abs(np.array([nodes[n].value for n in names]) - certified) / np.abs(certified)
        found[path.stem] = (round(float(-np.log10(off.max() + 1e-15)), 1), result.iterations)
    return {"work": "nist", "digits_and_iterations": found}


def plain(entry):
    """Return numbers given as a list or as an object with data."""
    return np.array(entry["data"] if isinstance(entry, dict) else entry)


ALONE = {"small": small, "overhead": overhead, "nist": nist}


def main():
    """Run the works named on the command line, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", metavar="NAME", help="run only this one, in this process")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.one:
        sys.stdout.write(json.dumps(PEERS[arguments.one](arguments.works[0], arguments.seed)))
        return
    for work in arguments.works or [*GOALS, *ALONE]:
        turns = arguments.turns
        row = ALONE[work](turns) if work in ALONE else compare(work, turns)
        if arguments.json:
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(f"{row.pop('work')}\n")
            for key, value in row.items():
                sys.stdout.write(f"  {key}: {value}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
