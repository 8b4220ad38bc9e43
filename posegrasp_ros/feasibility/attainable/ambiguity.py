# SPDX-License-Identifier: Apache-2.0
"""Ambiguity: poses that cannot be distinguished in an image, with their share of views and their cause.

Two poses are ambiguous if less than a fifth of the object's image distinguishes them: occlusion, shadow or glare
can hide that much. For features of the shape, such as a handle or a notch, a smaller share is sufficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.attainable.ambiguity_text import (
    alike_faces,
    continuous_axes,
    describe,
    is_printed,
    share_of_faces,
)
from posegrasp_ros.feasibility.attainable.look_alikes import LookAlikes
from posegrasp_ros.feasibility.attainable.turns import any_turns, axis_angle, candidate_turns
from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry, invert, rotation_angle

TOLD_BY = 0.2
"""Minimum share of the object's image that must differ to distinguish two poses."""
TOLD_BY_SHAPE = 0.03
"""The same where the rotated object has a different shape."""
ON_ITSELF, SAME_SHAPE = 0.8, 0.98
"""Share of the surface that a rotation must map onto the surface to be considered, and to preserve the shape."""
ALWAYS = 0.95
"""Share of the views above which an ambiguity is a symmetry."""
MOST_AXES = 3
"""Rotations about more axes than this are reported together."""
DECLARED_RAD = float(np.radians(5.0))


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """Two or more poses that cannot be distinguished in an image.

    :param kind: ``declared symmetry``, ``undeclared symmetry``, ``no orientation``, ``same artwork`` (some views
        show mostly faces with identical artwork), ``twin faces`` (no sampled view does, others might) or
        ``hidden feature`` (the distinguishing feature is not visible)
    :param text: description
    :param share_of_views: share of the views that are ambiguous
    :param views: their indices
    :param turns: (K, 4, 4) object-frame rotations: camera_from_object @ turn looks like camera_from_object
    :param twin_share: share of the surface on faces with identical artwork
    :param free_axes: directions (3,) through ``middle``, object frame, about which any rotation looks alike
    :param middle: (3,) object frame, metres
    """

    kind: str
    text: str
    share_of_views: float
    views: list[int]
    turns: np.ndarray
    twin_share: float
    free_axes: list[np.ndarray]
    middle: np.ndarray

    @property
    def object_from_alike(self) -> np.ndarray:
        """(4, 4) the rotation that is ambiguous in most views."""
        return self.turns[0]

    @property
    def is_harmless(self) -> bool:
        """Whether the symmetry is declared on the model card, so that pose errors account for it."""
        return self.kind == 'declared symmetry'

    def to_dict(self) -> dict:
        """Plain values."""
        return {'kind': self.kind, 'text': self.text, 'share_of_views': self.share_of_views, 'views': self.views,
                'twin_share': self.twin_share, 'is_harmless': self.is_harmless}


def find_ambiguities(mesh: Mesh, camera: Camera, views: Sequence[CameraView],
                     symmetry: Symmetry = NO_SYMMETRY) -> list[Ambiguity]:
    """Find the ambiguities in these views; undeclared ones first, then by frequency.

    :param symmetry: declared on the model card
    """
    pixel_m = float(np.median([view.distance_m for view in views])) / camera.fx
    looks = LookAlikes(mesh, pixel_m)
    if _looks_like_a_ball(looks, any_turns(mesh), views):
        return [_ambiguity('no orientation', any_turns(mesh), np.ones((len(views), 1), bool), looks, mesh)]
    turns = candidate_turns(mesh)
    shares = np.array([looks.on_itself(turn) for turn in turns])
    turns, shares = turns[shares >= ON_ITSELF], shares[shares >= ON_ITSELF]
    alike = _alike(looks, turns, shares, views)
    kinds = np.array([_kind(turn, share, frequency, symmetry)
                      for turn, share, frequency in zip(turns, shares, alike.mean(axis=0))], dtype=object)
    found = [_ambiguity(kind, turns[chosen], alike[:, chosen], looks, mesh)
             for kind in dict.fromkeys(kinds) if kind for chosen in _grouped(kinds == kind, turns)]
    found += _twin_faces(turns[(kinds == '') & (shares >= SAME_SHAPE)], len(views), looks, mesh)
    return sorted(found, key=lambda each: (each.is_harmless, -each.share_of_views))


