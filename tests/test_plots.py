"""Plots: what is drawn, from which numbers, headless and without touching global state."""

import re
import subprocess
import sys

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GraphError, MissingDependencyError

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")

from matplotlib.figure import Figure

from graphgrad import nn, plots
from graphgrad.plots import canvas, directions, slopes

HISTORY = {
    "loss": [3.0, 2.0, 1.5, 1.2],
    "val_loss": [3.1, 2.4, 2.6, 2.7],
    "accuracy": [0.5, 0.6, 0.7, 0.8],
    "val_accuracy": [0.5, 0.55, 0.5, 0.5],
}


def texts(axes):
    return [t.get_text() for t in axes.texts]


def drawn(figure):
    """Return the picture's pixels: drawing must not fail, and must not be a blank page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    page = FigureCanvasAgg(figure)
    page.draw()
    pixels = np.asarray(page.buffer_rgba())
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 10
    return pixels


# -- curves ------------------------------------------------------------------------------------


def test_curves_show_training_and_validation():
    figure = plots.curves(HISTORY)
    assert isinstance(figure, Figure)
    loss, accuracy = figure.axes
    assert (loss.get_title(), loss.get_xlabel(), accuracy.get_ylabel()) == (
        "loss", "epoch", "accuracy",
    )  # fmt: skip
    training, validation = loss.lines[:2]
    assert training.get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.5], [4, 1.2]]
    assert validation.get_ydata().tolist() == HISTORY["val_loss"]
    assert training.get_linestyle() != validation.get_linestyle()
    drawn(figure)


def test_early_stopping_is_marked():
    assert texts(plots.curves(HISTORY).axes[1]) == ["best: epoch 2"]
    assert texts(plots.curves(HISTORY, best=3).axes[0]) == ["best: epoch 3"]
    falling = {"loss": [3, 2, 1], "val_loss": [3, 2, 1]}
    assert texts(plots.curves(falling).axes[0]) == []
    assert texts(plots.curves({"loss": [1.0], "val_loss": [float("nan")]}).axes[0]) == []


def test_curves_take_the_history_of_fit_and_a_logarithmic_scale():
    class History:
        history = HISTORY

    figure = plots.curves(History(), log=True)
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]


@pytest.mark.parametrize("given", [{}, [1, 2], {"accuracy": [1]}, None])
def test_what_is_no_history_is_refused(given):
    with pytest.raises(GraphError, match="expected what fit returned, or a dictionary"):
        plots.curves(given)


# -- activations -------------------------------------------------------------------------------


def test_activations_with_their_derivatives():
    figure = plots.activations(["sigmoid", "tanh", "relu"], low=-4, high=4)
    for axes, slope in zip(figure.axes, [lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
                                         lambda z: 1 - np.tanh(z) ** 2,
                                         lambda z: (z > 0) * 1.0]):  # fmt: skip
        z, found = axes.lines[-1].get_data()
        there = np.isfinite(found)
        assert there.mean() > 0.99
        np.testing.assert_allclose(found[there], slope(z[there]), atol=1e-12)
    drawn(figure)


def test_a_jump_of_a_derivative_is_a_gap():
    steps = slopes._broken(np.array([0.0, 0, 0, 1, 1]))
    assert np.isnan(steps).tolist() == [False, False, True, False, False]


def test_a_function_of_ones_own():
    figure = plots.activations([lambda z: gg.sin(z) ** 2])
    z, slope = figure.axes[0].lines[-1].get_data()
    np.testing.assert_allclose(slope, np.sin(2 * z), atol=1e-12)


# -- decision boundaries -----------------------------------------------------------------------


def circle(points):
    return 1 / (1 + np.exp(8 * (np.hypot(*points.T) - 0.75)))


def test_the_boundary_is_where_the_decision_changes():
    X, y = nn.datasets.circles(60)
    figure = plots.decision_boundary(circle, X, y, names=["width", "height"], title="circles")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    line = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*line.T), 0.75, atol=2e-3)
    inner = axes.collections[2].get_offsets()
    assert sorted(map(tuple, inner)) == sorted(map(tuple, X[y == 1]))
    drawn(figure)


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_boundary_of_many_classes(one_hot):
    X, y = nn.datasets.blobs(90, classes=3)
    centers = np.array([X[y == k].mean(0) for k in range(3)])

    def nearest(points):
        p = np.exp(-((points[:, None] - centers) ** 2).sum(-1) / 8)
        return p / p.sum(1, keepdims=True)

    figure = plots.decision_boundary(nearest, X, np.eye(3)[y] if one_hot else y)
    picture = figure.axes[0].images[0].get_array()
    assert picture.shape == (200, 200, 3)
    assert (picture >= 0).all()
    assert (picture <= 1).all()
    names = [t.get_text() for t in figure.legends[0].texts]
    assert names == ["class 0", "class 1", "class 2"]
    drawn(figure)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 4)), [0, 1, 0], "X: 4 features; a boundary is drawn of 2"),
        (np.ones((3, 2)), [0, 1], "y: 2 classes for 3 examples"),
        (np.ones(3), [0, 1, 0], "X: shape (3,); expected 2 axes"),
        ("abc", [0], "X: expected numbers, got 'abc'"),
    ],
)
def test_data_that_do_not_fit_a_plane(X, y, message):
    with pytest.raises(GraphError) as caught:
        plots.decision_boundary(circle, X, y)
    assert message in str(caught.value)


def test_the_boundary_during_training(tmp_path):
    X, y = nn.datasets.circles(60)
    film = plots.BoundaryFilm(X, y, every=5, resolution=30)
    model = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(1, "sigmoid")])
    model.compile(nn.Adam(0.1), "binary_crossentropy", target="numpy")
    model.fit(X, y, epochs=20, verbose=0, callbacks=[film])
    assert film.epochs == [0, 5, 10, 15, 20]
    figure = film.figure(most=3)
    assert [axes.get_title() for axes in figure.axes] == ["before training", "epoch 10", "epoch 20"]
    first, last = (axes.images[0].get_array() for axes in (figure.axes[0], figure.axes[-1]))
    np.testing.assert_allclose(np.ravel(last), model.predict(film._plane.points)[:, 0], atol=1e-6)
    assert np.abs(first - last).max() > 0.1
    film.save(tmp_path / "film.gif", seconds=0.1)
    from PIL import Image

    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.n_frames == 5


def test_a_film_without_frames_says_what_to_do():
    with pytest.raises(GraphError, match="no frames: give the film to fit as a callback first"):
        plots.BoundaryFilm(*nn.datasets.xor()).figure()


# -- descents ----------------------------------------------------------------------------------


def bowl():
    a, b = gg.var("a", 2.0), gg.var("b", 1.0)
    return a**2 + 5 * b**2, [a, b]


def test_a_descent_follows_the_gradient_and_leaves_no_trace():
    loss, variables = bowl()
    path, losses = plots.trace(loss, variables, nn.SGD(0.05), 3)
    expected = [[2.0 * 0.9**k, 1.0 * 0.5**k] for k in range(4)]
    np.testing.assert_allclose(path, expected, rtol=1e-12)
    np.testing.assert_allclose(losses, [a**2 + 5 * b**2 for a, b in expected], rtol=1e-12)
    assert [v.value for v in variables] == [2.0, 1.0]
    adam = nn.Adam(0.1)
    first = plots.trace(loss, variables, adam, 5)[0]
    assert np.array_equal(first, plots.trace(loss, variables, adam, 5)[0])  # its state, too


def test_the_path_lies_on_the_surface():
    loss, variables = bowl()
    figure = plots.descent(loss, variables, nn.SGD(0.05), steps=4, spans=[(-3, 3), (-2, 2)])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [2.0 * 0.9**k for k in range(5)])
    assert axes.get_xlim() == (-3, 3)
    drawn(figure)


def test_a_descent_on_a_curve():
    x = gg.var("x", 2.0)
    figure = plots.descent(x**2, [x], nn.SGD(0.25), steps=3)
    curve, steps = figure.axes[0].lines[:2]
    assert steps.get_xydata().tolist() == [[2, 4], [1, 1], [0.5, 0.25], [0.25, 0.0625]]
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata() ** 2)
    drawn(figure)


def test_a_race():
    loss, variables = bowl()
    racers = {"slow": nn.SGD(0.001), "fast": nn.SGD(0.05), "Adam": "adam"}
    figure = plots.race(loss, variables, racers, steps=20)
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert list(lines) == list(racers)
    assert lines["fast"].get_ydata()[-1] < lines["slow"].get_ydata()[-1]
    assert len({(line.get_color(), str(line.get_linestyle())) for line in lines.values()}) == 3
    drawn(figure)


def test_a_race_that_diverges_is_drawn_all_the_same():
    loss, variables = bowl()
    with np.errstate(all="ignore"):
        drawn(plots.race(loss, variables, [nn.SGD(3.0), nn.Adam(0.1)], steps=200))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: plots.race(a**2, [a], ["sgd"]), "1 variables; a race is run on a surface of 2"),
        (lambda a: plots.trace(a**2, [gg.var("v", [1.0])], "sgd", 1), "a path is of scalar"),
        (lambda a: plots.trace(a**2, [a], "speedy", 1), "speedy"),
    ],
)
def test_descents_that_cannot_be(call, message):
    with pytest.raises(GraphError, match=message):
        call(gg.var("a", 1.0))


# -- landscapes --------------------------------------------------------------------------------


def test_filters_of_a_direction_are_as_long_as_those_of_the_weights():
    random = np.random.default_rng(0)
    weights = [random.standard_normal(s) for s in [(5, 3), (3,), (4, 2, 3, 3)]]
    dense, bias, conv = directions.filter_normalized(weights, random)
    np.testing.assert_allclose(np.linalg.norm(dense, axis=0), np.linalg.norm(weights[0], axis=0))
    assert not bias.any()
    lengths = [np.sqrt((k**2).sum((1, 2, 3))) for k in (conv, weights[2])]
    np.testing.assert_allclose(*lengths)


def test_main_directions_hold_a_plane_path_whole():
    u, v = np.array([[1.0, 0, 1]]), np.array([[0.0, 2, 0]])
    path = [[a * u + b * v + 3] for a, b in [(4, 1), (3, -1), (1, 0.5), (0, 0)]]
    found = directions.principal(path, path[-1])
    assert directions.share(path, path[-1], found) == pytest.approx(1)
    assert directions.share(path, path[-1], found[:1]) < 1
    places = directions.projected(path, path[-1], found)
    back = [[p * found[0][0] + q * found[1][0] + path[-1][0]] for p, q in places]
    np.testing.assert_allclose(np.array(back), np.array(path), atol=1e-12)


@pytest.fixture(scope="module")
def trained():
    X, y = nn.datasets.moons(80)
    model = nn.Sequential([nn.Dense(6, "tanh"), nn.Dense(1, "sigmoid")])
    model.compile(nn.Adam(0.05), "binary_crossentropy", metrics=["accuracy"], target="numpy")
    path = plots.WeightPath(every=2)
    model.fit(X, y, epochs=20, verbose=0, callbacks=[path])
    return model, X, y, path


@pytest.mark.parametrize("kind", ["random", "path"])
def test_the_landscape_has_the_trained_network_in_it(trained, kind):
    model, X, y, path = trained
    before = model.get_weights()
    figure = plots.landscape(model, X, y, path, directions=kind, resolution=9)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    star = figure.axes[1].lines[-1].get_data_3d()
    np.testing.assert_allclose([star[0][0], star[1][0]], 0, atol=1e-6)
    walked = figure.axes[1].lines[1].get_data_3d()
    assert len(walked[0]) == 11
    loss = model.evaluate(X, y, return_dict=True)["loss"]
    shown = np.log10(loss) if "log" in figure.axes[1].get_zlabel() else loss
    heights = figure.axes[1].get_zlim()
    assert np.ravel(star[2])[0] == pytest.approx(shown, abs=0.02 * np.ptp(heights))
    drawn(figure)


def test_the_plane_of_a_path_shows_it_and_a_random_one_does_not(trained):
    model, X, y, path = trained
    labels = {}
    for kind in ("auto", "path", "random"):
        left = plots.landscape(model, X, y, path, directions=kind, resolution=5).axes[0]
        assert len(left.lines) == 3
        labels[kind] = [left.get_xlabel(), left.get_ylabel()]
        shares = [float(re.search(r"\((\S+)% of the path\)", t)[1]) for t in labels[kind]]
        assert sum(shares) > 90 if kind != "random" else sum(shares) < 50
    assert labels["auto"] == labels["path"]
    short = plots.landscape(model, X, y, path.weights[-2:], resolution=5)
    assert short.axes[0].get_xlabel().startswith("random direction 1")


def test_a_landscape_without_a_path(trained):
    model, X, y, _ = trained
    figure = plots.landscape(model, X, y, resolution=5)
    assert len(figure.axes[0].lines) == 1
    assert figure.axes[0].get_xlabel() == "random direction 1"
    with pytest.raises(GraphError, match="expected 'random', or 'path' with a path"):
        plots.landscape(model, X, y, directions="path")
    with pytest.raises(GraphError, match="a path of 1 points; its two main directions need three"):
        plots.landscape(model, X, y, [model.get_weights()], directions="path")


# -- inside a network --------------------------------------------------------------------------


def test_histograms_count_every_output_and_every_gradient(trained):
    model, X, y, _ = trained
    figure = plots.histograms(model, X, y)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1)
    hidden = np.tanh(X @ model.layers[0].kernel.value + model.layers[0].bias.value)
    assert f"mean {hidden.mean():.3g}" in texts(figure.axes[0])[0]
    drawn(figure)


def test_gradients_of_layers_are_those_of_the_loss(trained):
    from graphgrad.plots.networks import gradients_of

    model, X, y, _ = trained
    (_, (_, bias)) = gradients_of(model, X, y)[-1]
    p = model.predict(X)[:, 0]
    np.testing.assert_allclose(bias, [np.mean(p - y)], rtol=1e-4)


def test_dead_units_and_zero_gradients_are_told():
    X, y = nn.datasets.moons(30)
    model = nn.Sequential([nn.Dense(4, "relu", bias_initializer=nn.Constant(-100)), nn.Dense(1)])
    model.compile("sgd", "mse", target="numpy")
    model.build((2,))
    figure = plots.histograms(model, X, y)
    assert "100% are 0" in texts(figure.axes[0])[0]
    assert texts(figure.axes[1]) == ["median 0.0e+00\n100% are 0"]
    drawn(figure)


@pytest.fixture(scope="module")
def images():
    return nn.Sequential(
        [nn.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)), nn.MaxPooling2D(),
         nn.Conv2D(2, 2), nn.Flatten(), nn.Dense(10, "softmax")]
    )  # fmt: skip


def test_kernels_are_drawn_as_they_are(images):
    figure = plots.kernels(images)
    values = images.layers[0].kernel.value
    pictures = [axes.images[0].get_array() for axes in figure.axes[:3]]
    np.testing.assert_array_equal(np.array(pictures), values[:, 0])
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high
    drawn(figure)


def test_kernels_of_several_channels_are_rows(images):
    figure = plots.kernels(images, images.layers[2].name)
    values = images.layers[2].kernel.value
    pictures = [axes.images[0].get_array() for axes in figure.axes[:6]]
    np.testing.assert_array_equal(np.array(pictures).reshape(values.shape), values)


def test_kernels_of_a_dense_layer_over_pixels():
    model = nn.Sequential([nn.Dense(5, input_shape=(12,))])
    figure = plots.kernels(model, shape=(3, 4))
    found = figure.axes[2].images[0].get_array()
    np.testing.assert_array_equal(found, model.layers[0].kernel.value[:, 2].reshape(3, 4))
    with pytest.raises(GraphError, match="has 12 inputs; say the shape of the image"):
        plots.kernels(model)


def test_what_has_no_kernels_says_so(images):
    with pytest.raises(GraphError, match="has no kernel; choose a Conv2D or a Dense"):
        plots.kernels(images, images.layers[1].name)
    with pytest.raises(GraphError, match="this network has no kernels yet"):
        plots.kernels(nn.Sequential([nn.Dense(2)]))
    with pytest.raises(GraphError, match="no layer of this network gives images"):
        plots.activation_maps(nn.Sequential([nn.Dense(2, input_shape=(3,))]), np.ones(3))


def test_activation_maps_show_what_each_layer_makes_of_an_image(images):
    X, _ = nn.datasets.digits()
    figure = plots.activation_maps(images, X[5])
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    assert [p.shape for p in pictures] == [(8, 8)] + 3 * [(6, 6)] + 3 * [(3, 3)] + 2 * [(2, 2)]
    np.testing.assert_array_equal(pictures[0], X[5])
    pooled = pictures[1].reshape(3, 2, 3, 2).max((1, 3))
    np.testing.assert_allclose(pictures[4], pooled)
    drawn(figure)


# -- the house ---------------------------------------------------------------------------------


def test_global_settings_are_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.curves(HISTORY)
    assert dict(matplotlib.rcParams) == before


def test_settings_of_the_user_do_not_change_the_plots():
    import matplotlib

    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        axes = plots.curves(HISTORY).axes[0]
        drawn(axes.figure)
        assert axes.get_facecolor() == (1, 1, 1, 1)
        sizes = {t.get_fontsize() for t in (axes.xaxis.label, *axes.get_xticklabels())}
    assert sizes == {13}


def test_names_are_text_and_no_formulas():
    X, y = nn.datasets.xor()
    figure = plots.decision_boundary(lambda p: p[:, 0], X, y, names=["$x^{", "a_b$"])
    drawn(figure)


def test_importing_the_plots_loads_no_matplotlib():
    code = "import sys, graphgrad.plots; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'graphgrad\[plot\]'"):
        plots.curves(HISTORY)


def test_colors_and_lines_come_in_pairs():
    assert len(canvas.COLORS) == len(canvas.LINES) == len(canvas.MARKERS)
    assert len(set(canvas.COLORS)) == 8
