# SPDX-License-Identifier: Apache-2.0
"""MeshRefiner: coarse-to-fine pose refinement by the mesh's colours, edges and depth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders.crop import CropCamera
from posegrasp_ros.estimation.decoders.initial_pose import VisibilityMask
from posegrasp_ros.estimation.refinement.align import Aligned, Prior, align
from posegrasp_ros.estimation.refinement.blurred_image import Picture
from posegrasp_ros.estimation.refinement.camera_error import camera_covariance
from posegrasp_ros.estimation.refinement.colour_term import ColourTerm
from posegrasp_ros.estimation.refinement.contour_term import ContourTerm
from posegrasp_ros.estimation.refinement.depth_map import depth_of_crop
from posegrasp_ros.estimation.refinement.depth_term import DepthTerm
from posegrasp_ros.estimation.refinement.edges import Edges
from posegrasp_ros.estimation.refinement.illumination import Illumination, palette_of
from posegrasp_ros.estimation.refinement.mismatch import POSE, mismatch_prior, state_information
from posegrasp_ros.estimation.refinement.motion import difference
from posegrasp_ros.estimation.refinement.refiner import Refinement
from posegrasp_ros.estimation.refinement.surface import Surface
from posegrasp_ros.estimation.refinement.terms import LEAST_LIKELY, eye_of, likely_seen
from posegrasp_ros.estimation.rim_spread import rim_spread
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    move_covariance,
    perturb,
    rotate_covariance,
    rotation_angle,
)

CROP_SIZE = 160
MARGIN = 1.15
PRIOR_SLACK = 2.0
"""Factor on the network's standard deviations."""
UNSURE_PX = 3.0
"""If the rim of the initial pose is less certain than this, the coarse level and additional starts are used."""
MOST_SPREAD_PX = 50.0
"""If it is less certain than this, it is not refined: of 72 such poses in simulated scenes one would end right."""
OTHER_START = 1.5
"""Distance of additional starts in standard deviations: beyond most errors, so each minimum has a near start."""
SURE_EVIDENCE = 0.8
"""If the initial pose reaches this evidence on the coarse level, no other start is tried. As many poses were right
without, in simulated scenes: rough, half hidden, clean, and of a plain object."""
FARTHEST_TURN_RAD = np.radians(30)
FARTHEST_SHIFT = 0.15
"""As a fraction of the distance: a descent that moves farther has reached another minimum."""


@dataclass(frozen=True)
class Level:
    """One level of the coarse-to-fine scheme.

    :param colour_blur_px: blur of the crop for the colour term
    :param edge_blur_px: blur of the crop for the edge term
    :param reach_px: largest search distance of an edge
    :param edge_sigma_px: assumed standard deviation of found edges; larger at first, when wrong matches are common
    :param share: fraction of the points to use; with several starts fewer points are enough
    """

    colour_blur_px: float
    edge_blur_px: float
    reach_px: int
    edge_sigma_px: float
    iterations: int
    share: float = 1.0


@dataclass
class _Scene:
    """Crop of an image with the prior of the pose.

    :param crop: (S, S, 3) float32
    :param matrix: (3, 3) pinhole matrix of the crop
    :param seen: (S, S) probability that a pixel shows the object; None if unknown
    """

    crop: np.ndarray
    matrix: np.ndarray
    depth_m: np.ndarray | None
    prior: Prior
    seen: np.ndarray | None
    pictures: dict[float, Picture] = field(default_factory=dict)
    palettes: dict[Level, np.ndarray] = field(default_factory=dict)

    def picture(self, blur_px: float) -> Picture:
        """The crop at a blur, computed once."""
        if blur_px not in self.pictures:
            self.pictures[blur_px] = Picture(self.crop, blur_px)
        return self.pictures[blur_px]


LEVELS = (Level(3.0, 1.5, 8, 2.0, 8, 0.5), Level(1.5, 0.7, 5, 1.5, 6), Level(0.7, 0.7, 3, 1.2, 5))
SURVIVORS = 2
"""Number of starts with the most evidence that are kept after the coarse level."""


