"""Scopes nest, end and do not mix between threads; a node knows the line that wrote it."""

from __future__ import annotations

import sys
import threading

import pytest

import graphgrad as gg


def test_scopes_nest_and_end() -> None:
    x = gg.var("x", 1.0)
    with gg.scope("network") as outer:
        a = x * 2
        with gg.scope("hidden/1/") as inner:
            b = x * 3
        c = x * 4
    assert [n.scope for n in (x, a, b, c, x * 5)] == [
        "", "network", "network/hidden/1", "network", "",
    ]  # fmt: skip
    assert (outer, inner) == ("network", "network/hidden/1")
    for wrong in ("", "/", None):
        with pytest.raises(ValueError, match="expected a non-empty string"), gg.scope(wrong):
            pass


def test_a_scope_ends_with_an_exception_too() -> None:
    x = gg.var("x", 1.0)
    with pytest.raises(KeyError), gg.scope("lost"):
        raise KeyError
    assert (x * 2).scope == ""


def test_composites_and_gradients_have_scopes_of_their_own() -> None:
    x = gg.var("x", [1.0, 2.0])
    with gg.scope("net"):
        y = gg.softmax(x)
    assert y.scope == "net/softmax"
    assert gg.grad(y[0], x).scope.startswith("gradient/net/softmax")


def test_threads_do_not_mix_their_scopes() -> None:
    x = gg.var("x", 1.0)
    barrier = threading.Barrier(4, timeout=60)
    seen: dict[str, set[str]] = {}

    def work(name: str) -> None:
        scopes = set()
        for _ in range(50):
            with gg.scope(name):
                barrier.wait()
                scopes.add((x * 2).scope)
                barrier.wait()
            scopes.add((x * 2).scope)
        seen[name] = scopes

    threads = [threading.Thread(target=work, args=(f"t{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {f"t{k}": {f"t{k}", ""} for k in range(4)}


def here() -> int:
    return sys._getframe(1).f_lineno


def square_of(x: gg.Node) -> gg.Node:
    return x * x  # the line of square_of


def test_the_source_is_the_users_line() -> None:
    x, line = gg.var("x", 2.0), here()
    assert x.source is not None
    assert (x.source.filename, x.source.line) == (__file__, line)
    assert x.source.text == 'x, line = gg.var("x", 2.0), here()'
    y = square_of(x)
    assert y.source.function == "square_of"
    assert y.source.text == "return x * x  # the line of square_of"
    many, line = [x * k for k in range(3)], here()
    assert {n.source.line for n in many} == {line}
    soft, line = gg.softmax(gg.const([1.0, 2.0])), here()
    assert soft.source.line == soft.inputs[0].source.line == line
    text = "soft, line = gg.softmax(gg.const([1.0, 2.0])), here()"
    assert repr(soft.source) == f"{__file__}:{line}: {text}"


def test_the_source_in_an_expression_of_several_lines() -> None:
    x = gg.var("x", 2.0)
    first = here() + 1
    y = (
        gg.sin(x)
        + gg.cos(x)
    )  # fmt: skip
    lines = {n.op: n.source.line - first for n in (y, *y.inputs)}
    assert lines == {"sin": 1, "cos": 2, "add": 1}


def test_gradient_nodes_know_what_they_are_derivatives_of() -> None:
    x = gg.var("x", 2.0)
    y = gg.sin(x)
    loss = y * y
    d, line = gg.grad(loss, x), here()
    made = [n for n in gg.ancestors(d) if n.scope.startswith("gradient") and not n.is_leaf]
    assert [(n.op, n.origin) for n in made] == [
        ("mul", loss), ("mul", loss), ("add", loss), ("cos", y), ("mul", y),
    ]  # fmt: skip
    assert {n.source.line for n in made} == {line}
    assert y.origin is None
