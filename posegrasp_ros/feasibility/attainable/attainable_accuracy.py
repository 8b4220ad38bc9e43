# SPDX-License-Identifier: Apache-2.0
"""Attainable accuracy: lower bound of the pose covariance (Cramér-Rao) for images of an object, by view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posegrasp_ros.feasibility.attainable.ambiguity import Ambiguity, find_ambiguities
from posegrasp_ros.feasibility.attainable.fisher import bound, positive, without_directions
from posegrasp_ros.feasibility.attainable.image_information import LIGHT_BASE, SOURCES, Imaging, image_information
from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.feasibility.attainable.weak_direction import weakest_direction, words_of
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry
from posegrasp_ros.simulation.object_renderer import ObjectRenderer

AXES = ('x', 'y', 'z', 'about x', 'about y', 'about z')
"""Names of the rows of a covariance."""


@dataclass(frozen=True, eq=False)
class ViewBound:
    """Accuracy bound of one view; covariances are of the object's pose along the camera axes.

    :param image_information: (6, 6) Fisher information of the image
    :param depth_information: (6, 6) of the depth camera, zero without one
    :param symmetry: declared symmetry; rotation about its axis is excluded
    :param sources: share of the image's information from ``texture``, ``contour`` and ``edges``, mean over the
        axes
    :param radius_m: of the object, at which rotations are converted to displacements
    :param free_turns: (6,) each, pose change per radian about an axis about which any rotation looks alike but
        which is not declared on the model card
    """

    view: CameraView
    image_information: np.ndarray
    depth_information: np.ndarray
    symmetry: Symmetry
    sources: dict[str, float]
    radius_m: float
    free_turns: tuple[np.ndarray, ...] = ()

    @property
    def camera_from_object(self) -> np.ndarray:
        """(4, 4)"""
        return self.view.camera_from_object

    @cached_property
    def covariance(self) -> np.ndarray:
        """(6, 6) the Cramér-Rao bound, camera axes."""
        return self.achieved(1.0)

    def achieved(self, efficiency: float | np.ndarray) -> np.ndarray:
        """(6, 6) covariance of an estimator whose errors are ``efficiency`` times the image's bound, camera axes.

        The factors apply to the image only; the information of the depth camera already accounts for correlated
        errors.

        :param efficiency: factor on standard deviations, one or (6,) along the camera axes
        """
        factor = np.broadcast_to(efficiency, 6)
        information = self.image_information / np.outer(factor, factor) + self.depth_information
        return positive(self.symmetry.without_spin(bound(information), self.camera_from_object))

    def of_surface(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) covariance of the surface: free rotations, which map it onto itself, are removed.

        :param covariance: (6, 6) of the pose, camera axes
        """
        if not self.free_turns:
            return covariance
        turns = np.array(self.free_turns).T
        turned_back = np.eye(6) - turns @ np.linalg.pinv(turns[3:]) @ np.eye(6)[3:]
        return positive(turned_back @ covariance @ turned_back.T)

    @cached_property
    def weakest(self) -> np.ndarray:
        """(6,) one standard deviation along the most uncertain direction, metres and radians."""
        return weakest_direction(self.covariance, self.radius_m)

    @property
    def weakest_text(self) -> str:
        """Description of this direction, such as ``along the line of sight``."""
        return words_of(self.weakest, self.view, self.radius_m)

    @property
    def size_m(self) -> float:
        """Standard deviation of the object's surface, all directions combined; used to compare views."""
        scale = np.repeat([1.0, self.radius_m], 3)
        return float(np.sqrt(np.sum(scale**2 * np.diag(self.covariance))))

    def to_dict(self) -> dict:
        """Plain values, millimetres and degrees."""
        return {'distance_m': self.view.distance_m, 'std': plain_std(self.covariance),
                'weakest': self.weakest_text, 'sources': self.sources}


