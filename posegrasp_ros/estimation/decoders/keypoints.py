# SPDX-License-Identifier: Apache-2.0
"""KeypointDecoder: what families of networks share that say where an object's keypoints are seen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import ClassVar

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.estimation.decoders.decoder_parameters import LEAST_KEYPOINTS
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.decoders.letterbox import Framing
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.solve import Solution, refine_pose
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform

SIGMA_SHARE = 0.02
"""Keypoints err by at least this share of how far apart they lie: networks err more on what is large."""
PRIOR_WEIGHT = 4.0
"""Residuals of few keypoints say little of their spread: the assumed one counts as much as so many residuals."""
MOST_TRIPLES = 120
STARTS = 4


@dataclass(frozen=True)
class KeypointInstance:
    """One object's keypoints in a network's input.

    :param pixels: (K, 2) u, v of the input; anything where not seen
    :param seen: (K,) bool
    :param confidence: that there is an object, in [0, 1]
    """

    pixels: np.ndarray
    seen: np.ndarray
    confidence: float


class KeypointDecoder(Decoder):
    """Finds keypoints in the whole image with one network, and solves each object's pose from its own.

    :cvar least_sigma_px: keypoints err by at least this much of the input
    :cvar edge: see :class:`Framing`
    """

    needs_sha256 = False
    least_sigma_px: ClassVar[float] = 1.0
    edge: ClassVar[float] = -0.5

    def __init__(self, card: ModelCard, threads: int | None = None):
        super().__init__(card, threads)
        self.network = Network(card.network, None, threads)
        self.points = self.object_keypoints(card)
        self.check_output(self._output_shape())

    @classmethod
    @abstractmethod
    def object_keypoints(cls, card: ModelCard) -> np.ndarray:
        """(K, 3) the keypoints that the card's network finds, object frame, metres."""

    @abstractmethod
    def check_output(self, shape: Sequence[object]) -> None:
        """Make sure that an output of this shape, batch dimension included, can be decoded.

        :param shape: a length that the graph leaves open is its name or None; the shapes of all outputs where
            :meth:`output` finds none in them
        :raises ModelCardError: naming what the family reads
        """

    @abstractmethod
    def decode(self, output: np.ndarray) -> list[KeypointInstance]:
        """Keypoints, in pixels of the input, from the network's output without its batch dimension."""

    @property
    def networks(self) -> dict[str, Network]:
        return {'network': self.network}

    @property
    def keypoints_m(self) -> np.ndarray:
        return self.points

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        framing = self.frame(image)
        output = self.output(self.network.tensor(framing.apply(image)))
        if output is None:
            raise ModelCardError(f'{self.network.card.path}: expected outputs as in its first run, got others')
        instances = self.decode(output)
        return [Candidate(each.confidence, partial(self._pose, each, framing, camera)) for each in instances]

    def frame(self, image: np.ndarray) -> Framing:
        """How the image is laid into the input."""
        card = self.network.card
        return Framing.of(card.parameters.fit, image.shape[1::-1], card.size, self.edge)

    def output(self, tensor: np.ndarray) -> np.ndarray | None:
        """What is decoded, without its batch dimension; None when the outputs are not the family's."""
        return self.network.run(tensor)

    def _pose(self, instance: KeypointInstance, framing: Framing, camera: Camera) -> InitialPose | None:
        undistorted = camera.undistorted(framing.to_image(instance.pixels))
        seen = instance.seen & np.isfinite(undistorted).all(axis=1)  # the others lie beyond what the lens shows
        if seen.sum() < LEAST_KEYPOINTS:
            return None
        pixels, scale = framing.to_image(instance.pixels[seen]), float(np.mean(framing.scale))
        sigma_px = max(self.least_sigma_px / scale, SIGMA_SHARE * float(np.linalg.norm(np.ptp(pixels, axis=0))))
        solution = solve_keypoints(self.points[seen], undistorted[seen], sigma_px, camera.matrix)
        if solution is None:
            return None
        return InitialPose(solution.pose, solution.covariance, {
            'confidence': instance.confidence, 'inlier_share': solution.inlier_share,
            'log_residual': float(np.log(solution.residual_px * scale + 0.1))})

    def _output_shape(self) -> Sequence[object]:
        """Shape of what is decoded, of a trial run where the graph leaves it open or has several outputs."""
        shapes = list(self.network.output_shapes.values())
        if len(shapes) == 1 and all(isinstance(length, int) for length in shapes[0]):
            return shapes[0]
        output = self.output(self.network.tensor(np.zeros((*self.network.card.size[::-1], 3), np.uint8)))
        return shapes if output is None else [1, *output.shape]


def solve_keypoints(points: np.ndarray, pixels: np.ndarray, sigma_px: float,
                    matrix: np.ndarray) -> Solution | None:
    """Pose from a handful of keypoints, some of them wrong.

    So few that every triple is tried, which finds what RANSAC might miss, and both poses that a flat set of
    keypoints is often seen in; the best are refined with all keypoints.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) where they were seen, without distortion
    :param sigma_px: how far off a right one may well be
    :param matrix: (3, 3) pinhole matrix, pixels
    :return: None when fewer than four, or fewer than half, agree on a pose
    """
    solutions = []
    for start in _likeliest_starts(points, pixels, sigma_px, matrix):
        depth = points @ start[2, :3] + start[2, 3]
        solution = refine_pose(points, pixels, sigma_px * depth / matrix[0, 0], matrix, start)
        if solution is not None:
            solutions.append(solution)
    if not solutions:
        return None
    best = max(solutions, key=lambda solution: (round(solution.inlier_share * len(points)), -solution.residual_px))
    inliers = round(best.inlier_share * len(points))
    if inliers < max(LEAST_KEYPOINTS, len(points) / 2):
        return None
    squared = 2 * inliers * (best.residual_px / sigma_px) ** 2
    best.covariance *= (PRIOR_WEIGHT + squared) / (PRIOR_WEIGHT + 2 * inliers - 6)
    return best


def _likeliest_starts(points: np.ndarray, pixels: np.ndarray, sigma_px: float, matrix: np.ndarray) -> np.ndarray:
    """(N, 4, 4) poses of triples of keypoints that most others agree with, the best first."""
    triples = list(combinations(range(len(points)), 3))
    if len(triples) > MOST_TRIPLES:  # the same image gets the same answer
        chosen = np.random.default_rng(0).choice(len(triples), MOST_TRIPLES, replace=False)
        triples = [triples[index] for index in chosen]
    found_poses = []
    for triple in map(list, triples):
        found, rotations, translations = cv2.solveP3P(points[triple], pixels[triple], matrix, None,
                                                      cv2.SOLVEPNP_AP3P)
        found_poses += [make_transform(cv2.Rodrigues(rotation)[0], translation.ravel())
                        for rotation, translation in zip(rotations[:found], translations[:found])]
    poses = np.array(found_poses).reshape(-1, 4, 4)
    x, y, z = np.moveaxis(points @ poses[:, :3, :3].swapaxes(1, 2) + poses[:, None, :3, 3], 2, 0)
    with np.errstate(divide='ignore', invalid='ignore'):
        seen = np.stack([x / z, y / z, np.ones_like(z)], axis=2) @ matrix[:2].T
        cost = np.minimum(np.sum((seen - pixels) ** 2, axis=2) / sigma_px ** 2, 9.0).sum(axis=1)
    cost[~(z > 1e-3).all(axis=1)] = np.inf  # not in front of the camera, or no number
    order = np.argsort(cost, kind='stable')[:STARTS]
    return poses[order[np.isfinite(cost[order])]]
