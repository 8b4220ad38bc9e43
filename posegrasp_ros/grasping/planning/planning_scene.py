# SPDX-License-Identifier: Apache-2.0
"""Scene: support plane and obstacles around the object for the planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runtime.errors import InvalidInputError

# Least cosine between the support's normal and up.
LEAST_SLOPE = float(np.cos(np.radians(80.0)))


class SceneError(InvalidInputError):
    """An invalid obstacle or support."""


@dataclass(frozen=True, eq=False)
class BoxObstacle:
    """A box to avoid.

    :param base_from_box: (4, 4) pose of its centre
    :param half_extents: (3,) along its own axes, metres
    """

    base_from_box: np.ndarray
    half_extents: np.ndarray

    @classmethod
    def around(cls, mesh: Mesh, base_from_object: np.ndarray) -> BoxObstacle:
        """The smallest oriented box around an object, such as another instance of the object to be grasped."""
        box = mesh.solid.bounding_box_oriented.primitive
        return cls(base_from_object @ box.transform, np.asarray(box.extents) / 2)


@dataclass(frozen=True, eq=False)
class SphereObstacle:
    """A sphere to avoid; ``center`` (3,) in the base frame, metres."""

    center: np.ndarray
    radius_m: float


@dataclass(frozen=True, eq=False)
class Scene:
    """Support plane and obstacles in the base frame.

    :param support_height_m: height of the plane that the object stands on, along ``up`` from the origin; None when
        there is none
    :param up: (3,) against gravity; objects are lifted along it
    :param support_normal: (3,) of that plane, out of it; None for ``up``
    :param points: (M, 3) such as from a depth camera, without those of the object itself
    :param point_radius_m: radius of the obstacle about each point
    """

    support_height_m: float | None = 0.0
    boxes: Sequence[BoxObstacle] = ()
    spheres: Sequence[SphereObstacle] = ()
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    point_radius_m: float = 0.005
    up: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    support_normal: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not abs(np.linalg.norm(self.up) - 1.0) <= 1e-6:
            raise SceneError(f'scene: up: expected a vector of length 1, got {np.asarray(self.up).tolist()}')
        if not (abs(np.linalg.norm(self.normal) - 1.0) <= 1e-6 and self.normal @ self.up >= LEAST_SLOPE):
            raise SceneError('scene: support normal: expected a vector of length 1 at most 80 degrees from up, '
                             f'got {np.asarray(self.normal).tolist()}')
        if self.support_height_m is not None and not np.isfinite(self.support_height_m):
            raise SceneError(f'scene: support height: expected a finite height, got {self.support_height_m}')
        for name, sizes in (('box', [box.half_extents for box in self.boxes]),
                            ('sphere', [np.array([sphere.radius_m]) for sphere in self.spheres])):
            for index, size in enumerate(sizes):
                if not (np.isfinite(size).all() and np.min(size) > 0):
                    raise SceneError(f'scene: {name} {index}: expected sizes in metres above 0, got '
                                     f'{np.asarray(size).tolist()}')

    @property
    def normal(self) -> np.ndarray:
        """(3,) of the support, out of it."""
        return self.up if self.support_normal is None else self.support_normal

    @property
    def support_offset_m(self) -> float | None:
        """Distance of the support from the origin, along its normal."""
        if self.support_height_m is None or self.support_normal is None:
            return self.support_height_m
        return float(self.support_height_m * (self.support_normal @ self.up))

    @property
    def has_obstacles(self) -> bool:
        """Whether there are obstacles in addition to the support."""
        return bool(len(self.boxes) or len(self.spheres) or len(self.points))

    @cached_property
    def box_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Poses (K, 4, 4) in the base frame and half extents (K, 3) of the boxes."""
        poses = np.array([box.base_from_box for box in self.boxes], dtype=float).reshape(-1, 4, 4)
        return poses, np.array([box.half_extents for box in self.boxes], dtype=float).reshape(-1, 3)

    @cached_property
    def balls(self) -> tuple[np.ndarray, np.ndarray]:
        """Centers (M, 3) and radii (M,) of spheres and points together, metres."""
        centers = np.array([sphere.center for sphere in self.spheres], dtype=float).reshape(-1, 3)
        radii = np.array([sphere.radius_m for sphere in self.spheres], dtype=float)
        return (np.concatenate([centers, self.points]),
                np.concatenate([radii, np.full(len(self.points), self.point_radius_m)]))

    def moved(self, new_from_base: np.ndarray) -> Scene:
        """The same scene in another base frame (4, 4)."""
        rotation, shift = new_from_base[:3, :3], new_from_base[:3, 3]
        height_m = self.support_height_m
        up, normal = rotation @ self.up, rotation @ self.normal
        return replace(
            self, up=up, support_normal=None if self.support_normal is None else normal,
            support_height_m=None if height_m is None else float(height_m + normal @ shift / (normal @ up)),
            boxes=[replace(box, base_from_box=new_from_base @ box.base_from_box) for box in self.boxes],
            spheres=[replace(sphere, center=rotation @ sphere.center + shift) for sphere in self.spheres],
            points=self.points @ rotation.T + shift)
