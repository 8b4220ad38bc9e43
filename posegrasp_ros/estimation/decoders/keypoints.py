"""KeypointEstimator: poses from networks that say where an object's keypoints are seen (DOPE, YOLO pose)."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders import dope, yolo_pose
from posegrasp_ros.estimation.decoders.families import LEAST_KEYPOINTS
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.decoders.letterbox import Framing
from posegrasp_ros.estimation.decoders.object_coordinates import KeypointInstance
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.solve import Solution, refine_pose
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform

LEAST_SIGMA_PX = {'dope': 2.0, 'yolo_pose': 1.0}
"""Keypoints err by at least this much of the input: a quarter of a DOPE cell, a pixel."""
SIGMA_SHARE = 0.02
"""And by this share of how far apart they lie: networks err more on what is large in the image."""
PRIOR_WEIGHT = 4.0
"""Residuals of few keypoints say little of their spread: the assumed one counts as much as so many residuals."""
MOST_TRIPLES = 120
STARTS = 4


class KeypointEstimator:
    """Finds keypoints in the whole image with one network, and solves each object's pose from its own.

    :param card: a model of one of the families in ``families.WITHOUT_DETECTOR``
    :param threads: processor threads of the network; None takes every core
    :raises ModelCardError: when the network's output is not what the family reads
    """

    def __init__(self, card: ModelCard, threads: int | None = None):
        self.network = Network(card.network, None, threads)
        self.points = object_keypoints(card)
        self.layout = None
        if card.network.family == 'dope':
            self._check_maps()
        else:
            self.layout = self._yolo_layout()

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        """Places where the object may be, the likeliest first; see :class:`InitialPoseEstimator`."""
        framing = self.frame(image)
        instances = self.decode(self._output(self.network.tensor(framing.apply(image))))
        return [Candidate(each.confidence, partial(self._pose, each, framing, camera)) for each in instances]

    def frame(self, image: np.ndarray) -> Framing:
        """How the image is laid into the input."""
        card = self.network.card
        edge = 0.0 if card.family == 'yolo_pose' else -0.5
        return Framing.of(card.parameters['fit'], image.shape[1::-1], card.size, edge)

    def decode(self, output: np.ndarray) -> list[KeypointInstance]:
        """Keypoints, in pixels of the input, from the network's output without its batch dimension."""
        parameters = self.network.card.parameters
        if self.layout is None:
            return dope.decode_dope(output, parameters['threshold'], parameters['smoothing_cells'],
                                    parameters['offset_cells'])
        return yolo_pose.decode_yolo_pose(output, self.layout, parameters['class'], parameters['threshold'],
                                          parameters['overlap'], parameters['visibility'])

    def _pose(self, instance: KeypointInstance, framing: Framing, camera: Camera) -> InitialPose | None:
        undistorted = camera.undistorted(framing.to_image(instance.pixels))
        seen = instance.seen & np.isfinite(undistorted).all(axis=1)  # the others lie beyond what the lens shows
        if seen.sum() < LEAST_KEYPOINTS:
            return None
        pixels, scale = framing.to_image(instance.pixels[seen]), float(np.mean(framing.scale))
        sigma_px = max(LEAST_SIGMA_PX[self.network.card.family] / scale,
                       SIGMA_SHARE * float(np.linalg.norm(np.ptp(pixels, axis=0))))
        solution = solve_keypoints(self.points[seen], undistorted[seen], sigma_px, camera.matrix)
        if solution is None:
            return None
        return InitialPose(solution.pose, solution.covariance, {
            'confidence': instance.confidence, 'inlier_share': solution.inlier_share,
            'log_residual': float(np.log(solution.residual_px * scale + 0.1))})

    def _output(self, tensor: np.ndarray) -> np.ndarray | None:
        """What is decoded, without its batch dimension; None when the outputs are not the family's."""
        if self.network.card.family == 'dope':
            return dope.joined_maps(list(self.network.run_all(tensor).values()))
        return self.network.run(tensor)

    def _output_shape(self) -> list[int | str | None]:
        """Shape of what is decoded, of a trial run where the graph leaves it open or has several outputs."""
        shapes = list(self.network.output_shapes.values())
        if len(shapes) == 1 and all(isinstance(length, int) for length in shapes[0]):
            return shapes[0]
        output = self._output(self.network.tensor(np.zeros((*self.network.card.size[::-1], 3), np.uint8)))
        return shapes if output is None else [1, *output.shape]

    def _check_maps(self) -> None:
        shape, (width, height) = self._output_shape(), self.network.card.size
        expected = [1, dope.CHANNELS, height / dope.STRIDE, width / dope.STRIDE]
        if list(shape) != expected:
            raise ModelCardError(f'{self.network.card.path}: decoder.family: dope reads an output of [1, 25, H/8, '
                                 f'W/8], or of [1, 9, H/8, W/8] and [1, 16, H/8, W/8], for its input of '
                                 f'{width}x{height}, the network gives {list(shape)}')

    def _yolo_layout(self) -> yolo_pose.Layout:
        """What the output's shape and the card leave possible."""
        parameters, shape = self.network.card.parameters, self._output_shape()
        possible = yolo_pose.layouts(len(self.points), parameters['classes'], parameters['layout'])
        fitting = [layout for layout in possible if layout.fits(shape)]
        where = f'{self.network.card.path}: decoder.layout'
        if not fitting:
            raise ModelCardError(f'{where}: {len(self.points)} keypoints and {parameters["classes"]} classes make '
                                 f'{", ".join(map(str, possible))}, the network gives {list(shape)}; are '
                                 'keypoints_m and classes those of the network?')
        if len(fitting) > 1:
            raise ModelCardError(f'{where}: expected rows or end_to_end, since the output {list(shape)} can be '
                                 'read as either')
        if fitting[0].name == 'rows' and parameters['class'] >= parameters['classes']:
            raise ModelCardError(f'{self.network.card.path}: decoder.class: expected less than the number of '
                                 f'classes, {parameters["classes"]}, got {parameters["class"]}')
        return fitting[0]


def object_keypoints(card: ModelCard) -> np.ndarray:
    """(K, 3) the keypoints that the card's network finds, in the object frame, metres."""
    parameters = card.network.parameters
    if card.network.family == 'yolo_pose':
        return parameters['keypoints_m']
    sides = parameters['dimensions_m'] if parameters['dimensions_m'] is not None else card.mesh.extents
    return dope.cuboid_keypoints(sides, card.mesh.centre, parameters['corners'])


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
    poses = []
    for triple in map(list, triples):
        found, rotations, translations = cv2.solveP3P(points[triple], pixels[triple], matrix, None,
                                                      cv2.SOLVEPNP_AP3P)
        poses += [make_transform(cv2.Rodrigues(rotation)[0], translation.ravel())
                  for rotation, translation in zip(rotations[:found], translations[:found])]
    poses = np.array(poses).reshape(-1, 4, 4)
    x, y, z = np.moveaxis(points @ poses[:, :3, :3].swapaxes(1, 2) + poses[:, None, :3, 3], 2, 0)
    with np.errstate(divide='ignore', invalid='ignore'):
        seen = np.stack([x / z, y / z, np.ones_like(z)], axis=2) @ matrix[:2].T
        cost = np.minimum(np.sum((seen - pixels) ** 2, axis=2) / sigma_px ** 2, 9.0).sum(axis=1)
    cost[~(z > 1e-3).all(axis=1)] = np.inf  # not in front of the camera, or no number
    order = np.argsort(cost, kind='stable')[:STARTS]
    return poses[order[np.isfinite(cost[order])]]
