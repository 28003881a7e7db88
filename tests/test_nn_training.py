"""Training: numbers of fit, evaluate and predict, losses and metrics, callbacks, data that fits."""

from __future__ import annotations

import csv
import math
import os
import signal
import threading

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.errors import DivergenceError, DtypeError, NetworkError, ShapeError
from graphgrad.nn.losses import NAMES as LOSSES


def regression(n=50, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.3


def linear(optimizer="sgd", loss="mse", target="numpy", **options):
    model = nn.Sequential([nn.Dense(1, input_shape=(3,))])
    model.compile(optimizer, loss, target=target, **options)
    return model


# -- the lectures' programs ----------------------------------------------------------------------


def test_the_lectures_keras_program_runs_with_other_imports_only(tmp_path):
    table = np.column_stack(regression(200))
    np.savetxt(tmp_path / "predictors_data.csv", table, delimiter=",")
    from graphgrad.nn import Dense, Sequential

    predictors = np.loadtxt(tmp_path / "predictors_data.csv", delimiter=",")[:, :3]
    n_cols = predictors.shape[1]
    model = Sequential()
    model.add(Dense(100, activation="relu", input_shape=(n_cols,)))
    model.add(Dense(100, activation="relu"))
    model.add(Dense(1))
    model.compile(optimizer="adam", loss="mean_squared_error", target="numpy")
    model.fit(predictors, table[:, 3], epochs=30, verbose=0)
    assert model.evaluate(predictors, table[:, 3]) < 0.05


def test_the_lectures_functional_program_runs():
    from graphgrad.nn import Dense, Input, Model

    m, d1 = 3, 5
    inputs = Input(m)
    hidden = Dense(d1)(inputs)
    outputs = Dense(2)(hidden)
    model = Model(inputs, outputs)
    assert model.predict(np.ones((4, m))).shape == (4, 2)
    assert model.count_params() == m * d1 + d1 + 2 * d1 + 2


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_xor_is_learned(target):
    X, y = nn.datasets.xor()
    model = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(1, "sigmoid")])
    model.compile(nn.Adam(0.1), "binary_crossentropy", ["accuracy"], target=target)
    history = model.fit(X, y, epochs=60, batch_size=4, verbose=0)
    assert history.history["accuracy"][-1] == 1.0
    assert history.epoch == list(range(60))
    assert ((model.predict(X)[:, 0] > 0.5) == y).all()


def test_targets_give_the_same_numbers():
    X, y = regression(50)
    found = []
    for target in ("numpy", "numba"):
        model = nn.Sequential(
            [nn.Dense(4, "tanh", input_shape=(3,)), nn.Dropout(0.2), nn.Dense(1)], seed=3
        )
        model.compile(nn.Adam(0.01), "mse", ["mae"], target=target)
        history = model.fit(X, y, epochs=3, batch_size=16, verbose=0, validation_split=0.2)
        found.append(history.history)
    for key, values in found[0].items():
        np.testing.assert_allclose(values, found[1][key], rtol=1e-4)


# -- what a step is ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [8, 50, 51, 53])
def test_every_epoch_sees_every_example_once_and_the_last_batch_is_its_own_mean(n):
    X, y = regression(n)
    model = linear(nn.SGD(0.1))
    w, b = (v.astype(float) for v in model.get_weights())
    model.fit(X, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for _ in range(2):
        for k in range(0, n, 8):
            x, t = X[k : k + 8], y[k : k + 8, None]
            error = 2 * (x @ w + b - t) / len(x)
            w, b = w - 0.1 * x.T @ error, b - 0.1 * error.sum(0)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-6)


def test_chunks_of_any_size_give_the_same_run(monkeypatch):
    X, y = regression(50)

    def run(seconds, **more):
        monkeypatch.setattr("graphgrad.nn.loop.SECONDS", seconds)
        model = linear("adam", metrics=["mae"])
        history = model.fit(X, y, epochs=7, batch_size=8, verbose=0, **more)
        return [v.tobytes() for v in model.get_weights()], history.history

    whole, small = run(1e9), run(0.0)
    assert whole == small
    assert run(1e9, callbacks=[nn.LambdaCallback(lambda epoch, logs: None)]) == whole


