# SPDX-License-Identifier: Apache-2.0
"""Symmetry-aware pose errors as defined by the BOP benchmark.

Hodaň et al., "BOP: Benchmark for 6D Object Pose Estimation", ECCV 2018, and "BOP Challenge 2020 on 6D Object
Localization", ECCVW 2020. Lengths are metres, angles radians. The functions follow the benchmark;
:class:`ErrorTarget` documents how they are applied to symmetric objects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import trimesh
from scipy.spatial import ConvexHull, QhullError

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    invert,
    make_transform,
    move_covariance,
    rotation_angle,
    transform_points,
)
from posegrasp_ros.metrics.pose.calibration import confidence_level
from posegrasp_ros.metrics.pose.nearest_points import NearestPoints
from posegrasp_ros.metrics.pose.worst_point import least_worst_distance, least_worst_pixels, mean_pixels

# A mesh with fewer vertices (a box has eight) is subdivided, to a point spacing of this share of its diameter.
FEW_VERTICES = 1000
POINT_SPACING = 1 / 20
# Larger point sets are subsampled: limits for subdivided and for original vertices.
MOST_POINTS = 4000
MOST_VERTICES = 10_000


@dataclass(frozen=True)
class PoseErrors:
    """Errors of one estimate; errors in pixels are NaN where the camera matrix is not known.

    :param position_m: distance of the object origins
    :param rotation_rad: angle of the rotation error
    :param add_m: mean distance of model points (ADD); of nearest points (ADI) for a symmetric object
    :param adi_m: mean distance of nearest points, for any object
    :param mssd_m: maximum distance of model points, minimised over the symmetries
    :param mspd_px: the same for projections
    :param projection_px: mean distance of the projected model points
    """

    position_m: float
    rotation_rad: float
    add_m: float
    adi_m: float
    mssd_m: float
    mspd_px: float = math.nan
    projection_px: float = math.nan


# Errors of an image in which nothing was found.
NOT_FOUND = PoseErrors(*[math.inf] * 7)


class PoseTolerance(NamedTuple):
    """Error limits of a correct pose."""

    position_m: float = 0.01
    rotation_rad: float = math.radians(5.0)


STATED_NEED = PoseTolerance()


def relative_error(position_m: np.ndarray | float, rotation_rad: np.ndarray | float) -> Any:
    """(N,) the larger of position and rotation error, each relative to :data:`STATED_NEED`; NaN where one is."""
    return np.maximum(np.divide(position_m, STATED_NEED.position_m),
                      np.divide(rotation_rad, STATED_NEED.rotation_rad))


@dataclass(frozen=True)
class ErrorTarget:
    """The object whose pose errors are measured.

    :param points: (N, 3) model points, object frame, metres; none where only position and rotation are measured
    :param diameter_m: largest distance between two model points; NaN without points
    :param symmetry: symmetries of the object
    :param tolerance: limits within which a pose is correct, for calibration of the score
    """

    points: np.ndarray
    diameter_m: float
    symmetry: Symmetry = NO_SYMMETRY
    tolerance: PoseTolerance = STATED_NEED

    @classmethod
    def from_mesh(cls, mesh: Mesh, symmetry: Symmetry = NO_SYMMETRY,
                  tolerance: PoseTolerance = STATED_NEED) -> ErrorTarget:
        """Create the target from a mesh; its points are the vertices, as in BOP.

        A coarse mesh is subdivided along long edges; a very fine one is reduced to the vertices of its convex hull
        and a subsample of the others.
        """
        solid, most = mesh.merged, MOST_VERTICES
        points = np.asarray(solid.vertices)
        if len(points) < FEW_VERTICES:
            points, _ = trimesh.remesh.subdivide_to_size(
                points, solid.faces, max_edge=mesh.diameter * POINT_SPACING, max_iter=20)
            points, most = _distinct(points), MOST_POINTS
        if len(points) > most:
            points = np.vstack([solid.convex_hull.vertices, points[::len(points) // most + 1]])
        return cls(_distinct(points), mesh.diameter, symmetry, tolerance)

    @classmethod
    def without_mesh(cls, symmetry: Symmetry = NO_SYMMETRY) -> ErrorTarget:
        """The target of an object of unknown shape: errors of position and rotation alone, the others are NaN."""
        return cls(np.empty((0, 3)), math.nan, symmetry)

    @cached_property
    def centre(self) -> np.ndarray:
        """(3,) middle of the points' bounding box, object frame; the origin without points."""
        if not len(self.points):
            return np.zeros(3)
        return (self.points.min(axis=0) + self.points.max(axis=0)) / 2

    @cached_property
    def cloud(self) -> NearestPoints:
        """Search tree over the points, built once."""
        return NearestPoints(self.points)

    @cached_property
    def outermost(self) -> np.ndarray:
        """(H, 3) vertices of the convex hull: distance is convex in the point, so its maximum is at a vertex."""
        try:
            return self.points[ConvexHull(self.points).vertices]
        except QhullError:  # a flat point set has no 3D hull
            return self.points

    @property
    def is_symmetric(self) -> bool:
        return not self.symmetry.is_none

    def confidence_level(self, estimate: np.ndarray, covariance: np.ndarray, truth: np.ndarray,
                         nearest_covariance: np.ndarray | None = None) -> float:
        """Level of the smallest region of a (6, 6) covariance that contains the truth, up to symmetry.

        :param nearest_covariance: of the truth, see :meth:`nearest_covariance`; None for an exact one
        """
        nearest = self.symmetry.nearest(truth, estimate)
        return confidence_level(estimate, covariance, nearest, self.symmetry.spin_direction(estimate),
                                nearest_covariance)

    def nearest_covariance(self, estimate: np.ndarray, truth: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) covariance, up to symmetry, of the pose equivalent to the truth that is nearest to an estimate.

        A symmetry whose axis misses the object's origin moves the origin, which then has the error of that point.

        :param covariance: of the truth
        """
        nearest = self.symmetry.nearest(truth, estimate)
        moved = move_covariance(covariance, nearest[:3, 3] - truth[:3, 3])
        return self.symmetry.without_spin(moved, nearest)

    def errors(self, estimate: np.ndarray, truth: np.ndarray, matrix: np.ndarray | None = None) -> PoseErrors:
        """Errors of a (4, 4) camera_from_object estimate against the (4, 4) truth.

        For a symmetric object, position, rotation, ADD(-S) and projection error are with respect to the equivalent
        true pose nearest in rotation, with continuous symmetries not discretised: a finite point cloud does not
        coincide with itself under other rotations about the axis.

        :param matrix: (3, 3) pinhole matrix, pixels; None where the camera is not known
        """
        nearest = self.symmetry.nearest(truth, estimate)
        if not len(self.points):
            return PoseErrors(position_error(estimate, nearest), rotation_error(estimate, nearest),
                              *3 * [math.nan])
        adi_m = adi(estimate, truth, self.points, self.cloud)
        if self.is_symmetric:
            add_m = adi(estimate, nearest, self.points, self.cloud)
        else:
            add_m = add(estimate, truth, self.points)
        mspd_px = projection_px = math.nan
        if matrix is not None:
            mspd_px = mspd(estimate, truth, self.points, matrix, self.symmetry)
            projection_px = projection_error(estimate, nearest, self.points, matrix)
        return PoseErrors(position_error(estimate, nearest), rotation_error(estimate, nearest), add_m, adi_m,
                          mssd(estimate, truth, self.outermost, self.symmetry), mspd_px, projection_px)

    def compile(self) -> None:
        """Run the one-time JIT compilation now instead of at the first image (takes seconds without a cache)."""
        pose = make_transform(translation=(0.0, 0.0, 1.0))
        self.errors(pose, pose, np.eye(3))


def _distinct(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) without duplicates."""
    _, first = np.unique(points.round(9), axis=0, return_index=True)
    return points[np.sort(first)]


