"""`minimize`: a scalar of few variables taken to its minimum by compiled derivatives.

Newton's method with the exact Hessian, damped as Levenberg (1944) and Marquardt (1963) damp theirs,
or SciPy's L-BFGS with the exact gradient. For fits and other small problems, where one wants the
minimum to many digits; networks are trained by `Model.fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.display import Printed
from graphgrad.errors import NetworkError
from graphgrad.gradient import grad, jacobian
from graphgrad.graph import VARIABLE, Node, describe
from graphgrad.ops.shape import reshape

__all__ = ["Minimum", "minimize"]


@dataclass(frozen=True, repr=False)
class Minimum(Printed):
    """What `minimize` found; the variables have its values.

    Attributes:
        value: of the loss.
        converged: whether the method came to rest, and not to its limit of iterations.
        iterations: how many steps it made.
        gradient: the largest entry of the gradient, each times the size of its variable.
        values: of the variables, in order.
    """

    value: float
    converged: bool
    iterations: int
    gradient: float
    values: list[Any]

    def __repr__(self) -> str:
        how = "minimum" if self.converged else "no minimum yet"
        return f"<{how}: {self.value:.6g} after {self.iterations} iterations>"


class Problem:
    """A loss and its variables as functions of one vector, compiled."""

    def __init__(self, loss: Node, variables: list[Node], second: bool, target: str) -> None:
        from graphgrad.compiler.executor import compile

        self.variables = variables
        self.sizes = np.cumsum([v.size for v in variables])[:-1]
        gradients = grad(loss, variables)
        outputs = [loss, *gradients]
        if second:
            outputs += [
                reshape(jacobian(g, v), (g.size, v.size)) for g in gradients for v in variables
            ]
        self._run = compile(outputs, variables, target=target, math="exact")

    @property
    def start(self) -> Any:
        """The variables' values as one vector."""
        return np.concatenate([np.ravel(v.value) for v in self.variables])

    def arrays(self, x: Any) -> list[Any]:
        """Return a vector as one array per variable."""
        parts = np.split(x, self.sizes)
        return [p.reshape(v.shape) for p, v in zip(parts, self.variables, strict=True)]

    def __call__(self, x: Any) -> tuple[float, Any, Any]:
        """Return value, gradient and Hessian (None when it is not compiled)."""
        found = self._run(*self.arrays(x))
        n = len(self.variables)
        gradient = np.concatenate([np.ravel(g) for g in found[1 : n + 1]])
        blocks = found[n + 1 :]
        rows = [np.concatenate(blocks[k : k + n], 1) for k in range(0, len(blocks), n)]
        return float(found[0]), gradient, np.concatenate(rows) if rows else None


def minimize(
    loss: Node,
    variables: Node | Sequence[Node],
    method: str = "newton",
    max_iterations: int = 1000,
    tolerance: float = 1e-12,
    target: str = "numpy",
) -> Minimum:
    """Change variables so that a scalar becomes as small as it can near by.

    Args:
        loss: a float64 scalar.
        variables: those to change, with the values to start from.
        method: "newton" (with the Hessian: for up to some hundred numbers) or "lbfgs".
        max_iterations: after which it gives up.
        tolerance: of Newton's method: it ends when a step changes no variable by more than this,
            relative to its size.
        target: what the derivatives are compiled for.

    Returns:
        A `Minimum`.

    Raises:
        NetworkError: when the loss is not finite at the start, or a variable is none.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad import nn
        >>> x, y = gg.var("x", -1.2), gg.var("y", 1.0)
        >>> found = nn.minimize((1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y])
        >>> round(x.value, 9), round(y.value, 9)
        (1.0, 1.0)
    """
    chosen = [variables] if isinstance(variables, Node) else list(variables)
    for v in chosen:
        if v.primitive is not VARIABLE or v.dtype != np.float64:
            raise NetworkError(f"minimize: {describe(v)} is no float64 variable")
    if method not in METHODS:
        raise NetworkError(f"method {method!r}: expected {' or '.join(METHODS)}")
    problem = Problem(loss, chosen, method == "newton", target)
    start = problem.start
    if not np.isfinite(problem(start)[0]):
        raise NetworkError(f"minimize: {describe(loss)} is not finite at the start")
    x, iterations, converged = METHODS[method](problem, start, max_iterations, tolerance)
    value, gradient, _ = problem(x)
    values = problem.arrays(x)
    for v, found in zip(chosen, values, strict=True):
        v.value = found
    worst = float(np.max(np.abs(gradient * x), initial=0.0))
    return Minimum(value, converged, iterations, worst, values)


def _newton(problem: Problem, x: Any, limit: int, tolerance: float) -> tuple[Any, int, bool]:
    """Return the point reached, the number of steps, and whether it came to rest.

    The step solves (H + λ D²) p = −g. D holds the square roots of the largest second derivatives
    met, so that units of the variables do not matter (Moré 1978).
    """
    at = problem(x)
    scale, damping = np.zeros(len(x)), 1e-3
    for k in range(1, limit + 1):
        scale = np.maximum(scale, np.sqrt(np.abs(np.diag(at[2]))))
        units = np.where(scale > 0, scale, 1.0)
        step, found, damping = _descent(problem, x, at, units, damping)
        if step is None:
            return x, k, True  # no direction leads down: as low as numbers can tell
        x, at = x + step, found
        damping = damping / 10 if damping > 1e-14 else 0.0
        if np.max(np.abs(step) / (np.abs(x) + 1e-30)) < tolerance:
            return x, k, True
    return x, limit, False


def _descent(
    problem: Problem, x: Any, at: Any, units: Any, damping: float
) -> tuple[Any, Any, float]:
    """Return a step that leads down, what is found there, and the damping it took.

    λ grows until H + λ D² is positive definite and the step is good; the step is None when λ is
    so large that no step is left.
    """
    value, gradient, hessian = at
    scaled, slope = hessian / np.outer(units, units), gradient / units
    while damping < 1e16:
        matrix = scaled + damping * np.eye(len(slope))
        try:
            np.linalg.cholesky(matrix)
            step = -np.linalg.solve(matrix, slope) / units
        except np.linalg.LinAlgError:
            step = None
        if step is not None:
            found = problem(x + step)
            if _better(found, value, gradient, units):
                return step, found, damping
        damping = max(4 * damping, 1e-12)
    return None, None, damping


def _better(found: tuple[float, Any, Any], value: float, gradient: Any, units: Any) -> bool:
    """Return whether a point is lower; where rounding hides that, whether it is flatter."""
    new, slope, curvature = found
    if not (np.isfinite(new) and np.isfinite(slope).all() and np.isfinite(curvature).all()):
        return False
    if new < value - 1e-14 * abs(value):
        return True
    flatter = np.linalg.norm(slope / units) < np.linalg.norm(gradient / units)
    return bool(new <= value + 1e-13 * abs(value) and flatter)


def _lbfgs(problem: Problem, x: Any, limit: int, tolerance: float) -> tuple[Any, int, bool]:
    """Return what SciPy's L-BFGS-B reaches (Byrd, Lu, Nocedal and Zhu 1995)."""
    from scipy.optimize import minimize as scipy_minimize

    found = scipy_minimize(
        lambda at: problem(at)[:2], x, jac=True, method="L-BFGS-B",
        options={"maxiter": limit, "maxfun": 20 * limit, "ftol": 1e-16, "gtol": tolerance,
                 "maxcor": 30},
    )  # fmt: skip
    return found.x, int(found.nit), found.status != 1


METHODS = {"newton": _newton, "lbfgs": _lbfgs}