def test_same_seed_same_run_other_seed_other_run():
    X, y = regression()

    def end(seed):
        model = nn.Sequential([nn.Dense(4, "relu"), nn.Dropout(0.5), nn.Dense(1)], seed=seed)
        model.compile("adam", "mse", target="numpy")
        return model.fit(X, y, epochs=2, verbose=0).history["loss"]

    assert end(1) == end(1)
    assert end(1) != end(2)


def test_a_second_fit_goes_on_with_other_orders():
    X, y = regression()
    a, b = linear(), linear()
    a.fit(X, y, epochs=4, verbose=0)
    for _ in range(4):
        b.fit(X, y, epochs=1, verbose=0)
    assert np.array_equal(a.get_weights()[0], b.get_weights()[0])
    assert a.epochs_done == b.epochs_done == 4


def test_weights_of_examples_and_classes():
    X, y = regression(24)
    labels = (y > 0).astype(int)
    weights = np.where(labels == 1, 3.0, 0.5)

    def end(**more):
        model = linear(nn.SGD(0.1), "binary_crossentropy")
        model.layers[0].activation = "sigmoid"
        model.fit(X, labels, batch_size=7, epochs=3, verbose=0, **more)
        return model.get_weights()[0]

    by_example, by_class = end(sample_weight=weights), end(class_weight={0: 0.5, 1: 3.0})
    np.testing.assert_array_equal(by_example, by_class)
    assert not np.allclose(by_example, end())
    np.testing.assert_allclose(end(sample_weight=np.ones(24)), end(), rtol=1e-5)


def test_an_example_of_weight_0_does_not_count():
    X, y = regression(16)
    X2, y2 = np.concatenate([X, X + 100]), np.concatenate([y, y - 1e3])
    weights = np.repeat([1.0, 0.0], 16)
    a, b = linear(nn.SGD(0.1)), linear(nn.SGD(0.2))
    a.fit(X, y, batch_size=16, verbose=0, shuffle=False)
    b.fit(X2, y2, batch_size=32, verbose=0, sample_weight=weights, shuffle=False)
    np.testing.assert_allclose(a.get_weights()[0], b.get_weights()[0], rtol=1e-5)


def test_evaluate_and_predict_do_not_depend_on_the_batch():
    X, y = regression(37)
    model = linear(metrics=["mae", "r2"])
    expected = model.predict(X, batch_size=37)
    for size in (1, 5, 36, 100):
        found = model.predict(X, batch_size=size)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        logs = model.evaluate(X, y, batch_size=size, return_dict=True)
        error = expected[:, 0] - y
        assert logs["loss"] == pytest.approx(np.mean(error**2), rel=1e-5)
        assert logs["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
        assert logs["r2"] == pytest.approx(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2))


# -- losses and metrics --------------------------------------------------------------------------


def loss_of(name, y, p, **more):
    model = nn.Sequential([nn.Activation("linear", input_shape=np.shape(p)[1:])])
    model.compile("sgd", name, target="numpy", **more)
    return model.evaluate(p, y)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_losses_are_their_formulas():
    rng = np.random.default_rng(0)
    p, y = rng.normal(size=(2, 20, 3)) * 2
    e = p - y
    q, t = rng.uniform(0.01, 0.99, (20, 3)), rng.integers(0, 2, (20, 3))
    classes = rng.integers(0, 3, 20)
    s = softmax(p)
    picked = -np.log(s[np.arange(20), classes])
    cases = [
        ("mse", y, p, np.mean(e**2)),
        ("mae", y, p, np.mean(np.abs(e))),
        (nn.Huber(0.5), y, p, np.mean(np.where(abs(e) < 0.5, e**2 / 2, 0.5 * (abs(e) - 0.25)))),
        ("hinge", 2 * t - 1, p, np.mean(np.maximum(0, 1 - (2 * t - 1) * p))),
        ("binary_crossentropy", t, q, -np.mean(t * np.log(q) + (1 - t) * np.log(1 - q))),
        ("categorical_crossentropy", np.eye(3)[classes], s, picked.mean()),
        ("sparse_categorical_crossentropy", classes, s, picked.mean()),
        (nn.CategoricalCrossentropy(from_logits=True), np.eye(3)[classes], p, picked.mean()),
        (nn.SparseCategoricalCrossentropy(from_logits=True), classes, p, picked.mean()),
        (nn.BinaryCrossentropy(from_logits=True), t, p,
         np.mean(np.log1p(np.exp(p)) - t * p)),
        (lambda y_true, y_pred: gg.abs(y_true - y_pred) ** 3, y, p, np.mean(np.abs(e) ** 3)),
    ]  # fmt: skip
    for name, target, prediction, expected in cases:
        assert loss_of(name, target, prediction) == pytest.approx(expected, rel=2e-5), name


