"""How long proofs take, and how much of them is proved.

    python tests/benchmarks/proof.py [rules lesson networks reports] [--json]

rules and lesson are whole processes of the command line, started with files in the cache (one run
before the timed ones); networks are `gg.verify` in this process, on a fresh graph each time. Every
row of every report is counted: proved by algebra, checked at points, or not decided.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from measure import Row, run, seconds

import graphgrad as gg

LESSON = ["abs(4 - (x*w + b))", "x=2", "w=3", "b=1"]
TURNS = 5


def command(*arguments: str) -> float:
    """Return the median wall time of ``graphgrad verify``, after one run that is not counted."""
    line = [sys.executable, "-m", "graphgrad.cli", "verify", *arguments]

    def once() -> None:
        subprocess.run(line, check=True, capture_output=True)

    once()
    return statistics.median(seconds(once) for _ in range(TURNS))


def rules() -> list[Row]:
    """Time the whole rule book."""
    return [{"what": "graphgrad verify --rules, whole process", "s": command("--rules")}]


def lesson() -> list[Row]:
    """Time lesson 15."""
    return [{"what": "graphgrad verify of lesson 15, whole process", "s": command(*LESSON)}]


def network(inputs: int, hidden: int, tanh: bool = True) -> gg.Node:
    """Return the cross-entropy of an inputs-hidden-1 network, written neuron by neuron."""
    value = iter([0.1 * (k % 7) - 0.3 for k in range(200)])
    xs = [gg.var(f"x{i}", 0.5 + 0.2 * i) for i in range(inputs)]
    act = gg.tanh if tanh else gg.relu
    outputs = []
    for j in range(hidden):
        z = gg.var(f"b{j}", next(value))
        for i, x in enumerate(xs):
            z = z + gg.var(f"w{j}{i}", next(value)) * x
        outputs.append(gg.var(f"v{j}", next(value)) * act(z))
    p = gg.sigmoid(sum(outputs[1:], outputs[0]) + gg.var("c", next(value)))
    t = gg.const(1.0)
    return -t * gg.log(p) - (1 - t) * gg.log(1 - p)


def networks() -> list[Row]:
    """Time networks, all parameters end to end, and count what came out."""
    made = [
        measured("2-3-1, tanh, cross-entropy", lambda: network(2, 3)),
        measured("2-3-1, relu, cross-entropy", lambda: network(2, 3, tanh=False)),
        measured("4-8-1, tanh, cross-entropy", lambda: network(4, 8)),
        measured("4-8-1, relu, cross-entropy", lambda: network(4, 8, tanh=False)),
    ]
    return made


def measured(what: str, make: Any) -> Row:
    """Return the median seconds of a proof, and how many of its rows have which status."""
    gg.verify(make())
    graphs = [make() for _ in range(3)]
    reports: list[Any] = []
    times = [seconds(lambda y=y: reports.append(gg.verify(y))) for y in graphs]
    leaves = [row for row in reports[-1].rows if row.kind == "leaf"]
    found = {s: sum(row.status == s for row in leaves) for s in ("proved", "checked")}
    return {
        "what": what,
        "s": statistics.median(times),
        "budget_s": reports[-1].budget,
        "leaves": len(leaves),
        **found,
        "not decided": len(leaves) - sum(found.values()),
        "edges": sum(row.count for row in reports[-1].rows if row.kind == "edge"),
        "edges proved": reports[-1].counts["proved"] - found["proved"],
    }


def reports() -> list[Row]:
    """Time the forms of one report."""
    report = gg.verify(network(4, 8))
    forms = {form: getattr(report, form) for form in ("text", "markdown", "html", "latex", "json")}
    return [{"what": f"report of 4-8-1 as {form}", "s": seconds(f)} for form, f in forms.items()]


if __name__ == "__main__":
    run(
        {"rules": rules, "lesson": lesson, "networks": networks, "reports": reports},
        ["sympy", "mpmath", "numpy", "rich"],
    )
