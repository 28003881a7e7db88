"""CSV files as arrays: what is found in them, how it is encoded, and every fault by its place."""

import gc
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphgrad.errors import GraphError, TableError
from graphgrad.nn.tables import Recipe, loading, read_csv
from graphgrad.nn.tables.rows import Rows
from graphgrad.nn.tables.survey import Holdout

FLATS = """rooms,town,rent
2,Ulm,700.5
3,Bonn,950.25
1,Ulm,500
4,Bonn,1200
2,Kiel,640
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


def test_numbers_are_scaled_and_categories_one_hot(written):
    table = read_csv(written(FLATS), "rent", task="regression", validation=0)
    rooms = np.array([2, 3, 1, 4, 2])
    np.testing.assert_allclose(table.X[:, 0], (rooms - rooms.mean()) / rooms.std(), rtol=1e-6)
    assert table.recipe.columns[1].values == ("Bonn", "Kiel", "Ulm")
    assert table.X[:, 1:].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert (table.X.dtype, table.y.dtype) == (np.float32, np.float32)
    rent = np.array([700.5, 950.25, 500, 1200, 640])
    np.testing.assert_allclose(table.y, (rent - rent.mean()) / rent.std(), rtol=1e-6)
    back = table.recipe.target.decode(table.y[:, None])
    np.testing.assert_allclose([v for v, _ in back], rent, rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "task", "classes"),
    [
        (["yes", "no", "yes", "no"], "classification", ("no", "yes")),
        (["0", "1", "1.0", "01"], "classification", ("0", "1")),
        (["1.5", "2.5", "1.5", "2.5"], "regression", ()),
        ([str(k) for k in range(11)], "regression", ()),
        (["1", "x1", "x2", "2"], "regression", None),
    ],
)
def test_the_task_is_found_from_the_column(written, column, task, classes):
    path = written("a,t\n" + "".join(f"{k},{v}\n" for k, v in enumerate(column)))
    if classes is None:
        with pytest.raises(TableError, match=r"line 3, column 2 \(t\): 'x1' is no number"):
            read_csv(path, "t")
        return
    table = read_csv(path, "t", validation=0)
    assert (table.recipe.target.task, table.recipe.target.classes) == (task, classes)
    assert table.y.dtype == (np.int64 if task == "classification" else np.float32)


def test_the_task_can_be_told(written):
    path = written("a,grade\n1,1\n2,3\n3,2\n")
    assert read_csv(path, "grade").recipe.target.classes == ("1", "2", "3")
    assert read_csv(path, "grade", task="regression").recipe.target.classes == ()
    path = written("a,x\n" + "".join(f"{k},{k}\n" for k in range(20)))
    assert len(read_csv(path, "x", task="classification").recipe.target.classes) == 20


def test_decode_gives_classes_and_their_probability(written):
    two = read_csv(written("a,t\n1,no\n2,yes\n"), "t", validation=0).recipe.target
    assert two.decode([[0.25], [0.875]]) == [("no", 0.75), ("yes", 0.875)]
    three = read_csv(written("a,t\n1,x\n2,y\n3,z\n"), "t", validation=0).recipe.target
    assert three.decode([[0.25, 0.125, 0.625]]) == [("z", 0.625)]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: ("\n" + text.replace("\n", "\n\n")).encode(),
        lambda text: text.replace("Bonn", '"Bonn"').replace(",", " , ").replace(' "', '"').encode(),
    ],
    ids=["BOM", "CRLF", "CR", "no last line end", "blank lines", "blanks and quotes"],
)
def test_harmless_forms_of_a_file_give_the_same_table(written, change):
    text = change(FLATS).replace(b'"Bonn" ', b'"Bonn"')
    plain = read_csv(written(FLATS, "plain.csv"), "rent", task="regression")
    other = read_csv(written(text), "rent", task="regression")
    assert np.array_equal(plain.X, other.X)
    assert plain.recipe == other.recipe


def test_quoted_delimiters_quotes_and_newlines(written):
    path = written('note,t\n"a, ""b""",1.5\n"two\nlines",2.5\nplain,0.5\n')
    table = read_csv(path, "t", validation=0)
    assert table.recipe.columns[0].values == ('a, "b"', "plain", "two\nlines")


