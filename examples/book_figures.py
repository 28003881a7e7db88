"""The two figures of a textbook: running a forward pass, running a backward pass.

Run it by ``python examples/book_figures.py [folder]``.
"""

import sys
from pathlib import Path

import graphgrad as gg

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "figures")
folder.mkdir(parents=True, exist_ok=True)

x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
x1 = (x * w).named("x1")
x2 = (x1 + b).named("x2")
loss = abs(4 - x2).named("loss")

for phase in ("forward", "backward"):
    picture = gg.draw(loss, phase=phase)
    for format in ("svg", "pdf"):
        (folder / f"{phase}.{format}").write_bytes(picture.pipe(format))

loss.backward()
print(f"loss = {loss.value}, dloss/dw = {w.grad}, dloss/db = {b.grad}")
