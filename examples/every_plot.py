"""Every plot there is: a small network learns the moons, another one handwritten digits.

Run it as ``python examples/every_plot.py [folder]``.
"""

import sys
from pathlib import Path

import graphgrad as gg
from graphgrad import nn, plots

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "plots")
folder.mkdir(parents=True, exist_ok=True)


def save(name, figure):
    figure.savefig(folder / f"{name}.png", dpi=75)
    print(folder / f"{name}.png")


# Activations and their derivatives, from the rule book.
save("activations", plots.activations(["sigmoid", "tanh", "relu"]))

# A descent, and a race of optimizers, on Rosenbrock's valley.
a, b = gg.var("a", -1.5), gg.var("b", 1.5)
valley = (1 - a) ** 2 + 5 * (b - a**2) ** 2
save("descent", plots.descent(valley, [a, b], nn.SGD(0.01), steps=150))
racers = {"SGD": nn.SGD(0.01), "momentum": nn.SGD(0.01, momentum=0.9), "Adagrad": nn.Adagrad(0.5),
          "RMSprop": nn.RMSprop(0.05), "Adam": nn.Adam(0.1)}  # fmt: skip
save("race", plots.race(valley, [a, b], racers, steps=150))

# A network learns the moons: its decision boundary, its curves, its loss landscape.
X, y = nn.datasets.moons(300, noise=0.25)
film, path = plots.BoundaryFilm(X, y, every=5), plots.WeightPath()
model = nn.Sequential([nn.Dense(32, "relu"), nn.Dense(32, "relu"), nn.Dense(1, "sigmoid")])
model.compile(nn.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
history = model.fit(
    X, y, epochs=60, validation_split=0.3, callbacks=[film, path, nn.EarlyStopping(patience=15)],
    verbose=0,
)  # fmt: skip
save("curves", plots.curves(history))
save("boundary", plots.decision_boundary(model, X, y, title="moons"))
save("learning", film.figure())
save("landscape", plots.landscape(model, X, y, path))
save("landscape_random", plots.landscape(model, X, y, path, directions="random"))

# A network of kernels learns handwritten digits: what it looks for, and how its numbers spread.
X_train, X_test, y_train, y_test = nn.datasets.split(*nn.datasets.digits())
model = nn.Sequential(
    [nn.Conv2D(8, 3, padding="same", activation="relu", input_shape=(8, 8, 1)), nn.MaxPooling2D(),
     nn.Conv2D(16, 3, activation="relu"), nn.Flatten(), nn.Dense(10, "softmax")]
)  # fmt: skip
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X_train, y_train, epochs=15, verbose=0)
save("kernels", plots.kernels(model))
save("maps", plots.activation_maps(model, X_test[0]))
save("histograms", plots.histograms(model, X_test, y_test))