def test_another_delimiter(written):
    path = written(FLATS.replace(",", ";"))
    assert read_csv(path, "rent", delimiter=";").X.shape[1] == 4


FAULTS = {
    "empty": ("", "data.csv is empty; expected a line with the names"),
    "blank lines only": ("\n\n\n", "data.csv is empty"),
    "header only": ("a,t\n", "data.csv has a header, but no rows"),
    "too few fields": ("a,b,t\n1,2,3\n4,5\n", "line 3, column 3 (t): the record ends before it; "
                       "expected 3 fields as in the header, got 2"),
    "too many fields": ("a,t\n1,2\n\n4,5,6\n", "line 4, column 3: the record goes on; expected 2"),
    "text in numbers": ("a,t\n1,0.5\n2,1.5\noops,2.5\n", "line 4, column 1 (a): 'oops' is no "
                        "number, as the other values of this column are; correct it, or name"),
    "decimal comma": ('a,t\n1.5,1\n2.5,2\n"3,5",3\n', "'3,5' is no number, as the other values of "
                      "this column are; decimals are written with a point"),
    "infinite": ("a,t\n1,1\n2,inf\n", "line 3, column 2 (t): 'inf' is too large; numbers go up to "
                 "1e+100"),
    "too large": ("a,t\n1e300,1\n2,2\n-1e300,3\n", "line 2, column 1 (a): '1e300' is too large"),
    "too many classes": ("a,t\n" + "".join(f"{k},name{k}\n" for k in range(101)), "column 2 (t): "
                         "more than 100 different texts, such as 'name0', 'name1', 'name2'; these "
                         "are too many classes to tell apart"),
    "underscore": ("a,t\n1,1\n1_0,2\n", "line 3, column 1 (a): '1_0' is no number"),
    "missing": ("a,b,t\n1,2,3\n,2,4\n5,NaN,6\n7,NA,8\n", "line 3, column 1 (a): a value is missing "
                "(in all: 1 in a, 2 in b); choose for missing values 'drop'"),
    "all missing": ("a,b,t\n1,,3\n2,?,4\n", "column 2 (b): all values are missing; ignore"),
    "duplicate header": ("a,b,a,t\n1,2,3,4\n", "line 1: columns 1 and 3 are both named 'a'"),
    "nameless column": (",a,t\n0,1,2\n", "line 1, column 1: the column has no name"),
    "no header": ("1,2,3\n4,5,6\n", "line 1: expected the names of the columns, got numbers: 1,2"),
    "semicolons": ("a;t\n1;2\n", "line 1: one column, 'a;t'; is it a semicolon that stands between "
                   "fields? Then the delimiter is ';'"),
    "tabs": ("a\tt\n1\t2\n", "is it a tab that stands between fields?"),
    "open quote": ('a,t\n1,2\n3,"4\n5,6\n', 'line 3, column 2: the quote " that opens here is '
                   "never closed"),
    "text after quote": ('a,t\n1,2\n"x"y,2\n', "line 3: ',' expected after '\"'; inside quotes, a "
                         "quote is written twice"),
    "not UTF-8": (b"a,t\n1,2\n\xe9t\xe9,3\n", "line 3, character 1: byte 0xe9 is not UTF-8"),
    "UTF-16": ("a,t\n1,2\n".encode("utf-16"), "data.csv is UTF-16 text; save it as UTF-8"),
    "workbook": (b"PK\x03\x04\x14\x00\xff\xff", "is a workbook or another packed file"),
    "no target": ("age,Target\n1,2\n", "there is no target column 't'; The columns: 'age'"),
    "constant target": ("a,t\n1,2\n2,2\n", "column 't': all values are the same"),
    "target alone": ("t\n1\n2\n", "no column is left to predict 't' from"),
    "many texts": ("a,t\n" + "".join(f"name{k},{k}.5\n" for k in range(101)), "column 1 (a): more "
                   "than 100 different texts, such as 'name0', 'name1', 'name2'"),
    "quoted newlines before": ('a,t\n"x\ny",1\n"z\r\nw",2\nv,oops\n', "line 6, column 2 (t)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_with_their_place(written, name):
    text, message = FAULTS[name]
    path = written(text)
    with pytest.raises(TableError) as caught:
        read_csv(path, "t")
    said = str(caught.value)
    assert message in said
    assert str(path) in said
    assert "\n" not in said
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, GraphError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "Rent"}, "no target column 'Rent'; did you mean 'rent'?"),
        ({"target": "rentt"}, "did you mean 'rent'?"),
        ({"target": "rent", "ignore": ["tonw"]}, "no column 'tonw'; did you mean 'town'?"),
        ({"target": "rent", "ignore": ["rent"]}, "'rent' is the target: it cannot be ignored"),
        ({"target": "rent", "missing": "guess"}, "missing 'guess'; expected one of error, drop"),
        ({"target": "rent", "validation": 0.7}, "validation 0.7; expected a share from 0 to 0.5"),
        ({"target": "rent", "task": "ranking"}, "task 'ranking'; expected regression or class"),
        ({"target": "town", "task": "regression"}, "column 'town': regression needs numbers"),
        ({"target": "rent", "delimiter": ""}, "delimiter '': expected one character"),
        ({"target": "rent", "delimiter": "|"}, "is it a comma that stands between fields?"),
    ],
)
def test_options_that_do_not_fit(written, options, message):
    with pytest.raises(TableError, match=re.escape(message)):
        read_csv(written(FLATS), **options)


