"""Align poses with pictures: no renderer, a few hundred points, Gauss-Newton from several starts at once.

Minimised together are the terms of colour and edges, of depth where a camera gives it, and the prior: what the
network said, as far as it is to be trusted. Each lets go of what is hidden, glares or found the wrong edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.colour_term import ColourTerm
from posegrasp_ros.estimation.depth_term import DepthTerm
from posegrasp_ros.estimation.edge_term import EdgeTerm
from posegrasp_ros.estimation.terms import NormalEquations
from posegrasp_ros.geometry import perturb

SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Steps below these, of the distance and in radians, move no pixel by a tenth."""
EXPLAINED_WEIGHT, LEAST_EXPLAINED = 2.0, 0.005
"""A convex body shows half of its surface at most: then colour counts as much as edges."""


@dataclass(frozen=True)
class Prior:
    """What is known before: a (4, 4) pose and its (6, 6) information."""

    pose: np.ndarray
    information: np.ndarray

    def differences(self, poses: np.ndarray) -> np.ndarray:
        """(B, 6) disturbances that make the prior's pose these."""
        turns = [cv2.Rodrigues(turn)[0].ravel() for turn in poses[:, :3, :3] @ self.pose[:3, :3].T]
        return np.concatenate([poses[:, :3, 3] - self.pose[:3, 3], turns], axis=1)

    def at(self, poses: np.ndarray) -> NormalEquations:
        """The normal equations at poses."""
        information = np.repeat(self.information[None], len(poses), axis=0)
        return NormalEquations(information, self.differences(poses) @ self.information)


@dataclass
class Alignments:
    """Poses that were aligned, one row each.

    :param poses: (B, 4, 4) crop_from_object
    :param information: (B, 6, 6) inverse covariances
    :param correlation: (B,) between image and lit surface colour, 1 when they agree
    :param evidence: (B,) how much of the surface and of its edges is seen as it should be. A pose that shows
        little fits easily; so what counts is how much fits, not how well.
    :param lost: (B,) bool, nothing to go by or out of the room before the camera
    """

    poses: np.ndarray
    information: np.ndarray
    correlation: np.ndarray
    evidence: np.ndarray
    lost: np.ndarray

    @classmethod
    def of(cls, poses: np.ndarray, information: np.ndarray) -> Alignments:
        """Poses before anything was looked at, all of the same (6, 6) information."""
        nothing = np.zeros(len(poses))
        return cls(poses, np.repeat(information[None], len(poses), axis=0), nothing, nothing, nothing > 0)

    def best(self) -> Alignments:
        """The one with the most evidence, alone."""
        index = int(np.argmax(np.where(self.lost, -np.inf, self.evidence)))
        return Alignments(*(part[index:index + 1] for part in vars(self).values()))


def align(start: Alignments, prior: Prior, colour: ColourTerm, edge: EdgeTerm, depth: DepthTerm | None,
          iterations: int) -> Alignments:
    """Move each pose until mesh and pictures agree."""
    poses, information, lost = start.poses, start.information, start.lost.copy()
    for _ in range(iterations):
        normal = prior.at(poses) + edge.at(poses, np.linalg.inv(information)) + colour.at(poses)
        if depth is not None:
            normal += depth.at(poses)
        information = normal.information
        steps = -np.linalg.solve(information, normal.gradient[:, :, None])[:, :, 0]
        moved = np.array([perturb(pose, step) for pose, step in zip(poses, steps)])
        lost |= ~(np.isfinite(moved).all(axis=(1, 2)) & (moved[:, 2, 3] > prior.pose[2, 3] / 2))
        poses = np.where(lost[:, None, None], poses, moved)
        if (np.abs(steps[:, :3]).max() < SMALL_SHIFT * prior.pose[2, 3]
                and np.abs(steps[:, 3:]).max() < SMALL_TURN_RAD):
            break
    explained = colour.explained + (0.0 if depth is None else depth.explained)
    lost |= (explained < LEAST_EXPLAINED) & (edge.fit == 0)
    return Alignments(poses, information, colour.correlation, EXPLAINED_WEIGHT * explained + edge.fit, lost)
