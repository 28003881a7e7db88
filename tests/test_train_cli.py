"""``graphgrad train`` and ``graphgrad predict``: results, files, words, exit status."""

import csv
import io
import re
import subprocess
import sys

import numpy as np
import pytest

from graphgrad import nn
from graphgrad.cli import main
from graphgrad.nn.tables import fitting, read_csv

FAST = ["--executor", "numpy", "--hidden", "8", "--epochs", "3"]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def students(tmp_path):
    """Return lesson 14's students as a file, with a column of texts that says nothing."""
    X, y = nn.datasets.pass_fail(120)
    path = tmp_path / "students.csv"
    with path.open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["lectures", "hours", "town", "result"])
        for k, (row, passed) in enumerate(zip(X.tolist(), y)):
            write.writerow([*row, ["Ulm", "Bonn", "Kiel"][k % 3], ["fail", "pass"][passed]])
    return path


@pytest.fixture
def flats(tmp_path):
    random = np.random.default_rng(0)
    size, rooms = random.uniform(20, 120, 200), random.integers(1, 6, 200)
    rent = 100 + 9.5 * size + 30 * rooms
    lines = [f"{a:.2f},{b},{c:.2f}" for a, b, c in zip(size, rooms, rent)]
    path = tmp_path / "flats.csv"
    path.write_text("size,rooms,rent\n" + "\n".join(lines) + "\n")
    return path


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def table_of(text):
    return list(csv.reader(io.StringIO(text)))


# -- the main job ------------------------------------------------------------------------------


