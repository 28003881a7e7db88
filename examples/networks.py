"""A network in ten lines, then a look inside: one step, the optimizer's graph, saving."""

import tempfile
from pathlib import Path

import graphgrad as gg
from graphgrad import nn

X, y = nn.datasets.moons(400)
model = nn.Sequential([
    nn.Dense(16, activation="relu", input_shape=(2,)),
    nn.Dense(16, activation="relu"),
    nn.Dense(1, activation="sigmoid"),
])  # fmt: skip
model.compile(nn.Adam(0.01), "binary_crossentropy", ["accuracy"], target="numpy")
history = model.fit(X, y, epochs=50, batch_size=40, verbose=0, validation_split=0.25,
                    callbacks=[nn.EarlyStopping(patience=5)])  # fmt: skip
print(f"{len(history.epoch)} epochs, accuracy {model.evaluate(X, y)[1]:.3f}")

print(gg.step(model, interactive=False))
graph = model.training_graph(batch_size=4)
for node, rows in zip(graph.feeds, [X[:4], y[:4, None]]):
    node.value = rows
update = graph.updates[model.layers[0].kernel]
print(gg.draw(update, collapse=["gradient"]).source.count("->"), "arrows in Adam's picture")

path = Path(tempfile.mkdtemp()) / "moons.npz"
model.save(path)
print("loaded and the same:", (nn.load_model(path).predict(X) == model.predict(X)).all())