def position_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Distance between the origins of two (4, 4) poses, metres (BOP's e_TE)."""
    return float(np.linalg.norm(estimate[:3, 3] - truth[:3, 3]))


def rotation_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Angle between the rotations of two (4, 4) poses, radians, in [0, pi] (BOP's e_RE)."""
    return float(rotation_angle(estimate[:3, :3].T @ truth[:3, :3]))


def add(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray) -> float:
    """Average distance of model points, metres (Hinterstoisser et al., ACCV 2012).

    :param points: (N, 3) object frame, metres
    """
    offsets = transform_points(np.asarray(estimate) - truth, points)
    return float(np.linalg.norm(offsets, axis=1).mean())


def adi(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray,
        cloud: NearestPoints | None = None) -> float:
    """Average distance from each true model point to the nearest estimated one, metres (ADD-S).

    :param points: (N, 3) object frame, metres
    :param cloud: search tree over ``points``, to build it only once for many poses
    """
    # Computed in the frame of the estimate, in which the searched cloud is fixed.
    return (cloud or NearestPoints(points)).mean_distance(invert(estimate) @ truth)


def mssd(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray,
         symmetry: Symmetry = NO_SYMMETRY) -> float:
    """Maximum symmetry-aware surface distance (MSSD), metres: the worst point under the best symmetry.

    :param points: (N, 3) object frame, metres; the vertices of their convex hull are sufficient
    """
    truths = _equivalents(estimate, truth, symmetry)
    return least_worst_distance(_contiguous(estimate), truths, _contiguous(points))


def mspd(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray, matrix: np.ndarray,
         symmetry: Symmetry = NO_SYMMETRY) -> float:
    """Maximum symmetry-aware projection distance (MSPD), pixels; infinite when a point is behind the camera.

    :param matrix: (3, 3) pinhole matrix, pixels
    """
    truths = _equivalents(estimate, truth, symmetry)
    return least_worst_pixels(_contiguous(estimate), truths, _contiguous(points), _contiguous(matrix))


def projection_error(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> float:
    """Average distance of projected model points, pixels (Brachmann et al., CVPR 2016); infinite as for MSPD."""
    return mean_pixels(_contiguous(estimate), _contiguous(truth), _contiguous(points), _contiguous(matrix))


def _equivalents(estimate: np.ndarray, truth: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """(S, 4, 4) poses equivalent to the truth by symmetry, nearest in rotation to the estimate first."""
    poses = truth @ symmetry.discretised
    return poses[np.argsort(-np.einsum('ij,sij->s', estimate[:3, :3], poses[:, :3, :3]))]


def _contiguous(values: np.ndarray) -> np.ndarray:
    """Array with fixed dtype and layout, so that compiled functions are not compiled again at run time."""
    return np.require(values, float, ('C', 'W', 'E'))