def test_from_a_file_to_a_network_and_its_predictions(students, tmp_path, capsys):
    model = tmp_path / "model.npz"
    status, out, err = run(
        capsys, "train", students, "--target", "result", "--executor", "numpy", "--hidden", "16",
        "--learning-rate", "0.02", "--epochs", "60", "--save", model,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert re.search(r"lectures +│ number +│ 0 to 10, mean", out)
    assert re.search(r"town +│ category +│ Bonn, Kiel, Ulm +│ +- │ +3", out)
    assert re.search(r"result +│ classification +│ 2 classes: fail, pass", out)
    assert "96 rows to train with, 24 set aside" in out
    accuracy = float(re.search(r"validation +│ +\S+ │ +(\S+) │", out)[1])
    guess = float(re.search(r"always \w+ +│ +- │ +(\S+) │", out)[1])
    assert accuracy > max(0.85, guess)
    assert f"network: {model}" in out

    status, out, err = run(capsys, "predict", model, students)
    assert status == 0
    rows = table_of(out)
    assert rows[0] == ["lectures", "hours", "town", "result", "predicted_result", "probability"]
    assert len(rows) == 121
    right = np.mean([row[3] == row[4] for row in rows[1:]])
    assert f"120 rows predicted; accuracy {right:.4f} on 120 with a known answer" in err
    assert right > 0.85
    assert all(0.5 <= float(row[5]) <= 1 for row in rows[1:])


def test_a_number_is_predicted_in_its_own_units(flats, tmp_path, capsys):
    model, new = tmp_path / "m.npz", tmp_path / "new.csv"
    status, out, _ = run(
        capsys, "train", flats, "--target", "rent", "--hidden", "none", "--epochs", "40",
        "--learning-rate", "0.05", "--executor", "numpy", "--save", model,
    )  # fmt: skip
    assert status == 0
    error = float(re.search(r"validation +│ +\S+ │ +±(\S+) │ +(\S+) │", out)[1])
    assert error < 10
    new.write_text('rooms,note,size\n2,"a, b",50\n5,,100\n')
    _, out, err = run(capsys, "predict", model, new)
    rows = table_of(out)
    assert rows[0] == ["rooms", "note", "size", "predicted_rent"]
    assert rows[1][:3] == ["2", "a, b", "50"]
    expected = [100 + 9.5 * 50 + 30 * 2, 100 + 9.5 * 100 + 30 * 5]
    np.testing.assert_allclose([float(r[3]) for r in rows[1:]], expected, atol=40)
    assert err == "2 rows predicted\n"


def test_many_classes(tmp_path, capsys):
    X, y = nn.datasets.blobs(150, classes=3, spread=0.5)
    path, model = tmp_path / "blobs.csv", tmp_path / "m.npz"
    lines = "".join(f"{a},{b},{k}\n" for (a, b), k in zip(X.tolist(), y))
    path.write_text("a,b,kind\n" + lines)
    status, out, _ = run(
        capsys, "train", path, "--target", "kind", "--hidden", "16", "--epochs", "30",
        "--learning-rate", "0.05", "--executor", "numpy", "--save", model,
    )  # fmt: skip
    assert status == 0
    assert "3 classes: 0, 1, 2" in out
    _, out, err = run(capsys, "predict", model, path)
    assert float(re.search(r"accuracy (\S+)", err)[1]) > 0.95
    assert {row[3] for row in table_of(out)[1:]} == {"0", "1", "2"}


def test_curves_and_graph_are_written(students, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
    curves, graph = tmp_path / "c.png", tmp_path / "g.svg"
    status, out, _ = run(
        capsys, "train", students, "--target", "result", *FAST, "--plot", curves, "--draw", graph,
    )  # fmt: skip
    assert status == 0
    assert curves.read_bytes().startswith(b"\x89PNG")
    text = graph.read_text("utf-8")
    assert "<svg" in text
    assert "ReLU" in text
    assert f"curves:  {curves}\ngraph:   {graph}\n" in out


def test_the_same_seed_gives_the_same_network(students, tmp_path, capsys):
    files = [tmp_path / f"{k}.npz" for k in range(3)]
    for file, seed in zip(files, (1, 1, 2)):
        run(capsys, "train", students, "--target", "result", *FAST, "--dropout", "0.2", "--seed",
            seed, "--save", file)  # fmt: skip
    first, again, other = (nn.load_model(f).get_weights() for f in files)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not any(np.array_equal(a, b) for a, b in zip(first[::2], other[::2]))


def test_options_reach_the_network(students, tmp_path, capsys):
    file = tmp_path / "m.npz"
    run(capsys, "train", students, "--target", "result", "--executor", "numpy", "--hidden", "5,4",
        "--activation", "tanh", "--dropout", "0.25", "--optimizer", "rmsprop", "--epochs", "2",
        "--learning-rate", "0.5", "--ignore", "town", "--batch-size", "7",
        "--save", file)  # fmt: skip
    model = nn.load_model(file)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.units for layer in model.layers[::2]] == [5, 4, 1]
    assert [layer.activation for layer in model.layers[::2]] == ["tanh", "tanh", "sigmoid"]
    assert model.layers[1].rate == 0.25
    assert (type(model.optimizer).__name__, model.optimizer.learning_rate) == ("RMSprop", 0.5)
    assert model.optimizer.iterations.value == 2 * 14  # ceil(96 / 7) batches, twice
    assert [c.name for c in fitting.recipe_of(model).columns] == ["lectures", "hours"]


def test_early_stopping_is_told(students, capsys):
    _, out, _ = run(capsys, "train", students, "--target", "result", "--executor", "numpy",
                    "--hidden", "8", "--epochs", "200", "--learning-rate", "0.3",
                    "--early-stopping", "2")  # fmt: skip
    assert re.search(r"trained \d+ epochs in \S+ s, then stopped: no better val_loss for 2 epochs; "
                     r"kept the weights of epoch \d+", out)  # fmt: skip
    _, out, _ = run(capsys, "train", students, "--target", "result", *FAST, "--early-stopping", "0")
    assert re.search(r"trained 3 epochs in \S+ s\n", out)


def test_without_rows_set_aside(students, capsys):
    status, out, _ = run(capsys, "train", students, "--target", "result", *FAST, "--validation", 0)
    assert status == 0
    assert "120 rows to train with, 0 set aside" in out
    assert "validation" not in out


# -- what is missing or unknown ----------------------------------------------------------------


@pytest.fixture
def holes(tmp_path):
    path = tmp_path / "holes.csv"
    lines = [f"{k},{'xy'[k % 2]},{k % 2}.5" for k in range(40)]
    lines[7], lines[9] = ",x,1.5", "3,,0.5"
    path.write_text("a,c,t\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("choice", "rows"), [("drop", 38), ("mean", 40)])
def test_missing_values_are_reported_and_handled(holes, tmp_path, capsys, choice, rows):
    model = tmp_path / "m.npz"
    status, out, _ = run(
        capsys, "train", holes, "--target", "t", "--task", "regression", "--missing", choice,
        *FAST, "--save", model,
    )  # fmt: skip
    assert status == 0
    assert re.search(r"a +│ number +│ [^│]+│ +1 │", out)
    kept, aside = re.search(r"(\d+) rows to train with, (\d+) set aside", out).groups()
    assert int(kept) + int(aside) == rows
    assert ("2 left out for missing values" in out) == (choice == "drop")
    _, out, err = run(capsys, "predict", model, holes)
    empty = [row[3] == "" for row in table_of(out)[1:]]
    assert sum(empty) == (2 if choice == "drop" else 0)
    assert ("38 rows predicted, 2 left empty for missing values" in err) == (choice == "drop")


def test_without_a_choice_missing_values_are_an_error(holes, capsys):
    status, out, err = run(capsys, "train", holes, "--target", "t", *FAST)
    assert (status, out) == (1, "")
    assert "line 9, column 1 (a): a value is missing (in all: 1 in a, 1 in c)" in err


@pytest.fixture
def model(students, tmp_path, capsys):
    path = tmp_path / "model.npz"
    run(capsys, "train", students, "--target", "result", *FAST, "--save", path)
    return path


NEW = "lectures,hours,town\n3,4,Ulm\n5,6,Oslo\n"


def test_an_unknown_category_is_an_error_or_zeros(model, tmp_path, capsys):
    path = tmp_path / "new.csv"
    path.write_text(NEW)
    status, _, err = run(capsys, "predict", model, path, "-o", tmp_path / "out.csv")
    assert status == 1
    assert ("line 3, column 3 (town): 'Oslo' was not among the categories in training: Bonn, Kiel, "
            "Ulm; correct it, or choose 'zeros' for unknown categories") in err  # fmt: skip
    status, out, _ = run(capsys, "predict", model, path, "--unknown", "zeros")
    assert status == 0
    assert len(table_of(out)) == 3


def test_a_fault_leaves_the_old_predictions(model, tmp_path, capsys):
    good, bad, out = (tmp_path / n for n in ("good.csv", "bad.csv", "out.csv"))
    good.write_text(NEW.replace("Oslo", "Kiel"))
    bad.write_text(NEW.replace("Oslo", "Kiel") + "1,2\n")
    assert run(capsys, "predict", model, good, "-o", out)[:2] == (0, "")
    before = out.read_bytes()
    status, _, err = run(capsys, "predict", model, bad, "-o", out)
    assert status == 1
    assert "line 4, column 3 (town): the record ends before it" in err
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("out*")) == ["out.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lectures,hour,town\n1,2,Ulm\n", "no column 'hours'; did you mean 'hour'?"),
        ("lectures,hours,town\n1,two,Ulm\n", "line 2, column 2 (hours): 'two' is no number"),
        ("lectures,hours,town\n1,,Ulm\n", "line 2, column 2 (hours): a value is missing, and this "
         "model was trained without missing values"),
        ("", "is empty; expected a line with the names of the columns"),
    ],
)  # fmt: skip
def test_faults_of_a_new_file(model, tmp_path, capsys, text, message):
    path = tmp_path / "new.csv"
    path.write_text(text)
    status, _, err = run(capsys, "predict", model, path)
    assert status == 1
    assert message in err
    assert err.startswith("graphgrad: ")


