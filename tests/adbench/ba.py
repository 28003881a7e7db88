"""Bundle adjustment: the reprojection error of observed points, all observations at once.

A camera is 11 numbers: rotation (angle times axis), centre, focal length, principal point, two
coefficients of radial distortion. Each observation has its own camera, point, weight and place
in the image; so the Jacobian is a block of 2 × 15 per observation, and zero elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphgrad as gg


def reprojection_error(cam: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Return weight · (projection − feature), shape (n, 2).

    Args:
        cam: shape (n, 11).
        point: shape (n, 3).
        weight: shape (n,).
        feature: shape (n, 2).
    """
    return gg.expand_dims(weight, -1) * (project(cam, point) - feature)


def weight_error(weight: Any) -> Any:
    """Return 1 − w², which keeps the weights from all going to zero."""
    return 1 - gg.square(weight)


def project(cam: Any, point: Any) -> Any:
    """Return where the cameras see the points, shape (n, 2)."""
    rotation, centre, focal = cam[:, 0:3], cam[:, 3:6], cam[:, 6:7]
    principal, k1, k2 = cam[:, 7:9], cam[:, 9:10], cam[:, 10:11]
    p = rotate(rotation, point - centre)
    q = p[:, 0:2] / p[:, 2:3]
    r2 = gg.sum(gg.square(q), axis=1, keepdims=True)
    return focal * q * (1 + r2 * (k1 + r2 * k2)) + principal


def rotate(rotation: Any, x: Any) -> Any:
    """Return x turned by |rotation| about it, by Rodrigues' formula; x + r×x when it is zero."""
    squared = gg.sum(gg.square(rotation), axis=1, keepdims=True)
    still = gg.equal(squared, 0)
    # The inner choice keeps 0/0 out of the derivative, which the outer one alone would not.
    angle = gg.sqrt(gg.where(still, 1.0, squared))
    axis = rotation / angle
    cos, sin = gg.cos(angle), gg.sin(angle)
    along = gg.sum(axis * x, axis=1, keepdims=True)
    turned = x * cos + cross(axis, x) * sin + axis * along * (1 - cos)
    return gg.where(still, x + cross(rotation, x), turned)


def cross(a: Any, b: Any) -> Any:
    """Return the cross products of the rows, (n, 3)."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def blocks_forward(error: Any, inputs: list[Any]) -> Any:
    """Return the Jacobian's blocks, (n, 2, 15): a jvp per column, for all observations at once."""
    columns = []
    for k, moving in enumerate(inputs):
        for direction in np.eye(moving.shape[1]) if moving.ndim > 1 else [1.0]:
            tangents = [np.zeros(x.shape) for x in inputs]
            tangents[k] += direction
            columns.append(gg.jvp(error, inputs, tangents))
    return gg.stack(columns, axis=-1)


def blocks_reverse(error: Any, inputs: list[Any]) -> Any:
    """Return the same by a vjp per row, for all observations at once."""
    rows = []
    for i in range(2):
        cotangent = np.zeros(error.shape)
        cotangent[:, i] = 1.0
        parts = gg.vjp(error, inputs, cotangent)
        wide = [p if p.ndim > 1 else gg.expand_dims(p, -1) for p in parts]
        rows.append(gg.concatenate(wide, axis=1))
    return gg.stack(rows, axis=1)