HOLES = "a,c,t\n1,x,1.5\n,y,2.5\n3,,3.5\n5,x,\n7,x,4.5\n"


def test_rows_with_missing_values_can_be_dropped(written):
    table = read_csv(written(HOLES), "t", missing="drop", validation=0)
    assert (len(table.X), table.survey.dropped) == (2, 3)
    assert [t.missing for t in table.survey.tallies] == [1, 1, 1]
    assert table.recipe.columns[0].mean == 4  # of 1 and 7


@pytest.mark.parametrize("a", ["x", "1"])
def test_a_column_without_values_in_the_rows_that_are_left(written, a):
    path = written(f"a,b,t\n{a},,1.5\n,2,2.5\n,3,3.5\n")
    with pytest.raises(TableError, match=r"data.csv has a header, and no row is complete"):
        read_csv(path, "t", missing="drop")
    path = written(f"a,b,t\n{a},1,\n,2,2.5\n,3,3.5\n")
    with pytest.raises(TableError, match="all values are missing in the rows with a"):
        read_csv(path, "t", missing="mean")


def test_missing_values_can_be_the_mean(written):
    table = read_csv(written(HOLES), "t", missing="mean", validation=0)
    assert table.survey.dropped == 1  # no target
    assert table.recipe.columns[0].mean == pytest.approx((1 + 3 + 7) / 3)
    assert table.X[1, 0] == 0
    np.testing.assert_allclose(table.X[2, 1:], [2 / 3, 1 / 3], rtol=1e-6)


def test_scaling_is_of_the_training_rows(written):
    values = np.random.default_rng(1).normal(3, 2, 1000)
    path = written("a,t\n" + "".join(f"{v!r},{v!r}\n" for v in values.tolist()))
    table = read_csv(path, "t", validation=0.3, seed=5)
    assert (len(table.X), len(table.X_validation)) == (700, 300)
    train = Holdout(0.3, 5).training(1000)
    assert table.recipe.columns[0].mean == pytest.approx(values[train].mean(), rel=1e-12)
    assert table.recipe.columns[0].deviation == pytest.approx(values[train].std(), rel=1e-12)
    assert abs(table.X.mean()) < 1e-6 < abs(table.X_validation.mean())


def test_a_constant_column_is_no_trouble(written):
    path = written("a,b,t\n" + "0.1,1,2.5\n0.1,2,1.5\n" * 50)
    table = read_csv(path, "t")
    assert np.abs(table.X[:, 0]).max() < 1e-6


