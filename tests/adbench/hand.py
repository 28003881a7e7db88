"""Hand tracking: the distance of measured points from a skinned hand model in a pose theta.

theta has 26 numbers: the hand's rotation (angle times axis) and translation, and per finger
flexion and abduction of its first moving bone, and flexion of the two bones after it. "Simple"
pairs points with vertices; "complicated" with places u inside triangles, unknown as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import graphgrad as gg

BONES = 22
NONE = 26
"""The position of a zero put after theta, for joints that do not move."""


@dataclass(frozen=True)
class Model:
    """A hand: bones, vertices, and how much each vertex follows each bone."""

    parents: Any  # (22,), a bone's parent comes before it, -1 for none
    base_relatives: Any  # (22, 4, 4), from a bone's frame to its parent's, at rest
    inverse_base_absolutes: Any  # (22, 4, 4), from the hand's frame to the bone's, at rest
    base_positions: Any  # (vertices, 4), homogeneous
    weights: Any  # (vertices, 22)
    triangles: Any  # (triangles, 3)


def simple(theta: Any, model: Model, points: Any, correspondences: Any) -> Any:
    """Return points − vertices, (n, 3); `correspondences` are positions of vertices."""
    return points - gg.take(vertices(theta, model), correspondences)


def complicated(theta: Any, us: Any, model: Model, points: Any, correspondences: Any) -> Any:
    """Return points − places u in triangles, (n, 3); `correspondences` are triangles."""
    corners = gg.take(vertices(theta, model), model.triangles[correspondences])  # (n, 3, 3)
    u, v = us[:, 0:1], us[:, 1:2]
    return points - (u * corners[:, 0] + v * corners[:, 1] + (1 - u - v) * corners[:, 2])


def vertices(theta: Any, model: Model) -> Any:
    """Return the posed vertices, (vertices, 3): each follows its bones by its weights."""
    transforms = gg.stack(absolutes(theta, model)) @ model.inverse_base_absolutes
    followed = transforms[:, :3] @ model.base_positions.T  # (22, 3, vertices)
    skinned = gg.sum(followed * np.expand_dims(model.weights.T, 1), axis=0)
    return (rotation(theta[0:3]) @ skinned).T + theta[3:6]


def absolutes(theta: Any, model: Model) -> list[Any]:
    """Return each bone's frame in the hand's: its parent's frame times its own turn."""
    turned = model.base_relatives @ turns(gg.take(gg.concatenate([theta, [0.0]]), joints()))
    found: list[Any] = []
    for bone, parent in enumerate(model.parents):
        found.append(found[parent] @ turned[bone] if parent >= 0 else turned[bone])
    return found


def joints() -> Any:
    """Return, for each bone's three angles (x, z, y), the position in theta, (22, 3)."""
    table = np.full((BONES, 3), NONE)
    for finger in range(5):
        first, angle = 2 + 4 * finger, 6 + 4 * finger
        table[first, :2] = angle, angle + 1
        table[first + 1, 0], table[first + 2, 0] = angle + 2, angle + 3
    return table


def turns(xzy: Any) -> Any:
    """Return the rotations Rz Ry Rx, (n, 4, 4) homogeneous, from Euler angles (n, 3)."""
    cos, sin = gg.cos(xzy), gg.sin(xzy)
    zero, one = np.zeros(xzy.shape[0]), np.ones(xzy.shape[0])
    (cx, cz, cy), (sx, sz, sy) = ([f[:, k] for k in range(3)] for f in (cos, sin))
    rx = _matrices([[one, zero, zero], [zero, cx, -sx], [zero, sx, cx]])
    ry = _matrices([[cy, zero, -sy], [zero, one, zero], [sy, zero, cy]])
    rz = _matrices([[cz, -sz, zero], [sz, cz, zero], [zero, zero, one]])
    corner = np.broadcast_to(np.diag([0.0, 0.0, 0.0, 1.0]), (xzy.shape[0], 4, 4))
    return gg.pad(rz @ ry @ rx, ((0, 0), (0, 1), (0, 1))) + corner


def rotation(turn: Any) -> Any:
    """Return the matrix of a rotation by |turn| about it, (3, 3); identity below 1e-4."""
    squared = gg.sum(gg.square(turn))
    still = squared < 1e-8
    # The inner choice keeps 0/0 out of the derivative, which the outer one alone would not.
    angle = gg.sqrt(gg.where(still, 1.0, squared))
    cos, sin, axis = gg.cos(angle), gg.sin(angle), turn / angle
    x, y, z = axis
    cross = gg.stack([0.0, -z, y, z, 0.0, -x, -y, x, 0.0]).reshape(3, 3)
    turned = cos * np.eye(3) + sin * cross + (1 - cos) * gg.outer(axis, axis)
    return gg.where(still, np.eye(3), turned)


def _matrices(rows: list[list[Any]]) -> Any:
    """Return matrices (n, 3, 3) from their entries, each of shape (n,)."""
    return gg.stack([gg.stack(row, axis=-1) for row in rows], axis=-2)
