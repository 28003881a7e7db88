"""Where does a gradient come from? Walk the tape, then add up the paths with networkx."""

import math

import networkx as nx

import graphgrad as gg

x = gg.var("x", 0.5)
h = gg.tanh(2 * x).named("h")
y = (h * h + x).named("y")

tape = gg.tape(y)
for step in tape.backward:
    node, position = step.edge
    source = step.edge.source.name or step.edge.source.op
    print(f"step {step.index}: {node.name or node.op} -> {source}: {step.contribution:.6f}")

graph = gg.to_networkx(tape)
paths = [
    math.prod(graph.edges[edge]["local"] for edge in path)
    for path in nx.all_simple_edge_paths(graph, x, y)
]
print("paths:", " + ".join(f"{p:.6f}" for p in paths), "=", f"{sum(paths):.6f}")
print("adjoint of x:", f"{tape.adjoint(x):.6f}")
