"""Layers: shapes, numbers, gradients by the complex step, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.errors import DtypeError, NetworkError, ShapeError
from graphgrad.nn.parts import Run

from . import checks


def filled(layer, *shapes, seed=0):
    """Return a layer's output for random inputs in float64, with random parameters."""
    rng = np.random.default_rng(seed)
    inputs = [gg.var(f"x{k}", rng.normal(size=shape)) for k, shape in enumerate(shapes)]
    layer(inputs if len(inputs) > 1 else inputs[0])
    for w in layer.weights:
        positive = w.node.name == "moving_variance"
        w.node.value = rng.uniform(0.5, 2, w.node.shape) if positive else rng.normal(
            size=w.node.shape)  # fmt: skip
    return inputs, layer


SMOOTH = {
    "dense": (lambda: nn.Dense(3, "tanh"), [(4, 2)]),
    "dense softmax": (lambda: nn.Dense(3, "softmax"), [(4, 2)]),
    "dense on sequences": (lambda: nn.Dense(3, "sigmoid"), [(2, 4, 3)]),
    "dense without bias": (lambda: nn.Dense(2, use_bias=False), [(3, 2)]),
    "conv": (lambda: nn.Conv2D(2, 3, activation="tanh"), [(2, 5, 4, 2)]),
    "conv same": (lambda: nn.Conv2D(2, (3, 2), strides=2, padding="same"), [(1, 5, 4, 1)]),
    "conv channels first": (
        lambda: nn.Conv2D(2, 2, data_format="channels_first"), [(2, 2, 4, 3)],
    ),
    "average": (lambda: nn.AveragePooling2D(2, padding="same"), [(2, 5, 4, 2)]),
    "max": (lambda: nn.MaxPooling2D(2), [(2, 4, 4, 2)]),
    "flatten": (lambda: nn.Flatten(), [(2, 3, 2)]),
    "reshape": (lambda: nn.Reshape((3, -1)), [(2, 6)]),
    "activation": (lambda: nn.Activation("softplus"), [(2, 3)]),
    "concatenate": (lambda: nn.Concatenate(), [(2, 3), (2, 1)]),
    "add": (lambda: nn.Add(), [(2, 3), (2, 3), (2, 3)]),
    "normalization": (lambda: nn.BatchNormalization(), [(4, 3)]),
    "normalization of images": (lambda: nn.BatchNormalization(), [(2, 3, 2, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_by_the_complex_step(name, training):
    make, shapes = SMOOTH[name]
    inputs, layer = filled(make(), *shapes)
    y = layer.nodes(inputs, Run(training=training))
    checks.check_gradient(y, [*inputs, *[w.node for w in layer.parameters]])


def test_gradient_of_an_embedding():
    layer = nn.Embedding(4, 3)
    y = layer(gg.var("x", [[0, 3], [3, 1]], dtype=int))
    assert y.shape == (2, 2, 3)
    layer.embeddings.value = np.random.default_rng(0).normal(size=(4, 3))
    wide = gg.sum(gg.square(y))
    g = gg.grad(wide, layer.embeddings).value
    expected = 2 * layer.embeddings.value * np.array([1, 1, 0, 2])[:, None]
    np.testing.assert_allclose(g, expected, rtol=1e-6)


def test_dense_is_the_formula():
    (x,), layer = filled(nn.Dense(3, "relu"), (4, 2))
    expected = np.maximum(x.value @ layer.kernel.value + layer.bias.value, 0)
    np.testing.assert_allclose(layer(x).value, expected, rtol=1e-14)


def test_convolution_is_the_sum_over_the_window():
    (x,), layer = filled(nn.Conv2D(3, (2, 3), strides=(1, 2), padding="valid"), (2, 4, 7, 2))
    y, W = layer(x).value, layer.kernel.value
    assert y.shape == (2, 3, 3, 3)
    window = x.value[1, 2:4, 4:7]  # rows, columns, channels
    expected = np.einsum("ijc,kcij->k", window, W) + layer.bias.value
    np.testing.assert_allclose(y[1, 2, 2], expected, rtol=1e-12)


def test_average_pooling_does_not_count_the_border():
    ones = gg.var("x", np.ones((1, 3, 3, 1)))
    means = nn.AveragePooling2D(2, padding="same")(ones).value
    assert means.tolist() == np.ones((1, 2, 2, 1)).tolist()


def test_both_formats_of_images_agree():
    (x,), last = filled(nn.Conv2D(3, 2, padding="same"), (2, 4, 5, 2))
    first = nn.Conv2D(3, 2, padding="same", data_format="channels_first")
    moved = gg.var("x", x.value.transpose(0, 3, 1, 2))
    first(moved)
    first.set_weights(last.get_weights())
    a, b = last(x).value, first(moved).value.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(a, b, rtol=1e-13)


def test_normalization_makes_mean_0_and_variance_1_and_follows_the_moments():
    rng = np.random.default_rng(0)
    x = gg.var("x", rng.normal(3, 2, size=(200, 3)))
    layer = nn.BatchNormalization(momentum=0.75, epsilon=1e-9)
    layer(x)
    run = Run(training=True)
    y = layer.nodes([x], run).value
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-6)
    moved = [run.updates[v].value for v in (layer.moving_mean, layer.moving_variance)]
    np.testing.assert_allclose(moved[0], 0.25 * x.value.mean(0))
    np.testing.assert_allclose(moved[1], 0.75 + 0.25 * x.value.var(0))


def test_normalization_does_not_see_rows_that_fill_up():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(5, 2, 2, 3))
    padded = np.concatenate([data, rng.normal(100, 1, size=(3, 2, 2, 3))])
    layer = nn.BatchNormalization()
    x, z = gg.var("x", data), gg.var("z", padded)
    layer(x)
    mask = gg.var("mask", [1.0] * 5 + [0.0] * 3)
    whole, part = Run(training=True), Run(training=True, mask=mask)
    y, w = layer.nodes([x], whole), layer.nodes([z], part)
    np.testing.assert_allclose(w.value[:5], y.value, rtol=1e-10)
    for v, node in whole.updates.items():
        np.testing.assert_allclose(part.updates[v].value, node.value, rtol=1e-12)


def test_dropout_keeps_the_mean_and_depends_on_seed_and_step_only():
    x = gg.var("x", np.ones((100, 200)))
    step = gg.var("step", 0, dtype=int)
    layer = nn.Dropout(0.3)

    def drawn(seed=0):
        return layer.nodes([x], Run(training=True, counter=step, seed=seed)).value

    first = drawn()
    assert set(np.unique(first)) == {0.0, 1 / 0.7}
    assert abs(first.mean() - 1) < 4 * np.sqrt(0.3 / 0.7 / 20_000)
    assert np.array_equal(first, drawn())
    assert not np.array_equal(first, drawn(seed=1))
    step.value = 1
    assert not np.array_equal(first, drawn())
    assert layer.nodes([x], Run(counter=step)) is x


def test_two_uses_of_dropout_draw_different_masks():
    x = gg.var("x", np.ones((10, 10)))
    run = Run(training=True, counter=gg.var("step", 0, dtype=int))
    layer = nn.Dropout(0.5)
    a, b = layer.nodes([x], run), layer.nodes([x], run)
    assert not np.array_equal(a.value, b.value)


@pytest.mark.parametrize(
    ("name", "variance"),
    [("glorot_uniform", 2 / 300), ("glorot_normal", 2 / 300), ("he_uniform", 2 / 100),
     ("he_normal", 2 / 100), (nn.RandomNormal(0, 0.1), 0.01)],
)  # fmt: skip
def test_first_values_have_the_variance_of_the_paper(name, variance):
    W = nn.Sequential([nn.Dense(200, kernel_initializer=name, input_shape=(100,))]).get_weights()[0]
    assert abs(W.mean()) < 5 * np.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=0.05)
    assert len(np.unique(W)) > 0.99 * W.size


def test_first_values_depend_on_the_seed_alone():
    def made(seed):
        return nn.Sequential([nn.Dense(4, input_shape=(3,)), nn.Dense(4)], seed=seed).get_weights()

    a, b, c = made(0), made(0), made(1)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])
    assert not np.array_equal(a[0][:3, :3], a[2][:3, :3])  # layers differ from each other