@pytest.mark.parametrize("z", [1000.0, -1000.0, 0.0])
def test_cross_entropies_behind_their_activation_are_stable(z):
    for activation, loss, y, units in [
        ("sigmoid", "binary_crossentropy", 0.0, 1),
        ("softmax", "sparse_categorical_crossentropy", 1, 2),
        ("softmax", "categorical_crossentropy", [0.0, 1.0], 2),
    ]:
        model = nn.Sequential([nn.Dense(units, activation, input_shape=(1,))])
        model.compile(nn.SGD(1.0), loss, target="numpy")
        model.set_weights([np.array([[z, 0.0][:units]]), np.zeros(units)])
        expected = max(z, 0.0) if abs(z) > 1 else math.log(2)
        assert model.evaluate([[1.0]], [y]) == pytest.approx(expected)
        history = model.fit([[1.0]], [y], verbose=0)
        assert np.isfinite(history.history["loss"][0])
        assert np.isfinite(model.get_weights()[0]).all()


def test_metrics_of_two_classes():
    y = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p = np.array([0.9, 0.8, 0.2, 0.6, 0.1, 0.1, 0.1, 0.1])
    model = nn.Sequential([nn.Activation("linear", input_shape=(1,))])
    model.compile("sgd", "binary_crossentropy", ["accuracy", "precision", nn.Recall],
                  target="numpy")  # fmt: skip
    for size in (3, 8):
        logs = model.evaluate(p, y, batch_size=size, return_dict=True)
        assert logs["accuracy"] == 6 / 8
        assert logs["precision"] == pytest.approx(2 / 3)
        assert logs["recall"] == pytest.approx(2 / 3)
    nothing = model.evaluate(p * 0, y, return_dict=True)
    assert (nothing["precision"], nothing["recall"]) == (0.0, 0.0)


def test_metrics_of_several_epochs_at_once_are_those_of_each():
    X, y = regression(40)
    labels = (y > 0).astype(int)

    def run(*callbacks):
        model = linear("sgd", "binary_crossentropy", metrics=["precision", "recall", "r2"])
        return model.fit(X, labels, epochs=6, batch_size=40, verbose=0, callbacks=callbacks).history

    assert run() == run(nn.LambdaCallback(lambda epoch, logs: None))


