"""Errors of an estimated pose, as the BOP benchmark defines them, aware of the object's symmetries.

Hodaň et al., "BOP: Benchmark for 6D Object Pose Estimation", ECCV 2018, and "BOP Challenge 2020 on 6D Object
Localization", ECCVW 2020. Lengths are metres, angles radians. Where BOP samples a continuous symmetry, position
and rotation errors here are exact, and the others as good as.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from posegrasp_ros.geometry import NO_SYMMETRY, Symmetry, invert, rotation_angle, transform_points
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.metrics.calibration import confidence_level

# A coarse mesh (a box has eight corners) is judged at points on its edges too, this share of its diameter apart.
POINT_SPACING = 1 / 20
MOST_POINTS = 4000
STEPS = 64


@dataclass(frozen=True)
class PoseErrors:
    """How far one estimate is from the truth.

    :param position_m: distance of the object origins
    :param rotation_rad: angle of the rotation between them
    :param add_m: mean distance of the model's points; of nearest points (ADI) for a symmetric object
    """

    position_m: float
    rotation_rad: float
    add_m: float


class Tolerance(NamedTuple):
    """How far a pose may be off and still be right."""

    position_m: float = 0.01
    rotation_rad: float = math.radians(5.0)


STATED_NEED = Tolerance()


@dataclass(frozen=True)
class ErrorTarget:
    """The object whose pose errors are measured.

    :param points: (N, 3) model points, object frame, metres
    :param diameter_m: largest distance of two of the model's points
    :param symmetry: what leaves the object looking the same
    :param tolerance: within which a score takes a pose for right
    """

    points: np.ndarray
    diameter_m: float
    symmetry: Symmetry = NO_SYMMETRY
    tolerance: Tolerance = STATED_NEED

    @classmethod
    def from_mesh(cls, mesh: Mesh, symmetry: Symmetry = NO_SYMMETRY,
                  tolerance: Tolerance = STATED_NEED) -> ErrorTarget:
        """The target that a mesh describes: its vertices, and points along edges that are long.

        Of a fine mesh it is the outermost vertices, and a share of the others.
        """
        solid = mesh.solid
        points, _ = trimesh.remesh.subdivide_to_size(
            solid.vertices, solid.faces, max_edge=mesh.diameter * POINT_SPACING, max_iter=20)
        points = np.unique(points.round(9), axis=0)
        if len(points) > MOST_POINTS:
            points = np.vstack([solid.convex_hull.vertices, points[::len(points) // MOST_POINTS + 1]])
            points = np.unique(points.round(9), axis=0)
        return cls(points, mesh.diameter, symmetry, tolerance)

    @cached_property
    def tree(self) -> cKDTree:
        """Search tree over the points, built once."""
        return cKDTree(self.points)

    @property
    def is_symmetric(self) -> bool:
        return not self.symmetry.is_none

    def confidence_level(self, estimate: np.ndarray, covariance: np.ndarray, truth: np.ndarray) -> float:
        """Level of the smallest region of an estimate's (6, 6) covariance that holds the truth, up to symmetry."""
        nearest = self.symmetry.nearest(truth, estimate)
        return confidence_level(estimate, covariance, nearest, self.symmetry.spin_direction(estimate))

    def errors(self, estimate: np.ndarray, truth: np.ndarray) -> PoseErrors:
        """Errors of a (4, 4) camera_from_object estimate against the (4, 4) truth."""
        nearest = self.symmetry.nearest(truth, estimate)
        if self.is_symmetric:
            # Nearest in rotation first: the points of a finite cloud do not lie on each other in any other turn.
            add_m = adi(estimate, nearest, self.points, self.tree)
        else:
            add_m = add(estimate, truth, self.points)
        return PoseErrors(position_error(estimate, nearest), rotation_error(estimate, nearest), add_m)


def position_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Distance of two (4, 4) poses' origins, metres (BOP's e_TE)."""
    return float(np.linalg.norm(estimate[:3, 3] - truth[:3, 3]))


def rotation_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Angle between two (4, 4) poses' rotations, radians, in [0, pi] (BOP's e_RE)."""
    return float(rotation_angle(estimate[:3, :3].T @ truth[:3, :3]))


def add(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray) -> float:
    """Average distance of model points, metres (Hinterstoisser et al., ACCV 2012).

    :param points: (N, 3) object frame, metres
    """
    offsets = transform_points(np.asarray(estimate) - truth, points)
    return float(np.linalg.norm(offsets, axis=1).mean())


def adi(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray, tree: cKDTree | None = None) -> float:
    """Average distance from each true model point to the nearest estimated one, metres (ADD-S).

    :param points: (N, 3) object frame, metres
    :param tree: search tree over ``points``, to build it once for many poses
    """
    # Distances do not change when both clouds are seen from the estimate, where the searched one stands still.
    seen_from_estimate = transform_points(invert(estimate) @ truth, points)
    distances, _ = (tree or cKDTree(points)).query(seen_from_estimate)
    return float(distances.mean())


def mssd(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray,
         symmetry: Symmetry = NO_SYMMETRY) -> float:
    """Maximum symmetry-aware surface distance, metres: the worst point under the best symmetry.

    With D = estimate - truth S a point's squared distance is p' D'D p, so all symmetries and points are one
    matrix product of (S, 16) by (16, N).
    """
    homogeneous = np.column_stack([points, np.ones(len(points))])
    products = (homogeneous[:, :, None] * homogeneous[:, None, :]).reshape(len(points), 16)

    def worst(symmetries: np.ndarray) -> np.ndarray:
        differences = (estimate - truth @ symmetries)[:, :3, :]
        grams = np.swapaxes(differences, 1, 2) @ differences
        squared = grams.reshape(-1, 16) @ products.T
        return np.sqrt(squared.max(axis=1).clip(0.0))

    return _least(worst, symmetry)


def mspd(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray, matrix: np.ndarray,
         symmetry: Symmetry = NO_SYMMETRY) -> float:
    """Maximum symmetry-aware projection distance, pixels; infinite when a point is not in front of the camera.

    :param matrix: (3, 3) pinhole matrix, pixels
    """
    def pixels(transforms: np.ndarray) -> np.ndarray:
        """(T, 2, N) pixels under (T, 4, 4) camera_from_object."""
        in_camera = matrix @ (transforms[:, :3, :3] @ points.T + transforms[:, :3, 3:])
        depth = np.where(in_camera[:, 2:] > 1e-9, in_camera[:, 2:], np.nan)
        return in_camera[:, :2] / depth

    seen = pixels(np.asarray(estimate)[None])

    def worst(symmetries: np.ndarray) -> np.ndarray:
        distances = np.linalg.norm(seen - pixels(truth @ symmetries), axis=1)
        return np.nan_to_num(distances, nan=np.inf).max(axis=1)

    return _least(worst, symmetry)


def _least(worst: Callable[[np.ndarray], np.ndarray], symmetry: Symmetry) -> float:
    """The least of an error over all symmetries; about a continuous axis the best turn to 0.1 degrees.

    :param worst: the error (S,) under each of some symmetries (S, 4, 4)
    """
    symmetries = symmetry.transforms(STEPS)
    errors = worst(symmetries)
    if symmetry.axis is None:
        return float(errors.min())
    between = np.linspace(-1.0, 1.0, STEPS) * 2 * np.pi / STEPS
    finer = symmetries[np.argmin(errors)] @ np.array([symmetry.turn(angle) for angle in between])
    return float(min(errors.min(), worst(finer).min()))
