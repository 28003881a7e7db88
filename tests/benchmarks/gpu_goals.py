"""What `gpu.py` found, in short, and beside what the CUDA target is meant to reach.

Goals are for one GPU on which all contestants ran in the same call, float32 throughout.
"""

from __future__ import annotations

CHECKS = ("primitives-64", "primitives-32", "graphs", "products", "sums", "cublas")
GOALS = (
    ("moons 100", "graphgrad", "torch", 5.0),
    ("digits 32", "graphgrad", "torch", 5.0),
    ("mnist 128", "graphgrad", "torch", 2.0),
    ("mnist 128", "graphgrad", "torch-graphs", 1.2),
    ("mnist 8192", "graphgrad", "torch", 1 / 1.25),
    ("mnist 8192", "graphgrad-cublas", "torch", 1.0),
    ("cnn 256", "graphgrad", "torch", 1 / 1.5),
)
"""Work, part, peer, and how many times the part's step is to be as fast as the peer's."""
BANDWIDTH = 0.9
"""Share of a copy's bandwidth that the chain of elementwise operations is to reach."""
NUMBER = 10**8
"""Numbers of the chain; each is read once and its derivative written once, 4 bytes each."""


def rows_of(result, part):
    """Return what a part wrote."""
    return result.get(part, {}).get("rows", [])


def steps_of(result):
    """Return the microseconds of a step, by part and work."""
    found = {
        part: {r["what"]: r["step_us"] for r in ran.get("rows", []) if "step_us" in r}
        for part, ran in result.items()
    }
    return {part: steps for part, steps in found.items() if steps}


def summary(result, small=False):
    """Return what was checked, what was wrong, the steps, and which goals are reached.

    Args:
        result: by part, its rows, seconds, and how it ended if not well.
        small: whether the works were other, smaller ones, for which there are no goals.
    """
    checks = [r for part in CHECKS for r in rows_of(result, part)]
    steps = steps_of(result)
    return {
        "checked": sum(r.get("checked", 0) for r in checks),
        "wrong": [{**w, "in": r["what"]} for r in checks for w in r.get("wrong", [])][:50],
        "errors": [
            {"part": part, **{k: v for k, v in r.items() if k != "trace"}}
            for part in result for r in rows_of(result, part) if "error" in r
        ],
        "ended": {part: ran["error"] for part, ran in result.items() if "error" in ran},
        "steps_us": {p: {w: round(t, 2) for w, t in s.items()} for p, s in steps.items()},
        "goals": [] if small else goals(result, steps),
    }  # fmt: skip


def goals(result, steps):
    """Return each goal with what was measured; `reached` is None where something is missing."""
    found = []
    for work, part, peer, wanted in GOALS:
        mine, other = steps.get(part, {}).get(work), steps.get(peer, {}).get(work)
        ratio = other / mine if mine and other else None
        name = f"{work}: {part} against {peer}"
        found.append(goal(name, ratio, wanted))
    copy = [r["GB/s"] for r in rows_of(result, "about") if r["what"] == "copy"]
    chain = steps.get("graphgrad", {}).get("chain 1e8")
    share = 8 * NUMBER / (chain * 1e3) / copy[0] if copy and chain else None
    found.append(goal("chain 1e8: share of a copy's bandwidth", share, BANDWIDTH))
    checked = [r for part in CHECKS for r in rows_of(result, part)]
    bad = sum(bool(r.get("wrong") or r.get("error")) for r in checked)
    whole = all(not result.get(part, {"error": 1}).get("error") for part in CHECKS[:-1])
    right = None if not checked or not (whole or bad) else float(not bad)
    found.append(goal("all checks right", right, 1.0))
    return found


def goal(name, found, wanted):
    """Return a goal as a row."""
    reached = None if found is None else bool(found >= wanted)
    return {"goal": name, "found": found and round(found, 3), "wanted": round(wanted, 3),
            "reached": reached}  # fmt: skip


def text(found):
    """Return a summary as lines for people."""
    words = {True: "reached", False: "MISSED", None: "unknown"}
    lines = [f"{found['checked']} checked, {len(found['wrong'])} wrong, "
             f"{len(found['errors'])} errors"]  # fmt: skip
    lines += [f"  wrong: {w['in']}: {w['what']}: {w['error']:.2g}" for w in found["wrong"][:10]]
    lines += [
        f"  error: {e['part']}: {e['what']}: {e['error'][:160]}" for e in found["errors"][:10]
    ]
    lines += [f"  {part} ended early: {why[-160:]}" for part, why in found["ended"].items()]
    for part, steps in found["steps_us"].items():
        lines.append(f"{part:>18}: " + ", ".join(f"{w} {t:.4g} µs" for w, t in steps.items()))
    for g in found["goals"]:
        measured = "-" if g["found"] is None else f"{g['found']:.3g}"
        lines.append(f"{words[g['reached']]:>8}  {g['goal']}: {measured}, wanted {g['wanted']:.3g}")
    return "\n".join(lines)
