"""Refiner: a pose in, the pose with which mesh and image agree out, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.camera import Camera
from posegrasp_ros.estimation.align import Alignment, Picture, align
from posegrasp_ros.estimation.crop import CropCamera
from posegrasp_ros.estimation.surface import Edges, Surface
from posegrasp_ros.geometry import invert, make_transform, rotate_covariance, rotation_angle
from posegrasp_ros.mesh import Mesh

CROP_SIZE = 160
MARGIN = 1.15
FARTHEST_TURN_RAD = np.radians(30)
FARTHEST_SHIFT = 0.15
"""Of the distance: a descent that goes farther has left for another minimum."""


@dataclass(frozen=True)
class Level:
    """One step from coarse to fine.

    :param blur_px: of the crop
    :param reach_px: how far an edge may lie from where it is expected
    """

    blur_px: float
    reach_px: int
    iterations: int


LEVELS = (Level(3.0, 7, 7), Level(1.5, 4, 6), Level(0.7, 3, 4))


class Refiner:
    """Aligns one object's mesh with images.

    :param mesh: metres; best with a texture, else contour and edges do it alone
    """

    def __init__(self, mesh: Mesh):
        self._centre, self._radius = mesh.centre, mesh.radius
        pixel_m = mesh.radius / (CROP_SIZE / 2 / MARGIN)  # the object is always this large in the crop
        self._surface = Surface(mesh, tuple(np.hypot(level.blur_px, 0.5) * pixel_m for level in LEVELS))
        self._edges = Edges(mesh)

    def refine(self, image: np.ndarray, camera: Camera, camera_from_object: np.ndarray) -> Alignment | None:
        """The aligned pose, all in the camera's frame; None when it was lost on the way.

        :param image: (H, W, 3) uint8 blue green red
        :param camera_from_object: (4, 4), within about 2 cm and 10 degrees
        """
        centre = camera_from_object[:3, :3] @ self._centre + camera_from_object[:3, 3]
        crop = CropCamera.around(centre, self._radius / np.linalg.norm(centre), CROP_SIZE, MARGIN)
        shot = crop.shoot(image, camera).astype(np.float32)
        camera_from_crop = make_transform(crop.camera_from_crop)
        start = invert(camera_from_crop) @ camera_from_object
        found = Alignment(start, np.eye(6), 0.0, 0.0)
        for index, level in enumerate(LEVELS):
            found = align(Picture(shot, level.blur_px), crop.matrix, self._surface, self._edges, index,
                          found.pose, level.reach_px, level.iterations)
            if found is None or _lost(start, found.pose):
                return None
        return Alignment(camera_from_crop @ found.pose,
                         rotate_covariance(found.information, crop.camera_from_crop),
                         found.correlation, found.edge_share)


def _lost(start: np.ndarray, pose: np.ndarray) -> bool:
    shift = np.linalg.norm(pose[:3, 3] - start[:3, 3])
    return bool(shift > FARTHEST_SHIFT * start[2, 3]
                or rotation_angle(pose[:3, :3] @ start[:3, :3].T) > FARTHEST_TURN_RAD)
