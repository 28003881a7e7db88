"""Graphs that several tests look at: the textbook's example, and a result used more than once."""

from __future__ import annotations

import graphgrad as gg


def book():
    """Return loss = |4 − (x·w + b)| at x = 2, w = 3, b = 1, every step named."""
    return gg.parse("x1 = x*w; x2 = x1 + b; d = 4 - x2; loss = abs(d)", x=2, w=3, b=1)


def reused():
    """Return y = h·h + x with h = tanh(w·x) in a scope within a scope."""
    x = gg.var("x", 0.5)
    with gg.scope("net"), gg.scope("hidden"):
        h = gg.tanh(gg.var("w", 2.0) * x).named("h")
    return (h * h + x).named("y")


def find(root, name):
    """Return the first node of this name that a node depends on."""
    return next(n for n in gg.ancestors(root) if n.name == name)