@dataclass(frozen=True, eq=False)
class AttainableAccuracy:
    """Accuracy bounds of a sample of views.

    :param views: in the order they were drawn
    :param ambiguities: including declared symmetries
    :param free_axes: (3,) each, about which any rotation looks alike and which are not declared on the model card
    """

    views: list[ViewBound]
    ambiguities: list[Ambiguity]
    free_axes: list[np.ndarray]

    @cached_property
    def marginal(self) -> np.ndarray:
        """(6, 6) mean covariance over the views, camera axes."""
        return np.mean([bound.covariance for bound in self.views], axis=0)

    @cached_property
    def worst(self) -> ViewBound:
        """The view with the largest bound."""
        return max(self.views, key=lambda bound: bound.size_m)

    @property
    def ambiguous_views(self) -> list[int]:
        """Indices of the views with an undeclared ambiguity."""
        return sorted({index for each in self.ambiguities if not each.is_harmless for index in each.views})

    @property
    def ambiguous_share(self) -> float:
        """Share of the views in which the orientation is ambiguous."""
        return len(self.ambiguous_views) / len(self.views)

    def to_dict(self) -> dict:
        """Plain values, millimetres and degrees."""
        return {'views': [bound.to_dict() for bound in self.views], 'marginal': plain_std(self.marginal),
                'worst': self.worst.to_dict(), 'ambiguous_share': self.ambiguous_share,
                'ambiguities': [each.to_dict() for each in self.ambiguities]}


def plain_std(covariance: np.ndarray) -> dict[str, float]:
    """Standard deviations of a (6, 6) covariance by axis, millimetres and degrees."""
    std = np.sqrt(np.maximum(np.diag(covariance), 0))
    return {f'{axis}_mm': float(1000 * value) for axis, value in zip(AXES[:3], std[:3])} | {
        f'{axis.replace(" ", "_")}_deg': float(np.degrees(value)) for axis, value in zip(AXES[3:], std[3:])}


def attainable_accuracy(mesh: Mesh, camera: Camera, views: Sequence[CameraView], imaging: Imaging | None = None,
                        symmetry: Symmetry = NO_SYMMETRY, seed: int = 0,
                        progress: Callable[[], object] | None = None,
                        free_axes: Sequence[np.ndarray] | None = None) -> AttainableAccuracy:
    """Compute the Cramér-Rao bound of the object's pose in each view, and the ambiguities.

    :param imaging: noise, blur, depth; 2 grey levels of noise and 0.6 px of blur when None
    :param symmetry: declared on the model card
    :param seed: of the background
    :param progress: called once per view
    :param free_axes: (3,) each, known undeclared symmetry axes; None to search for ambiguities
    """
    imaging = imaging or Imaging()
    ambiguities = find_ambiguities(mesh, camera, views, symmetry) if free_axes is None else []
    axes = undeclared_axes(ambiguities) if free_axes is None else list(free_axes)
    bounds = []
    with ObjectRenderer(mesh) as renderer:
        for index, view in enumerate(views):
            bounds.append(view_bound(renderer, camera, view, imaging, symmetry, (seed, index), axes))
            if progress:
                progress()
    return AttainableAccuracy(bounds, ambiguities, axes)


def view_bound(renderer: ObjectRenderer, camera: Camera, view: CameraView, imaging: Imaging, symmetry: Symmetry,
               seed: int | tuple[int, ...] = 0, free_axes: Sequence[np.ndarray] = ()) -> ViewBound:
    """The bound of one view; parameters as of :func:`attainable_accuracy`."""
    pose, mesh = view.camera_from_object, renderer.mesh
    light_camera = view.base_from_camera[:3, :3].T @ LIGHT_BASE
    found = image_information(renderer.render(camera, pose), pose[:3, 3], light_camera, imaging,
                              np.random.default_rng(seed))
    symmetries = [Symmetry(axis=axis, offset=mesh.centre) for axis in free_axes]
    spins = [spin for each in symmetries if (spin := each.spin_direction(pose)) is not None]
    picture = sum((found[source] for source in SOURCES), np.zeros((6, 6)))
    whole = np.maximum(np.diag(picture), np.finfo(float).tiny)
    sources = {source: float(np.mean(np.diag(found[source]) / whole)) for source in SOURCES}
    depth = found.get('depth', np.zeros((6, 6)))
    return ViewBound(view, without_directions(picture, spins), without_directions(depth, spins), symmetry, sources,
                     mesh.radius, tuple(spins))


def undeclared_axes(ambiguities: Sequence[Ambiguity]) -> list[np.ndarray]:
    """(3,) each: axes about which any rotation looks alike, except those declared on the model card."""
    return [axis for each in ambiguities if not each.is_harmless for axis in each.free_axes]
