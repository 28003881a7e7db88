"""Makes optimizers.json: trajectories of PyTorch's optimizers, float64, 100 steps, every tenth.

    python tests/golden/optimizers.py

The function is in `loss`; the start is (0.3, -0.4, 0.8). Needs PyTorch, which the tests do not.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

START = [0.3, -0.4, 0.8]
CASES = {
    "sgd": ("SGD", {"lr": 0.05}),
    "momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    "adagrad": ("Adagrad", {"lr": 0.3}),
    "adagrad_from_0.1": ("Adagrad", {"lr": 0.3, "initial_accumulator_value": 0.1}),
    "adadelta": ("Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-6}),
    "rmsprop": ("RMSprop", {"lr": 0.004, "alpha": 0.9, "eps": 1e-7}),
    "adam": ("Adam", {"lr": 0.05}),
    "adamw": ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    "clipvalue": ("SGD", {"lr": 0.05}),
    "clipnorm": ("SGD", {"lr": 0.05}),
    "exponential": ("Adam", {"lr": 0.1}),
    "step": ("SGD", {"lr": 0.1}),
    "cosine": ("SGD", {"lr": 0.1}),
}
SCHEDULES = {
    "exponential": ("ExponentialLR", [0.97]),
    "step": ("StepLR", [30, 0.5]),
    "cosine": ("CosineAnnealingLR", [100]),
}


def loss(torch, w):
    """Return a function with a bent valley, so that no two optimizers go the same way."""
    first = 0.5 * (w[0] - 1) ** 2 + 2 * (w[1] - w[0] ** 2) ** 2
    return first + torch.nn.functional.softplus(w[2] * w[0]) + 0.1 * w[2] ** 2


def trajectory(name):
    """Return where an optimizer is after 10, 20, … 100 steps."""
    import torch

    kind, settings = CASES[name]
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([w], **settings)
    schedule = None
    if name in SCHEDULES:
        rule, numbers = SCHEDULES[name]
        schedule = getattr(torch.optim.lr_scheduler, rule)(optimizer, *numbers)
    points = []
    for step in range(1, 101):
        optimizer.zero_grad()
        loss(torch, w).backward()
        if name == "clipvalue":
            torch.nn.utils.clip_grad_value_([w], 0.2)
        if name == "clipnorm":
            w.grad *= min(1.0, 0.3 / float(torch.linalg.vector_norm(w.grad)))
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if step % 10 == 0:
            points.append(w.tolist())
    return points


if __name__ == "__main__":
    found = {"source": f"torch {version('torch')}, tests/golden/optimizers.py"}
    found.update({name: trajectory(name) for name in CASES})
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{path}\n")