def _twin_faces(turns: np.ndarray, views: int, looks: LookAlikes, mesh: Mesh) -> list[Ambiguity]:
    """Printed faces swapped by shape symmetries (K, 4, 4) that other faces resolve in all sampled views."""
    swapping = [turn for turn in turns if any(is_printed(first, looks) for first, _ in alike_faces(turn, looks))]
    if not swapping:
        return []
    return [_ambiguity('twin faces', np.array(swapping), np.zeros((views, len(swapping)), bool), looks, mesh)]


def _looks_like_a_ball(looks: LookAlikes, turns: np.ndarray, views: Sequence[CameraView]) -> bool:
    """Whether arbitrary rotations look alike in nearly all views."""
    if min(looks.on_itself(turn) for turn in turns) < SAME_SHAPE:
        return False
    return bool(_alike(looks, turns, np.ones(len(turns)), views).mean() >= ALWAYS)


def _alike(looks: LookAlikes, turns: np.ndarray, shares: np.ndarray, views: Sequence[CameraView]) -> np.ndarray:
    """(V, K) bool: whether the object looks the same in a view after each rotation (K, 4, 4)."""
    eyes = np.array([invert(view.camera_from_object)[:3, 3] for view in views])
    told = np.zeros((len(views), len(turns)))
    weights = np.array([looks.weights(eye) for eye in eyes])
    for k, (turn, share) in enumerate(zip(turns, shares)):
        told[:, k] = weights @ looks.tells(turn)
        if share < SAME_SHAPE:  # features visible only on the rotated object count too
            turned = np.array([looks.weights(eye) for eye in eyes @ turn[:3, :3] - turn[:3, 3] @ turn[:3, :3]])
            told[:, k] = np.maximum(told[:, k], turned @ looks.tells(invert(turn)))
    return told < np.where(shares < SAME_SHAPE, TOLD_BY_SHAPE, TOLD_BY)


def _kind(turn: np.ndarray, share: float, frequency: float, symmetry: Symmetry) -> str:
    """Kind of the ambiguity of a rotation that looks alike in this share of the views; empty for none."""
    if frequency == 0:
        return ''
    if rotation_angle(symmetry.nearest(turn, np.eye(4))[:3, :3]) < DECLARED_RAD:
        return 'declared symmetry'
    if frequency >= ALWAYS:
        return 'undeclared symmetry'
    return 'same artwork' if share >= SAME_SHAPE else 'hidden feature'


def _grouped(chosen: np.ndarray, turns: np.ndarray) -> list[np.ndarray]:
    """Indices of the chosen (K,) rotations, grouped by axis, or in one group if there are many axes."""
    by_axis: dict[tuple, list[int]] = {}
    for index in np.flatnonzero(chosen).tolist():
        by_axis.setdefault(tuple(axis_angle(turns[index])[0].round(1) + 0.0), []).append(index)
    groups = [np.array(group) for group in by_axis.values()]
    return groups if len(groups) <= MOST_AXES else [np.concatenate(groups)]


def _ambiguity(kind: str, turns: np.ndarray, alike: np.ndarray, looks: LookAlikes, mesh: Mesh) -> Ambiguity:
    """Ambiguity from its rotations (K, 4, 4) and the views in which they look alike (V, K)."""
    views = np.flatnonzero(alike.any(axis=1))
    share = len(views) / len(alike)
    free_axes = continuous_axes(turns) if kind.endswith('symmetry') else []
    free_axes = list(np.eye(3)) if kind == 'no orientation' else free_axes
    faces = alike_faces(turns[np.argmax(alike.mean(axis=0))], looks)
    likeliest = turns[np.argsort(-alike.mean(axis=0), kind='stable')]
    return Ambiguity(kind, describe(kind, turns, free_axes, faces), share, views.tolist(), likeliest,
                     share_of_faces(faces, looks), free_axes, mesh.centre)
