"""Refiner: a pose in, the pose with which mesh and image agree out, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.camera import Camera
from posegrasp_ros.estimation.align import Alignment, Prior, align
from posegrasp_ros.estimation.colour_term import ColourTerm
from posegrasp_ros.estimation.crop import CropCamera
from posegrasp_ros.estimation.depth_map import DepthMap
from posegrasp_ros.estimation.depth_term import DepthTerm
from posegrasp_ros.estimation.edge_term import EdgeTerm
from posegrasp_ros.estimation.edges import Edges
from posegrasp_ros.estimation.picture import Picture
from posegrasp_ros.estimation.surface import Surface
from posegrasp_ros.geometry import invert, make_transform, rotate_covariance, rotation_angle
from posegrasp_ros.mesh import Mesh

CROP_SIZE = 160
MARGIN = 1.15
PRIOR_SLACK = 2.0
"""The network's standard deviations are taken as this many times what it says."""
FARTHEST_TURN_RAD = np.radians(30)
FARTHEST_SHIFT = 0.15
"""Of the distance: a descent that goes farther has left for another minimum."""


@dataclass(frozen=True)
class Level:
    """One step from coarse to fine.

    :param colour_blur_px: of the crop where colours are compared
    :param edge_blur_px: of the crop where edges are looked for
    :param reach_px: how far an edge may lie from where it is expected
    :param edge_sigma_px: how far off it is taken to be found: at first it is often another edge
    """

    colour_blur_px: float
    edge_blur_px: float
    reach_px: int
    edge_sigma_px: float
    iterations: int


LEVELS = (Level(3.0, 1.5, 8, 2.0, 5), Level(1.5, 0.7, 5, 1.0, 4), Level(0.7, 0.7, 3, 0.7, 3))


class Refiner:
    """Aligns one object's mesh with images.

    :param mesh: metres; best with a texture, else contour and edges do it alone
    """

    def __init__(self, mesh: Mesh):
        self._centre, self._radius = mesh.centre, mesh.radius
        pixel_m = mesh.radius / (CROP_SIZE / 2 / MARGIN)  # the object is always this large in the crop
        self._edges = Edges(mesh)
        self._surface = Surface(mesh, self._edges,
                                tuple(np.hypot(level.colour_blur_px, 0.5) * pixel_m for level in LEVELS))

    def refine(self, image: np.ndarray, camera: Camera, camera_from_object: np.ndarray,
               covariance: np.ndarray, depth_m: np.ndarray | None = None) -> Alignment | None:
        """The aligned pose, all in the camera's frame; None when it was lost on the way.

        :param image: (H, W, 3) uint8 blue green red
        :param camera_from_object: (4, 4), within about 2 cm and 10 degrees
        :param covariance: (6, 6) of it
        :param depth_m: (H, W) registered to the image, metres, NaN where unknown; None without a depth camera
        """
        centre = camera_from_object[:3, :3] @ self._centre + camera_from_object[:3, 3]
        crop = CropCamera.around(centre, self._radius / np.linalg.norm(centre), CROP_SIZE, MARGIN)
        shot = crop.shoot(image, camera).astype(np.float32)
        camera_from_crop = make_transform(crop.camera_from_crop)
        start = invert(camera_from_crop) @ camera_from_object
        known = np.linalg.inv(rotate_covariance(covariance, crop.camera_from_crop.T)) / PRIOR_SLACK ** 2
        prior, found = Prior(start, known), Alignment(start, known)
        blurs = {blur for level in LEVELS for blur in (level.colour_blur_px, level.edge_blur_px)}
        pictures = {blur: Picture(shot, blur) for blur in blurs}
        depth = None if depth_m is None else DepthMap.of_crop(depth_m, camera, crop)
        for level in LEVELS:
            colour = ColourTerm(self._surface, pictures[level.colour_blur_px], crop.matrix, found.pose)
            edge = EdgeTerm(self._edges, pictures[level.edge_blur_px], crop.matrix, found.pose, level.reach_px,
                            level.edge_sigma_px)
            measured = None if depth is None else DepthTerm(self._surface, depth, found.pose)
            found = align(found, prior, colour, edge, measured, level.iterations)
            if found is None or _lost(start, found.pose):
                return None
        return replace(found, pose=camera_from_crop @ found.pose,
                       information=rotate_covariance(found.information, crop.camera_from_crop))


def _lost(start: np.ndarray, pose: np.ndarray) -> bool:
    shift = np.linalg.norm(pose[:3, 3] - start[:3, 3])
    return bool(shift > FARTHEST_SHIFT * start[2, 3]
                or rotation_angle(pose[:3, :3] @ start[:3, :3].T) > FARTHEST_TURN_RAD)
