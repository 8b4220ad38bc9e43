# SPDX-License-Identifier: Apache-2.0
"""ShownFrame: all that is shown of a frame, whichever program shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.sketch import sketch
from posegrasp_ros.estimation.uncertainty import centre_covariance, ellipsoid
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.plan import PlannedGrasp

Colour = tuple[float, float, float, float]
TRUTH_COLOUR: Colour = (0.1, 0.8, 0.3, 1.0)
ELLIPSOID_COLOUR: Colour = (1.0, 1.0, 1.0, 0.9)
MESH_OPACITY = 0.6
"""Through the mesh one sees the ellipsoid, and in images the object."""
GRASP_COLOUR, OTHER_GRASP_COLOUR = (0.9, 0.35, 0.8, 1.0), (0.6, 0.6, 0.6, 0.6)
AXIS_COLOURS: tuple[Colour, ...] = ((0.92, 0.24, 0.24, 1.0), (0.24, 0.75, 0.27, 1.0), (0.2, 0.5, 0.92, 1.0))
AXIS_SHARE, SIZE_WITHOUT_MESH_M = 0.6, 0.1
MOST_GRASPS = 3
FIGURE_NAMES = ('position_error_mm', 'rotation_error_deg', 'score', 'latency_ms')


class Ellipsoid(NamedTuple):
    """The region that holds the object's centre with 95 % probability, camera frame.

    :param centre: (3,) metres
    :param radii: (3,) metres
    :param rotation: (3, 3) of its axes
    """

    centre: np.ndarray
    radii: np.ndarray
    rotation: np.ndarray


class ShownGrasp(NamedTuple):
    """A gripper at a grasp.

    :param lines: (L, 2, 3) that sketch it, camera frame, metres
    """

    lines: np.ndarray
    score: float


@dataclass(frozen=True)
class ShownObject:
    """What is shown of one object; poses are (4, 4), camera frame, metres, and none where one is not finite.

    :param name: empty for the only one
    :param mesh: None where it is not known: axes alone are shown
    :param poses: best first
    :param truths: of all instances
    :param grasps: of the best pose, best first
    :param reason: why there is no pose; empty where there is one
    :param figures: by :data:`FIGURE_NAMES`; NaN where it is not known
    """

    name: str
    mesh: Mesh | None
    poses: Sequence[PoseEstimate]
    truths: Sequence[np.ndarray] = ()
    grasps: Sequence[ShownGrasp] = ()
    reason: str = ''
    figures: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        # Poses of other nodes, and recorded truths, may hold NaN.
        poses = [pose for pose in self.poses if np.isfinite(pose.camera_from_object).all()]
        object.__setattr__(self, 'poses', poses)
        object.__setattr__(self, 'truths', [truth for truth in self.truths if np.isfinite(truth).all()])

    @property
    def title(self) -> str:
        """Its name in the viewer."""
        return self.name or 'object'

    @property
    def axis_length_m(self) -> float:
        """Of the axes that are drawn at its poses."""
        return AXIS_SHARE * (SIZE_WITHOUT_MESH_M if self.mesh is None else float(self.mesh.extents.max()))

    @property
    def truth_lines(self) -> list[np.ndarray]:
        """(L, 2, 3) lines of the mesh at each true pose, camera frame."""
        if self.mesh is None:
            return []
        lines = sketch(self.mesh)
        return [transform_points(truth, lines.reshape(-1, 3)).reshape(lines.shape) for truth in self.truths]

    @property
    def ellipsoid(self) -> Ellipsoid | None:
        """Of the best pose; None where its covariance is not known."""
        axes = None if self.mesh is None or not self.poses else ellipsoid(self.poses[0], self.mesh)
        if axes is None or self.mesh is None:
            return None
        rotation, radii, _ = np.linalg.svd(axes)
        rotation[:, 2] *= np.sign(np.linalg.det(rotation))  # it may come left-handed
        return Ellipsoid(centre_covariance(self.poses[0], self.mesh)[0], radii, rotation)

    def figure(self, name: str) -> float:
        """One of :data:`FIGURE_NAMES`; NaN where it is not known."""
        return float((self.figures or {}).get(name, math.nan))


@dataclass(frozen=True)
class ShownFrame:
    """What is shown of a frame.

    :param stamp_ns: of the image, moved so that no two recordings overlap in time
    :param image: (H, W, 3) uint8 blue green red; None where it cannot be decoded
    :param camera: of the image; None where it is not known
    :param base_from_camera: (4, 4); None where it is not known, or not finite
    """

    stamp_ns: int
    image: np.ndarray | None
    camera: Camera | None
    base_from_camera: np.ndarray | None
    objects: Sequence[ShownObject]

    def __post_init__(self) -> None:
        if self.base_from_camera is not None and not np.isfinite(self.base_from_camera).all():
            object.__setattr__(self, 'base_from_camera', None)


def shown_grasps(grasps: Sequence[PlannedGrasp], gripper: EndEffector | None,
                 base_from_camera: np.ndarray | None) -> list[ShownGrasp]:
    """The best :data:`MOST_GRASPS` of planned grasps, best first; none without a gripper or the camera's pose."""
    if gripper is None or base_from_camera is None:
        return []
    camera_from_base = invert(base_from_camera)
    return [ShownGrasp(transform_points(camera_from_base @ grasp.base_from_tcp,
                                        gripper.outline(grasp.opening_m)).reshape(-1, 2, 3), grasp.score)
            for grasp in grasps[:MOST_GRASPS]]