def test_penalties_are_added_to_the_loss():
    model = nn.Sequential([
        nn.Dense(2, kernel_regularizer=nn.L2(0.1), input_shape=(2,)),
        nn.Dense(1, kernel_regularizer=nn.L1(0.5), bias_regularizer=nn.L1L2(0.5, 0.25)),
    ])  # fmt: skip
    model.compile("sgd", "mse", target="numpy")
    W, b, V, c = (np.asarray(w) for w in model.get_weights())
    model.set_weights([W, b, V, c + 2])
    X, y = np.ones((1, 2)), np.zeros((1, 1))
    plain = float(np.square(model.predict(X)).mean())
    expected = plain + 0.1 * np.sum(W**2) + 0.5 * np.sum(np.abs(V)) + 0.5 * 2 + 0.25 * 4
    assert model.evaluate(X, y) == pytest.approx(expected, rel=1e-6)


def test_frozen_layers_keep_their_parameters():
    model = nn.Sequential([nn.Dense(2, trainable=False, input_shape=(2,)), nn.Dense(1)])
    model.compile("sgd", "mse", target="numpy")
    before = model.get_weights()
    model.fit(np.ones((4, 2)), np.zeros(4), verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])
    model.layers[0].trainable = True
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_names_of_layers_and_parameters():
    model = nn.Sequential([
        nn.Conv2D(2, 2, input_shape=(4, 4, 1)), nn.MaxPooling2D(), nn.Flatten(), nn.Dense(2),
        nn.Dense(2, name="last"),
    ])  # fmt: skip
    names = [layer.name for layer in model.layers]
    assert names == ["conv2d", "max_pooling2d", "flatten", "dense", "last"]
    assert repr(model.get_layer("dense")) == "Dense(units=2, name='dense')"
    with pytest.raises(NetworkError, match=r"no layer is called 'dens'; there are conv2d, .*last"):
        model.get_layer("dens")
    model(gg.var("x", shape=(1, 4, 4, 1)))
    assert [(w.node.scope, w.node.name) for w in model.weights][-1] == ("last", "b")


