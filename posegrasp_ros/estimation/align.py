"""Align a pose with pictures: no renderer, a few hundred points, Gauss-Newton.

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
from posegrasp_ros.estimation.terms import Normal
from posegrasp_ros.geometry import perturb

SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Steps below these, of the distance and in radians, move no pixel by a tenth."""


@dataclass
class Alignment:
    """A refined pose.

    :param pose: (4, 4) crop_from_object
    :param information: (6, 6) inverse covariance
    :param correlation: between image and lit surface colour, 1 when they agree
    :param edge_share: share of the visible edge points that found an edge where they should
    :param disagreement: squared distance from the prior, in its own standard deviations
    """

    pose: np.ndarray
    information: np.ndarray
    correlation: float = 0.0
    edge_share: float = 0.0
    disagreement: float = 0.0


@dataclass(frozen=True)
class Prior:
    """What is known before: a pose and its (6, 6) information."""

    pose: np.ndarray
    information: np.ndarray

    def difference(self, pose: np.ndarray) -> np.ndarray:
        """(6,) disturbance that makes the prior's pose this one."""
        turn = cv2.Rodrigues(pose[:3, :3] @ self.pose[:3, :3].T)[0].ravel()
        return np.concatenate([pose[:3, 3] - self.pose[:3, 3], turn])

    def at(self, pose: np.ndarray) -> Normal:
        """The normal equations at a pose."""
        return Normal(self.information, self.information @ self.difference(pose))


def align(start: Alignment, prior: Prior, colour: ColourTerm, edge: EdgeTerm, depth: DepthTerm | None,
          iterations: int) -> Alignment | None:
    """Move the pose until mesh and pictures agree; None when too little of the object is seen or it is lost."""
    if colour.is_empty and edge.is_empty:
        return None
    pose, information = start.pose, start.information
    for _ in range(iterations):
        normal = prior.at(pose)
        if not edge.is_empty:
            normal += edge.at(pose, np.linalg.inv(information))
        if not colour.is_empty:
            normal += colour.at(pose)
        if depth is not None:
            normal += depth.at(pose)
        information = normal.information
        step = -np.linalg.solve(information, normal.gradient)
        pose = perturb(pose, step)
        if not (np.isfinite(pose).all() and pose[2, 3] > 0):
            return None
        if np.abs(step[:3]).max() < SMALL_SHIFT * pose[2, 3] and np.abs(step[3:]).max() < SMALL_TURN_RAD:
            break
    change = prior.difference(pose)
    return Alignment(pose, information, colour.correlation, edge.share, float(change @ prior.information @ change))
