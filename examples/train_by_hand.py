"""Gradient descent on two parameters in ten lines: fit y = m x + b, then look at the graph."""

import numpy as np

import graphgrad as gg

rng = np.random.default_rng(0)
x = gg.var("x", rng.uniform(-1, 1, 50))
y = gg.var("y", 3 * x.value - 1 + 0.1 * rng.normal(size=50))
m, b = gg.var("m", 0.0), gg.var("b", 0.0)
loss = gg.mse(m * x + b, y)

for step in range(200):
    loss.backward()
    for parameter in (m, b):
        parameter.value = parameter.value - 0.3 * parameter.grad
    if step % 50 == 0:
        print(f"step {step:3d}: loss = {loss.value:.4f}")

print(f"m = {m.value:.2f}, b = {b.value:.2f}")
print(gg.draw(loss, phase="backward").source.count("->"), "arrows in the picture")