def test_summary_counts_parameters_and_operations(capsys):
    model = nn.Sequential([nn.Dense(100, "relu", input_shape=(64,)), nn.Dense(10, "softmax")])
    model.summary()
    text = capsys.readouterr().out
    assert "7,510 parameters, 7,510 of them trained" in text
    assert "(None, 100)" in text
    # Products 2·64·100 and 2·100·10, biases and ReLU 100 each, bias 10, softmax 10 + 10 + 10.
    assert f"{12800 + 2000 + 200 + 10 + 30:,} floating operations" in text


ERRORS = {
    "units": (lambda: nn.Dense(0), ShapeError, "units=0: expected a whole number of at least 1"),
    "units text": (lambda: nn.Dense("8"), ShapeError, "units='8'"),
    "activation": (
        lambda: nn.Dense(1, "rleu"), NetworkError, "activation 'rleu': expected 'relu'",
    ),
    "rate": (lambda: nn.Dropout(1), NetworkError, r"rate=1; expected a number in \[0, 1\)"),
    "padding": (
        lambda: nn.Conv2D(1, 2, padding="full"), NetworkError, "expected 'valid' or 'same'",
    ),
    "no image": (
        lambda: nn.Sequential([nn.Conv2D(1, 2, input_shape=(8, 8))]), ShapeError,
        r"an image has shape \(8, 8\); expected \(rows, columns, channels\)",
    ),
    "kernel too large": (
        lambda: nn.Sequential([nn.Conv2D(1, 9, input_shape=(8, 8, 1))]), ShapeError,
        r"Conv2D cannot take inputs of shape \(8, 8, 1\)",
    ),
    "reshape": (
        lambda: nn.Sequential([nn.Reshape((4, 4), input_shape=(15,))]), ShapeError,
        r"Reshape cannot take inputs of shape \(15,\)",
    ),
    "add": (
        lambda: nn.Add()([nn.Input(2), nn.Input(3)]), ShapeError, r"shape \(2,\) and \(3,\)",
    ),
    "other input": (
        lambda: [f := nn.Dense(2), f(nn.Input(2)), f(nn.Input(3))], ShapeError,
        r"was made for inputs of shape \(2,\), and is now called on \(3,\)",
    ),
    "call on array": (
        lambda: nn.Dense(2)(np.ones((2, 2))), NetworkError, "expected nn.Input",
    ),
    "no layer": (lambda: nn.Sequential([7]), NetworkError, "7 is no layer"),
    "twice": (
        lambda: [f := nn.Dense(2, input_shape=2), nn.Sequential([f, f])], NetworkError,
        "in this Sequential already",
    ),
    "one name": (
        lambda: nn.Sequential([nn.Dense(2, input_shape=2, name="a"), nn.Dense(2, name="a")]),
        NetworkError, "two layers are called 'a'",
    ),
    "missing input": (
        lambda: [x := nn.Input(2), z := nn.Input(2), nn.Model(x, nn.Add()([x, z]))],
        NetworkError, r"an input of shape \(2,\) leads to the outputs",
    ),
    "no symbol": (lambda: nn.Model(3, 4), NetworkError, "inputs: 3; expected nn.Input"),
    "name": (lambda: nn.Dense(1, name="a/b"), NetworkError, "name 'a/b': expected text without"),
    "momentum": (lambda: nn.BatchNormalization(momentum=1), NetworkError, "momentum=1"),
    "complex": (lambda: nn.Input(2, dtype="complex128"), DtypeError, "complex128"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_says_what_to_do(name):
    make, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        make()
