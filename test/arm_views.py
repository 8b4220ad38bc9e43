# SPDX-License-Identifier: Apache-2.0
"""Simulated hand-eye calibration: an arm, a camera that looks at a target, and pictures of flat targets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    perturb,
    random_rotation,
    rotation_from_vector,
)
from posegrasp_ros.handeye.sample import Mounting, Sample

CAMERA = Camera(640, 480, np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]))
SIGMAS = np.array([3e-4, 3e-4, 1e-3, 2e-3, 2e-3, 5e-4])
"""Of a flat target's pose, camera frame."""
OVERSAMPLING = 3


@dataclass(frozen=True)
class Cell:
    """An arm with a camera and a target; what a calibration has to find."""

    mounting: Mounting
    mount_from_camera: np.ndarray
    hold_from_target: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, mounting: Mounting) -> Cell:
        reach_m = 0.1 if mounting is Mounting.IN_HAND else 0.5
        return cls(mounting, make_transform(random_rotation(rng), rng.normal(0, reach_m, 3)),
                   make_transform(random_rotation(rng), rng.normal(0, 0.3, 3)))

    def base_from_tool(self, camera_from_target: np.ndarray) -> np.ndarray:
        """Where the arm is when the camera sees the target there."""
        mount_from_hold = self.mount_from_camera @ camera_from_target @ invert(self.hold_from_target)
        return invert(mount_from_hold) if self.mounting is Mounting.IN_HAND else mount_from_hold

    def camera_from_target(self, base_from_tool: np.ndarray) -> np.ndarray:
        """Where the camera sees the target when the arm is there."""
        mount_from_hold = invert(base_from_tool) if self.mounting is Mounting.IN_HAND else base_from_tool
        return invert(self.mount_from_camera) @ mount_from_hold @ self.hold_from_target

    def sample(self, rng: np.random.Generator, base_from_tool: np.ndarray,
               sigmas: np.ndarray = SIGMAS) -> Sample:
        """A look with errors of a target's pose."""
        seen = perturb(self.camera_from_target(base_from_tool), rng.normal(0, sigmas))
        return Sample(base_from_tool, seen, np.diag(sigmas**2))

    def samples(self, rng: np.random.Generator, count: int = 15, sigmas: np.ndarray = SIGMAS) -> list[Sample]:
        """Looks from all around."""
        return [self.sample(rng, self.base_from_tool(random_view(rng)), sigmas) for _ in range(count)]


def random_view(rng: np.random.Generator, tilt_rad: float = 0.45) -> np.ndarray:
    """(4, 4) camera_from_target of a flat target in view, its front to the camera."""
    turn = rotation_from_vector((np.pi, 0, 0)) @ rotation_from_vector((0, 0, rng.uniform(-np.pi, np.pi)))
    tilt = rotation_from_vector(rng.normal(0, tilt_rad, 3) * (1, 1, 0))
    return make_transform(tilt @ turn, [*rng.normal(0, 0.05, 2), rng.uniform(0.45, 0.7)])


def photograph(picture: np.ndarray, px_per_m: float, corner_m: tuple[float, float], y_down: bool,
               camera_from_target: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """A flat target seen by a camera without distortion.

    :param picture: (H, W) uint8
    :param corner_m: place of the picture's top left corner on the target
    :param y_down: whether the target's y axis goes down the picture
    :return: (H, W, 3) uint8
    """
    sign = 1.0 if y_down else -1.0
    # The centre of pixel 0 is half a pixel inside of the picture.
    target_from_picture = np.array([[1 / px_per_m, 0, corner_m[0] + 0.5 / px_per_m],
                                    [0, sign / px_per_m, corner_m[1] + sign * 0.5 / px_per_m], [0, 0, 1]])
    fine = np.array([[OVERSAMPLING, 0, (OVERSAMPLING - 1) / 2], [0, OVERSAMPLING, (OVERSAMPLING - 1) / 2],
                     [0, 0, 1.0]])
    homography = fine @ camera.matrix @ camera_from_target[:3, [0, 1, 3]] @ target_from_picture
    size = camera.width * OVERSAMPLING, camera.height * OVERSAMPLING
    seen = cv2.warpPerspective(picture, homography, size, borderValue=120)
    grey = cv2.resize(seen, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