def test_numbers_named_among_the_categories(written):
    table = read_csv(written("zip,t\n01234,1.5\n1234,2.5\n01234,3.5\n"), "t", categories=["zip"])
    assert table.recipe.columns[0].values == ("01234", "1234")


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5])
def test_rows_set_aside(share):
    whole = Holdout(share, 3).training(10_000)
    assert abs((~whole).sum() - 10_000 * share) <= 1
    parts = Holdout(share, 3)
    assert np.array_equal(whole, np.concatenate([parts.training(n) for n in [1, 0, 4999, 5000]]))
    assert not np.array_equal(whole, Holdout(share, 4).training(10_000))
    first = [int(np.argmin(Holdout(share, s).training(100))) for s in range(50)]
    assert len(set(first)) == round(1 / share + 0.4)  # any row of the first stretch


def test_large_arrays_are_files_that_vanish(written, monkeypatch):
    monkeypatch.setattr(loading, "IN_MEMORY", 100)
    text = "a,b,t\n" + "".join(f"{k},{k % 3},{k * 0.5}\n" for k in range(5000))
    mapped = read_csv(written(text), "t")
    assert isinstance(mapped.X, np.memmap)
    file = mapped.X.filename
    monkeypatch.undo()
    plain = read_csv(written(text), "t")
    assert not isinstance(plain.X, np.memmap)
    assert np.array_equal(plain.X, mapped.X)
    assert np.array_equal(plain.y_validation, mapped.y_validation)
    del mapped
    gc.collect()
    assert not Path(file).exists()


def test_lines_are_counted_over_chunks(written):
    text = "a,b\n" + "".join(f'"{k}\n\n",{k}\n\n' for k in range(5000))
    rows = Rows(written(text))
    for chunk in rows.chunks(7):
        for k, row in enumerate(chunk.rows):
            assert chunk.line(k) == 2 + 4 * int(row[1])


def test_a_recipe_goes_through_json(written):
    recipe = read_csv(written(FLATS), "rent", task="regression", missing="mean").recipe
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    recipe = read_csv(written(FLATS), "town").recipe
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("target"),
        lambda r: r.pop("columns"),
        lambda r: r.update(columns=[]),
        lambda r: r.update(columns=[7]),
        lambda r: r.update(missing="explode"),
        lambda r: r["target"].update(task="x"),
        lambda r: r["target"].update(classes=[1]),
        lambda r: r["columns"][0].update(mean="0"),
        lambda r: r["columns"][0].update(kind="__class__"),
        lambda r: r["columns"][1].update(shares=None),
    ],
)
def test_what_is_no_recipe_is_refused(written, change):
    table = read_csv(written(FLATS), "rent", task="regression")
    found = json.loads(json.dumps(table.recipe.to_json()))
    change(found)
    with pytest.raises(TableError, match="no recipe of a table"):
        Recipe.from_json(found)


@pytest.mark.parametrize("found", [None, [], "x", {}])
def test_other_json_is_no_recipe(found):
    with pytest.raises(TableError, match="no recipe of a table"):
        Recipe.from_json(found)


PIECES = st.sampled_from(
    ["a", "t", ",", ",", "\n", "\n", "\r\n", "\r", '"', '""', "1", "2.5", "-3e4", "nan", "", " ",
     "é", "inf", "1e400", "1e308", "\0", "\ufeff", ";", "\t", "1_0", "yes", "\x1b", "\u2028"]
)  # fmt: skip
FILES = st.one_of(
    st.binary(max_size=60),
    st.lists(PIECES, max_size=40).map(lambda p: "".join(p).encode()),
    st.lists(PIECES, max_size=40).map(lambda p: ("t,a\n" + "".join(p)).encode()),
    st.lists(st.tuples(PIECES, PIECES), max_size=12).map(
        lambda rows: "\n".join(["t,a", *(",".join(r) for r in rows)]).encode()
    ),
)


@settings(deadline=None, max_examples=300, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(FILES, st.sampled_from(["error", "drop", "mean"]))
def test_any_file_is_a_table_of_finite_numbers_or_a_clear_error(tmp_path, content, missing):
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    said = ""
    try:
        table = read_csv(path, "t", missing=missing)
    except TableError as fault:
        said = str(fault)
    assert not {"\n", "\x1b"} & set(said)
    if not said:
        assert np.isfinite(table.X).all()
        assert np.isfinite(table.y).all()
        assert len(table.X) == table.survey.train > 0
