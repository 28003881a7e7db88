"""LSTM: the loss of predicting each character of a text from those before it.

ADBench's cells are diagonal: a gate's pre-activation is weight · input + bias, entry by entry.
Its normaliser is log(2 + Σ eʸ), not log Σ eʸ; so it is here, for the published numbers have it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import graphgrad as gg


def objective(main: Any, extra: Any, state: Any, sequence: Any) -> Any:
    """Return minus the mean log-probability of the sequence after its first character.

    Args:
        main: a row of weights, then a row of biases, per layer: shape (2 layers, 4 b).
        extra: weights of the input, weights and biases of the output: shape (3, b).
        state: the hidden state, then the cell, per layer: shape (2 layers, b).
        sequence: one character of b bits per row: shape (c, b).
    """
    layers = [(main[2 * k], main[2 * k + 1]) for k in range(main.shape[0] // 2)]
    states = [(state[2 * k], state[2 * k + 1]) for k in range(len(layers))]
    entry, exit_weight, exit_bias = extra[0], extra[1], extra[2]
    terms = []
    for now, following in pairwise(sequence):
        signal = now * entry
        for k, (weight, bias) in enumerate(layers):
            states[k] = cell(weight, bias, *states[k], signal)
            signal = states[k][0]
        y = signal * exit_weight + exit_bias
        log_probability = y - gg.log(2 + gg.sum(gg.exp(y)))
        terms.append(gg.sum(following * log_probability))
    return -gg.sum(gg.stack(terms)) / (len(terms) * sequence.shape[1])


def cell(weight: Any, bias: Any, hidden: Any, memory: Any, signal: Any) -> tuple[Any, Any]:
    """Return the next hidden state and memory of one layer, each of shape (b,)."""
    b = hidden.shape[0]
    gates = gg.concatenate([signal, hidden, signal, hidden]) * weight + bias
    forget, take_in, give_out = (gg.sigmoid(gates[k * b : (k + 1) * b]) for k in range(3))
    memory = memory * forget + take_in * gg.tanh(gates[3 * b :])
    return give_out * gg.tanh(memory), memory