def test_a_network_without_a_table_is_refused(tmp_path, capsys):
    net = nn.Sequential([nn.Dense(1, input_shape=(2,))])
    net.compile("sgd", "mse")
    net.save(tmp_path / "plain.npz")
    (tmp_path / "new.csv").write_text(NEW)
    status, _, err = run(capsys, "predict", tmp_path / "plain.npz", tmp_path / "new.csv")
    assert status == 1
    assert "this network was not trained on a CSV file" in err


def test_what_is_no_model_is_refused(tmp_path, capsys):
    (tmp_path / "new.csv").write_text(NEW)
    status, _, err = run(capsys, "predict", tmp_path / "new.csv", tmp_path / "new.csv")
    assert status == 1
    assert err.startswith("graphgrad: ")
    status, _, err = run(capsys, "predict", tmp_path / "none.npz", tmp_path / "new.csv")
    assert status == 1
    assert "none.npz" in err


# -- what is said when something is wrong --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "resutl"], "no target column 'resutl'; did you mean 'result'?"),
        (["--target", "result", "--task", "regression"], "regression needs numbers"),
        (["--target", "result", "--ignore", "twon"], "no column 'twon'; did you mean 'town'?"),
        (["--target", "result", "--validation", "0.9"], "validation 0.9; expected a share"),
        (["--target", "result", "--optimizer", "adma"], "adma"),
        (["--target", "result", "--activation", "rleu"], "rleu"),
        (["--target", "result", "--dropout", "1.5"], "1.5"),
        (["--target", "result", "--executor", "abacus"], "abacus"),
        (["--target", "result", "--learning-rate", "-1"], "-1"),
        (["--target", "result", "--delimiter", ";"], "one column, 'lectures,hours,town,result'"),
        (["--target", "result", "--plot", "curves"], "curves: the ending tells the format; use"),
        (["--target", "result", "--draw", "net.xyz"], "net.xyz: the ending tells the format"),
        (["--target", "result", "--save", "no/such/m.npz"], "there is no folder no/such"),
    ],
)
def test_errors_are_one_clear_sentence(students, capsys, options, message):
    status, _, err = run(capsys, "train", students, *FAST[2:], *options)
    assert status == 1
    assert message in err
    assert err.startswith("graphgrad: ")
    assert err.count("\n") == 1