class MeshRefiner:
    """A :class:`Refiner` that aligns one object's mesh with images.

    Its figures: ``correlation`` between image and lit surface colour, 1 when they agree; ``evidence``, how much of
    the surface and its edges agrees with the image, 0 to about 2; ``log_disagreement``, log of 1 plus the squared
    distance from the initial pose in its own standard deviations; ``hidden_share`` of the surface towards the
    camera, 0 where the network does not tell: less evidence is then no sign of a wrong pose.

    :param mesh: metres; preferably with a texture, otherwise only contour and edges contribute
    """

    figures_when_lost = MappingProxyType({'correlation': 0.0, 'evidence': 0.0, 'log_disagreement': 0.0,
                                          'hidden_share': 0.0})

    def __init__(self, mesh: Mesh):
        self._centre, self._radius = mesh.centre, mesh.radius
        self._edges, self._surface = _features(mesh)
        self._mismatch = mismatch_prior(float(mesh.extents.min()), mesh.radius)

    def refine(self, image: np.ndarray, camera: Camera, camera_from_object: np.ndarray, covariance: np.ndarray,
               depth_m: np.ndarray | None = None, seen: VisibilityMask | None = None) -> Refinement | None:
        """See :meth:`Refiner.refine`; the initial pose must be within about 2 cm and 10 degrees of the truth."""
        middle = camera_from_object @ make_transform(translation=self._centre)
        centre = middle[:3, 3]
        crop = CropCamera.around(centre, self._radius / float(np.linalg.norm(centre)), CROP_SIZE, MARGIN)
        camera_from_crop = make_transform(crop.camera_from_crop)
        start = invert(camera_from_crop) @ middle
        covariance = move_covariance(covariance, centre - camera_from_object[:3, 3])
        covariance = rotate_covariance(covariance, crop.camera_from_crop.T) * PRIOR_SLACK ** 2
        radius_px = crop.focal_px * self._radius / start[2, 3]
        spread_px = radius_px * rim_spread(covariance, start[2, 3], self._radius)
        if not spread_px <= MOST_SPREAD_PX:
            return None
        # replicate the border so that it does not appear as an edge
        shot = crop.shoot(image, camera, cv2.BORDER_REPLICATE).astype(np.float32)
        scene = _Scene(shot, crop.matrix,
                       None if depth_m is None else depth_of_crop(depth_m, camera, crop),
                       Prior(start, self._mismatch[0], state_information(np.linalg.inv(covariance),
                                                                         self._mismatch[1])),
                       None if seen is None else seen.as_seen_by(crop))
        found = [self._started(scene, start)]
        if spread_px > UNSURE_PX:
            found = self._coarse(scene, found[0], covariance)
        best = max((self._align(scene, each, LEVELS[1]) for each in found), key=lambda each: each.evidence)
        best = self._align(scene, best, LEVELS[2])
        if not best.evidence >= 0 or _is_far(start, best.pose):
            return None
        change = difference(start, best.pose)
        pose = camera_from_crop @ best.pose @ make_transform(translation=-self._centre)
        covariance = rotate_covariance(np.linalg.inv(best.information)[:POSE, :POSE], crop.camera_from_crop)
        covariance += camera_covariance(camera, camera_from_crop[:3, :3] @ best.pose[:3, 3], depth_m is not None)
        covariance = move_covariance(covariance, -pose[:3, :3] @ self._centre)
        visible_share = self._visible_share(scene, best.pose)
        squared_distance = float(change @ scene.prior.information[:POSE, :POSE] @ change)
        return Refinement(pose, covariance, best.correlation, {
            'correlation': best.correlation, 'evidence': best.evidence,
            'log_disagreement': float(np.log(squared_distance + 1)),
            'hidden_share': 0.0 if visible_share is None else 1 - visible_share}, visible_share)

    def _started(self, scene: _Scene, pose: np.ndarray) -> Aligned:
        return Aligned(pose, scene.prior.mismatch, scene.prior.information, 0.0, 0.0)

    def _coarse(self, scene: _Scene, first: Aligned, covariance: np.ndarray) -> list[Aligned]:
        """The best of an uncertain initial pose and of others about it after the coarse level."""
        found = [self._align(scene, first, LEVELS[0])]
        if not found[0].evidence >= SURE_EVIDENCE:
            found += [self._align(scene, self._started(scene, pose), LEVELS[0])
                      for pose in self._other_starts(first.pose, covariance)]
        return sorted(found, key=lambda each: -each.evidence)[:SURVIVORS]

    def _visible_share(self, scene: _Scene, pose: np.ndarray) -> float | None:
        """Mean probability that the surface towards the camera, by its area in the image, is not occluded.

        In images of the shipped box whose pose was right it was 6 points off on average; a tenth is the least.

        :param pose: (4, 4) crop_from_object
        :return: None where the network does not tell what it sees
        """
        area = self._surface.cosines(eye_of(pose))
        if scene.seen is None or not area.any():
            return None
        likely = likely_seen(self._surface.points, pose, scene.matrix, scene.seen)
        return max(float(area @ likely / area.sum()), LEAST_LIKELY)  # which rounding may miss

    def _align(self, scene: _Scene, start: Aligned, level: Level) -> Aligned:
        colour = ColourTerm.of(self._surface, scene.picture(level.colour_blur_px), scene.matrix, start.pose,
                               scene.seen, level.share)
        if level not in scene.palettes:
            scene.palettes[level] = palette_of(colour, scene.picture(level.colour_blur_px), scene.matrix,
                                               start.pose, self._edges.points, level.reach_px)
        contour = ContourTerm.of(self._edges, scene.picture(level.edge_blur_px), scene.matrix, start.pose,
                                 level.reach_px, level.edge_sigma_px,
                                 Illumination.of(colour, start.pose, scene.matrix), scene.palettes[level],
                                 scene.seen, level.share)
        depth = DepthTerm.of(self._surface, scene.depth_m, start.pose)
        return align(start, scene.prior, scene.matrix, colour, contour, depth, level.iterations)

    def _other_starts(self, start: np.ndarray, covariance: np.ndarray) -> list[np.ndarray]:
        """Poses on both sides of the start along its two most uncertain directions."""
        # what moves the image of the rim as far as a turn by one radian does
        unit = np.array([self._radius, self._radius, start[2, 3], 1.0, 1.0, 1.0])
        variance, directions = np.linalg.eigh(covariance / np.outer(unit, unit))
        steps = (directions * np.sqrt(variance.clip(0)) * unit[:, None])[:, -2:].T
        others = [perturb(start, side * OTHER_START / PRIOR_SLACK * step) for step in steps for side in (-1, 1)]
        return [other for other in others if other[2, 3] > start[2, 3] / 2]


@lru_cache(maxsize=4)
def _features(mesh: Mesh) -> tuple[Edges, Surface]:
    """Edges and surface points of a mesh relative to its centre.

    Cached because they take most of a second and the same object is often loaded again.
    """
    mesh = replace(mesh, vertices=mesh.vertices - mesh.centre)  # scale and depth refer to the centre
    edges = Edges(mesh)
    pixel_m = mesh.radius / (CROP_SIZE / 2 / MARGIN)  # the object's size in the crop is fixed
    return edges, Surface(mesh, edges, tuple(np.hypot(level.colour_blur_px, 0.5) * pixel_m for level in LEVELS))


def _is_far(start: np.ndarray, pose: np.ndarray) -> bool:
    shift = np.linalg.norm(pose[:3, 3] - start[:3, 3])
    return bool(shift > FARTHEST_SHIFT * start[2, 3]
                or rotation_angle(pose[:3, :3] @ start[:3, :3].T) > FARTHEST_TURN_RAD)
