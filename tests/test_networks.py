"""The networkx view: structure, attributes, and questions networkx answers about it."""

import networkx as nx
import numpy as np

import graphgrad as gg


def graph():
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    z = (x * w).named("z")
    return x, w, z, (z * z + gg.floor(x)).named("y")


def test_nodes_and_edges_with_their_numbers():
    x, w, z, y = graph()
    G = gg.to_networkx(y)
    assert set(G) == set(gg.ancestors(y))
    assert G.nodes[z] == {
        "name": "z", "op": "mul", "shape": (), "dtype": "float64", "scope": "", "value": 6.0,
        "adjoint": 12.0,
    }  # fmt: skip
    product = next(n for n in G if n.op == "mul" and n is not z)
    assert G.number_of_edges(z, product) == 2
    edge = {"position": 0, "local": 3.0, "upstream": 12.0, "contribution": 36.0}
    assert G.edges[x, z, 0] == edge
    assert G.nodes[w]["adjoint"] == 24.0


def test_an_edge_with_derivative_zero_is_not_one_without_derivative():
    x, *_, y = graph()
    G = gg.to_networkx(y)
    floor = next(n for n in G if n.op == "floor")
    assert G.edges[x, floor, 0]["contribution"] == 0.0
    mask = x > 1
    H = gg.to_networkx(gg.where(mask, x, 1.0))
    assert H.edges[x, mask, 0]["contribution"] is None


def test_graph_questions():
    x, _, z, y = graph()
    G = gg.to_networkx(y)
    assert nx.is_directed_acyclic_graph(G)
    assert len(list(nx.all_simple_edge_paths(G, x, y))) == 3
    assert nx.has_path(G, x, z)
    assert not nx.has_path(G, y, x)
    generations = list(nx.topological_generations(G))
    assert generations[-1] == [y]


def test_the_gradient_is_the_sum_over_paths_of_products_of_local_derivatives():
    x, *_, y = graph()
    G = gg.to_networkx(y)
    total = sum(
        np.prod([G.edges[e]["local"] for e in path]) for path in nx.all_simple_edge_paths(G, x, y)
    )
    assert total == gg.grad(y, x).value


def test_vector_edges_have_contributions_and_no_number_for_the_jacobian():
    W, v = gg.var("W", np.eye(2)), gg.var("v", [1.0, 2.0])
    u = W @ v
    G = gg.to_networkx(gg.sum(u))
    assert G.edges[W, u, 0]["local"] is None
    assert G.edges[W, u, 0]["contribution"].tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert gg.to_networkx(u).nodes[u]["adjoint"] is None