def test_ctrl_c_while_reading_ends_without_a_traceback(students, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("graphgrad.nn.tables.read_csv", interrupted)
    status, out, err = run(capsys, "train", students, "--target", "result")
    assert (status, out, err) == (130, "", "graphgrad: interrupted\n")


def test_a_file_that_is_not_there(capsys):
    status, out, err = run(capsys, "train", "nowhere.csv", "--target", "t")
    assert (status, out) == (1, "")
    assert err == "graphgrad: nowhere.csv: No such file or directory\n"


@pytest.mark.parametrize(
    "options",
    [[], ["--target", "t", "--hidden", "8,x"], ["--target", "t", "--epochs", "0"],
     ["--target", "t", "--missing", "guess"], ["--target", "t", "--hidden", "-3"]],
)  # fmt: skip
def test_wrong_options_are_refused_by_the_parser(students, options, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", str(students), *options])
    assert stop.value.code == 2


def test_hostile_names_stay_text(tmp_path, capsys):
    path = tmp_path / "evil.csv"
    lines = "".join(f"{k},{'[red]x' if k % 2 else 'y'},{k % 2}\n" for k in range(20))
    path.write_text("[bold]a[/bold],\x1b[2Jb,t\n" + lines)
    status, out, _ = run(capsys, "train", path, "--target", "t", *FAST)
    assert status == 0
    assert "[bold]a[/bold]" in out
    assert "\\x1b[2Jb" in out
    assert "\x1b[2J" not in out
    assert "[red]x, y" in out


def test_a_reader_that_goes_away_is_no_error(model, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("lectures,hours,town\n" + "3,4,Ulm\n" * 20000)
    command = [sys.executable, "-m", "graphgrad.cli", "predict", str(model), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"lectures")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_the_library_does_what_the_command_does(students, tmp_path, capsys):
    file = tmp_path / "m.npz"
    run(capsys, "train", students, "--target", "result", *FAST, "--save", file)
    table = read_csv(students, "result")
    model = fitting.network_for(table.recipe, hidden=(8,))
    model.compile("adam", *fitting.goal_of(table.recipe.target), target="numpy")
    model.fit(table.X, table.y, epochs=3, verbose=0)
    saved = nn.load_model(file)
    # Early stopping kept the best of three epochs, which was the last.
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), saved.get_weights()))
    lines = list(fitting.predictions(model, students))
    _, out, _ = run(capsys, "predict", file, students)
    assert lines == table_of(out)