def test_accuracy_follows_the_loss():
    cases = [
        ("sparse_categorical_crossentropy", [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
        ("categorical_crossentropy", np.eye(2)[[0, 1, 1]], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
        (nn.BinaryCrossentropy(from_logits=True), [0, 1, 1], [[-1.0], [0.3], [-0.3]]),
        ("hinge", [-1, 1, 1], [[-1.0], [0.3], [-0.3]]),
    ]
    for loss, y, p in cases:
        model = nn.Sequential([nn.Activation("linear", input_shape=np.shape(p)[1:])])
        model.compile("sgd", loss, "accuracy", target="numpy")
        assert model.evaluate(p, y)[1] == pytest.approx(2 / 3)


def test_every_loss_has_the_gradient_of_its_formula():
    from . import checks

    rng = np.random.default_rng(0)
    for name, kind in LOSSES.items():
        z = gg.var("z", rng.normal(size=(4, 3)))
        p = gg.softmax(z) if "categorical" in name else gg.sigmoid(z)
        loss = kind()
        y = [0, 2, 1, 0] if loss.classes else np.eye(3)[[0, 2, 1, 0]]
        checks.check_gradient(loss(gg.const(y), p), z)


# -- several inputs and outputs --------------------------------------------------------------------


def test_several_inputs_outputs_and_shares():
    a, b = nn.Input(2), nn.Input(3)
    twin = nn.Dense(4, "relu")
    h = nn.Add()([twin(a), twin(nn.Dense(2)(b))])
    size, kind = nn.Dense(1, name="size")(h), nn.Dense(3, "softmax", name="kind")(h)
    model = nn.Model([a, b], [size, kind])
    model.compile(
        "adam", {"size": "mse", "kind": "sparse_categorical_crossentropy"},
        {"kind": ["accuracy"]}, {"size": 0.5, "kind": 2.0}, target="numpy",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
    y = [A.sum(1), (B.argmax(1))]
    history = model.fit([A, B], y, epochs=3, batch_size=8, verbose=0, validation_split=0.2)
    assert list(history.history) == [
        "loss", "size_loss", "kind_loss", "kind_accuracy",
        "val_loss", "val_size_loss", "val_kind_loss", "val_kind_accuracy",
    ]  # fmt: skip
    h = history.history
    np.testing.assert_allclose(
        h["loss"], 0.5 * np.array(h["size_loss"]) + 2 * np.array(h["kind_loss"]), rtol=1e-5
    )
    p, q = model.predict([A, B])
    assert (p.shape, q.shape) == ((30, 1), (30, 3))


# -- data ------------------------------------------------------------------------------------------


def test_an_iterable_of_batches_is_the_same_as_its_arrays():
    X, y = regression(50)
    batches = [(X[k : k + 8], y[k : k + 8]) for k in range(0, 50, 8)]
    a, b, c = linear(), linear(), linear()
    ha = a.fit(X, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    hb = b.fit(batches, epochs=3, verbose=0)
    endless = (batch for _ in range(9) for batch in batches)
    c.fit(endless, epochs=3, steps_per_epoch=7, verbose=0)
    for other in (b, c):
        np.testing.assert_array_equal(a.get_weights()[0], other.get_weights()[0])
    assert ha.history == hb.history


def test_an_iterable_with_weights_and_what_is_wrong_with_some():
    X, y = regression(16)
    model = linear()
    model.fit([(X[:8], y[:8], np.ones(8)), (X[8:12], y[8:12], np.ones(4))], verbose=0)
    once = iter([(X, y)])
    with pytest.raises(NetworkError, match="used up: give one that can be iterated again"):
        model.fit(once, epochs=2, verbose=0)
    with pytest.raises(ShapeError, match="from 1 to 8, the number of the first batch"):
        model.fit([(X[:8], y[:8]), (X, y)], verbose=0)
    with pytest.raises(NetworkError, match=r"a batch is a tuple; expected a tuple \(x, y\)"):
        model.fit([(X, y), (X,)], verbose=0)
    with pytest.raises(NetworkError, match="fit without targets: give y"):
        model.fit(X, verbose=0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_memory_mapped_arrays_are_read_batch_by_batch(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("graphgrad.nn.sources.CONVERTED", 1000)  # two batches of 32 at a time
    X, y = regression(50)
    X = (10 * X).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    a, b = linear(nn.SGD(1e-4)), linear(nn.SGD(1e-4))
    a.fit(X, y, epochs=2, validation_split=0.2, verbose=0)
    b.fit(mapped, y, epochs=2, validation_split=0.2, verbose=0)
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])
    np.testing.assert_array_equal(a.predict(X), a.predict(mapped))


def test_float64_networks_stay_float64():
    X, y = regression(16)
    model = nn.Sequential([nn.Input(3, dtype="float64"), nn.Dense(4, "tanh"), nn.Dense(1)])
    model.compile(nn.SGD(0.1, momentum=0.5), "mse", target="numpy")
    model.fit(X, y, batch_size=5, epochs=2, verbose=0, sample_weight=np.ones(16))
    assert all(w.dtype == np.float64 for w in model.get_weights())
    assert model.predict(X).dtype == np.float64


def test_shapes_of_columns_are_made_to_fit():
    X, y = regression(8)
    model = linear()
    p = model.evaluate(X, y)
    assert model.evaluate(X, y[:, None]) == model.evaluate(X.tolist(), y.tolist()) == p
    column = nn.Sequential([nn.Dense(1)])
    assert column.predict(np.arange(3.0)).shape == (3, 1)


WRONG = {
    "features": (lambda m, X, y: m.fit(X[:, :2], y), ShapeError,
                 r"inputs: shape \(8, 2\), expected \(examples, 3\)"),
    "one example": (lambda m, X, y: m.predict(X[0]), ShapeError, r"one example is a batch too"),
    "lengths": (lambda m, X, y: m.fit(X, y[:5]), ShapeError, "arrays of 8 and 5 examples"),
    "nothing": (lambda m, X, y: m.fit(X[:0], y[:0]), ShapeError, "no examples"),
    "ragged": (lambda m, X, y: m.fit([[1, 2, 3], [1]], [1, 2]), ShapeError, "inputs: "),
    "text": (lambda m, X, y: m.fit(X, ["yes", "no"] * 4), DtypeError,
             r"targets: <U3 entries; expected numbers .*np\.unique"),
    "targets": (lambda m, X, y: m.fit(X, np.ones((8, 2))), ShapeError,
                r"targets: shape \(8, 2\), expected \(examples, 1\)"),
    "weights": (lambda m, X, y: m.fit(X, y, sample_weight=-y**2), NetworkError, "at least 0"),
    "batch size": (lambda m, X, y: m.fit(X, y, batch_size=-3), NetworkError, "batch_size=-3"),
    "split": (lambda m, X, y: m.fit(X, y, validation_split=1.0), NetworkError,
              r"validation_split=1\.0 of 8 examples leaves a part empty"),
    "epochs": (lambda m, X, y: m.fit(X, y, epochs=1.5), NetworkError, r"epochs=1\.5: expected"),
    "validation": (lambda m, X, y: m.fit(X, y, validation_data=X), NetworkError,
                   r"validation_data: expected a tuple \(x, y\)"),
    "class weights": (lambda m, X, y: m.fit(X, y, class_weight=[1, 2]), NetworkError,
                      r"class_weight=\[1, 2\]: expected a dict"),
    "callback": (lambda m, X, y: m.fit(X, y, callbacks=[3]), NetworkError, "no nn.Callback"),
    "monitor": (lambda m, X, y: m.fit(X, y, verbose=0, callbacks=nn.EarlyStopping("acc")),
                NetworkError, "monitor='acc' is not measured; there are loss"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_data_that_does_not_fit_says_what_was_expected(name):
    call, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        call(linear(), *regression(8))


def test_classes_that_do_not_fit_are_told():
    model = nn.Sequential([nn.Dense(3, "softmax", input_shape=(2,))])
    X = np.ones((4, 2))
    model.compile("sgd", "sparse_categorical_crossentropy", target="numpy")
    with pytest.raises(NetworkError, match="numbers from 0 to 3; expected whole numbers from 0"):
        model.fit(X, [0, 1, 2, 3])
    with pytest.raises(NetworkError, match=r"numbers from 0\.5 to 2\.0"):
        model.fit(X, [0.5, 1, 2, 2])
    model.compile("sgd", "categorical_crossentropy", target="numpy")
    with pytest.raises(ShapeError, match="use loss='sparse_categorical_crossentropy'"):
        model.fit(X, [0, 1, 2, 2])
    words = nn.Sequential([nn.Embedding(5, 2, input_shape=(3,))])
    with pytest.raises(NetworkError, match="inputs: numbers from 0 to 5; expected whole numbers"):
        words.predict([[0, 1, 5]])


def test_what_cannot_be_compiled_says_why():
    model = nn.Sequential([nn.Dense(1, input_shape=(3,))])
    for call, message in [
        (lambda: model.fit(*regression(4)), "no loss yet: call model.compile"),
        (lambda: model.compile("adma", "mse"), "optimizer 'adma': expected 'adam'"),
        (lambda: model.compile("adam", "msee"), "loss 'msee': expected 'mse'"),
        (lambda: model.compile("adam", "mse", ["acuracy"]), "metric 'acuracy': expected 'accu"),
        (lambda: model.compile("adam", ["mse", "mse"]), "loss: 2 given for 1 outputs"),
        (lambda: model.compile("adam", {"out": "mse"}), "loss: 'out' is no output"),
        (lambda: model.compile(7, "mse"), "optimizer 7: expected a name"),
    ]:
        with pytest.raises(NetworkError, match=message):
            call()
    unshaped = nn.Sequential([nn.Dense(1)])
    for use in (gg.draw, lambda m: m.save("never.npz")):
        with pytest.raises(NetworkError, match="no parameters yet: give its first layer an input"):
            use(unshaped)
    model.compile("sgd", lambda y, p: gg.mse(p, y), target="numpy")
    with pytest.raises(ShapeError, match=r"gives shape \(\) for a batch of 4: expected a node"):
        model.fit(*regression(4))


# -- callbacks -------------------------------------------------------------------------------------


class Scripted(nn.Callback):
    """Puts numbers of its own into the logs."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, epoch, logs):
        logs["score"] = self.values[epoch]


def scripted(values, *callbacks, epochs=None):
    model = linear()
    weights = []
    note = nn.LambdaCallback(lambda epoch, logs: weights.append(model.get_weights()))
    model.fit(*regression(), epochs=epochs or len(values), verbose=0,
              callbacks=[note, Scripted(values), *callbacks])  # fmt: skip
    return model, weights


def test_early_stopping_ends_with_the_weights_of_the_best_epoch():
    stop = nn.EarlyStopping("score", patience=2)
    model, weights = scripted([5.0, 3.0, 4.0, 3.0, 2.0, 1.0], stop)
    assert (stop.best_epoch, stop.stopped_epoch, len(weights)) == (1, 3, 4)
    assert np.array_equal(model.get_weights()[0], weights[1][0])
    assert model.history.stopped == "no better score for 2 epochs"


def test_early_stopping_may_keep_the_last_weights_and_counts_upwards_when_told():
    stop = nn.EarlyStopping("score", mode="max", restore_best_weights=False, min_delta=0.5)
    model, weights = scripted([1.0, 2.0, 2.4, 9.0], stop)
    assert (stop.best_epoch, stop.stopped_epoch) == (1, 2)
    assert np.array_equal(model.get_weights()[0], weights[2][0])


def test_the_rate_is_lowered_on_a_plateau():
    model, _ = scripted([3, 2, 2, 2, 2, 2, 2.0], nn.ReduceLROnPlateau("score", 0.5, 2, min_lr=4e-3))
    assert model.optimizer.learning_rate == pytest.approx(4e-3)
    model, _ = scripted([3, 2, 2, 2, 1.0], nn.ReduceLROnPlateau("score", 0.5, 2))
    assert model.optimizer.learning_rate == pytest.approx(5e-3)


def test_a_rate_with_a_schedule_cannot_be_lowered():
    model = linear(nn.SGD(nn.WarmUp(0.1, 5)))
    lower = nn.ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    with pytest.raises(NetworkError, match=r"the rate follows WarmUp\(schedule=0.1"):
        model.fit(*regression(), epochs=3, verbose=0, callbacks=lower)


def test_the_log_is_a_csv_of_the_history(tmp_path):
    model = linear(metrics=["mae"])
    history = model.fit(*regression(), epochs=3, verbose=0, callbacks=nn.CSVLogger(tmp_path / "l"))
    with (tmp_path / "l").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["mae"]) for r in rows] == history.history["mae"]
    model.fit(*regression(), epochs=2, verbose=0, callbacks=nn.CSVLogger(tmp_path / "l", append=1))
    assert len((tmp_path / "l").read_text().splitlines()) == 6


def test_a_callback_of_batches_sees_each_and_may_stop():
    seen = []

    class Note(nn.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.append((batch, logs["loss"]))
            if len(seen) == 9:
                self.model.stop_training = True

    model = linear()
    history = model.fit(*regression(50), epochs=4, batch_size=10, verbose=0, callbacks=[Note()])
    assert [b for b, _ in seen] == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert history.epoch == [0]
    assert history.history["loss"][0] == pytest.approx(np.mean([v for _, v in seen[:5]]))
    assert history.stopped == "a callback"


def test_ctrl_c_stops_between_batches_and_returns_the_history():
    class Press(nn.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    model = linear()
    history = model.fit(*regression(), epochs=50, verbose=0, callbacks=[Press()])
    assert history.stopped == "interrupted"
    assert len(history.epoch) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread_works():
    model, found = linear(), []
    thread = threading.Thread(
        target=lambda: found.append(model.fit(*regression(), epochs=2, verbose=0))
    )
    thread.start()
    thread.join()
    assert len(found[0].epoch) == 2


# -- nan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 41])
def test_nan_stops_with_the_certificate_and_the_parameters_from_before(n):
    X, y = np.linspace(0.5, 3, n)[:, None], np.ones(n)
    X[17] = -4.0
    model = nn.Sequential([
        nn.Dense(1, kernel_initializer="ones", input_shape=(1,)), nn.Activation(gg.log),
    ])  # fmt: skip
    model.compile(nn.SGD(1e-3), "mse", target="numpy")
    with pytest.raises(DivergenceError, match=r"in epoch 1, batch 5: the loss becomes nan") as e:
        model.fit(X, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    assert (e.value.epoch, e.value.batch) == (1, 5)
    assert e.value.certificate.node.op == "log"
    assert "log of a negative number" in str(e.value) or "log" in str(e.value)
    other = nn.Sequential([
        nn.Dense(1, kernel_initializer="ones", input_shape=(1,)), nn.Activation(gg.log),
    ])  # fmt: skip
    other.compile(nn.SGD(1e-3), "mse", target="numpy")
    other.fit(X[:16], y[:16], batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_a_gradient_that_is_infinite_is_found_in_the_batch_before():
    X = np.array([[4.0], [1.0], [0.0], [1.0], [4.0]])
    model = nn.Sequential([nn.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=1),
                           nn.Activation(gg.sqrt)])  # fmt: skip
    model.compile(nn.SGD(1e-3), "mse", target="numpy")
    with pytest.raises(DivergenceError, match="epoch 1, batch 3: the loss becomes nan") as e:
        model.fit(X, np.ones(5), batch_size=1, shuffle=False, verbose=0)
    assert "backward pass" in str(e.value.certificate)
    assert np.isfinite(model.get_weights()[0]).all()


def test_a_rate_that_is_too_large_is_told():
    model = linear(nn.SGD(1e3))
    with pytest.raises(DivergenceError, match="A smaller learning rate"):
        model.fit(*regression(), epochs=100, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_nan_in_the_data_is_told_as_given():
    X, y = regression(8)
    X[5, 1] = np.nan
    with pytest.raises(DivergenceError, match=r"batch 2.*\n.*Not finite as given: x = "):
        linear().fit(X, y, batch_size=4, shuffle=False, verbose=0)


# -- looking inside -----------------------------------------------------------------------------


def test_a_network_is_drawn_stepped_and_recorded():
    model = linear("adam")
    assert [n.op for n in gg.tape(model).nodes if not n.is_leaf] == ["matmul", "add"]
    X, y = regression(5)
    model.fit(X, y, verbose=0)
    t = gg.tape(model)
    assert t.root.name == "loss"
    assert t.value(t.root) == pytest.approx(model.evaluate(X[:1], y[:1]), rel=1e-6)
    assert "cluster" in gg.draw(model, phase="backward").source
    assert "loss" in str(gg.step(model, interactive=False))


def test_the_training_graph_is_the_compiled_step():
    X, y = regression(6)
    model = linear("adam")
    graph = model.training_graph(6)
    for node, array in zip(graph.feeds, [X, y[:, None]], strict=True):
        node.value = array
    expected = {v: np.array(new.value) for v, new in graph.updates.items()}
    model.fit(X, y, batch_size=6, shuffle=False, verbose=0)
    for v, value in expected.items():
        np.testing.assert_allclose(v.value, value, rtol=1e-5)


def test_a_step_is_verified():
    model = nn.Sequential([nn.Input(2, dtype="float64"), nn.Dense(2, "tanh"),
                           nn.Dense(1, "sigmoid")])  # fmt: skip
    model.compile("sgd", "binary_crossentropy")
    graph = model.training_graph(1)
    graph.inputs[0].value, graph.targets[0].value = [[0.5, -1.0]], [[1.0]]
    assert gg.verify(graph.loss).ok


def test_lines_and_bar(capsys):
    linear().fit(*regression(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    linear().fit(*regression(), epochs=2)
    assert capsys.readouterr().out == ""


def test_the_bar_tells_where_it_is():
    from io import StringIO

    from rich.console import Console

    from graphgrad.nn.progress import Bar

    out = StringIO()
    model = linear()
    bar = Bar(Console(file=out, force_terminal=True, width=100))
    import graphgrad.nn.training as training

    original = training.progress_for
    training.progress_for = lambda verbose: bar
    try:
        model.fit(*regression(), epochs=3)
    finally:
        training.progress_for = original
    assert "epoch 3/3" in out.getvalue()
    assert "steps/s" in out.getvalue()
