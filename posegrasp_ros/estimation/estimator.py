"""PoseEstimator: image and camera in, poses with score and covariance out."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.camera import Camera, CameraError
from posegrasp_ros.estimation.align import Alignment
from posegrasp_ros.estimation.crop import CropCamera
from posegrasp_ros.estimation.decoders import (
    COORDINATE_CHANNELS,
    HEATMAP_CHANNELS,
    Detection,
    decode_centre_heatmap,
    decode_object_coordinates,
    sigmoid,
)
from posegrasp_ros.estimation.estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.model_card import SCORE_FIGURES, ModelCard
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.refine import Refiner
from posegrasp_ros.estimation.solve import Solution, solve_pose
from posegrasp_ros.estimation.stopwatch import Stopwatch
from posegrasp_ros.geometry import make_transform, rotate_covariance

MOST_CANDIDATES = 3
MOST_PASSES = 2
FAINT_HEAT = 0.4
PADDING_GREY = 115
MIN_SCORE = 0.2


class PoseEstimator:
    """Finds the object in the image, reads object coordinates from a crop around it, solves the pose.

    The crop is what a camera turned to the object would see, so the network always meets it in the middle and
    undistorted. Where the first pose says that the crop was off, a better one is read again. The pose is then
    refined against the mesh's own colours and edges.

    :param card: the model
    :param threads: processor threads of the networks; None takes every core
    :param min_score: poses less probable than this are no answer
    :param refine: False leaves the network's pose as it is, for comparison
    """

    def __init__(self, card: ModelCard, threads: int | None = None, min_score: float = MIN_SCORE,
                 refine: bool = True):
        self._card = card
        self.detector = Network(card.detector, HEATMAP_CHANNELS, threads)
        self.network = Network(card.network, COORDINATE_CHANNELS, threads)
        self._refiner = Refiner(card.mesh) if refine else None
        self._min_score = min_score
        self._centre_m, self._half_extents_m = card.mesh.centre, card.mesh.extents / 2
        self._radius_m = card.mesh.radius

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None) -> Estimation:
        """The object's pose; see :class:`posegrasp_ros.estimation.estimate.Estimator`.

        Reasons for none: ``no_detection``, ``no_pose`` (coordinates that fit none), ``low_score``.
        """
        if image.shape[:2] != (camera.height, camera.width):
            raise CameraError(f'camera: intrinsics are of {camera.width}x{camera.height} pixels, '
                              f'the image has {image.shape[1]}x{image.shape[0]}')
        watch = Stopwatch()
        detections = self.detect(image)
        watch.lap('detect_ms', detections=len(detections))
        if not detections:
            return watch.answer('no_detection')
        candidates = []
        for detection in detections:
            if detection.heat < FAINT_HEAT and any(estimate.score > 0.5 for estimate, _ in candidates):
                break  # hottest first: a faint one is worth the time only while there is nothing better
            found = self._estimate_one(image, camera, detection)
            candidates += [found] if found else []
        watch.lap('pose_ms', candidates=len(candidates))
        if not candidates:
            return watch.answer('no_pose')
        candidates.sort(key=lambda candidate: -candidate[0].score)
        best, figures = candidates[0]
        watch.note(score=best.score, **figures)
        good = [estimate for estimate, _ in candidates if estimate.score >= self._min_score]
        return watch.answer(poses=good) if good else watch.answer('low_score')

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Candidates in the image's own pixels, hottest first."""
        parameters = self._card.detector.parameters
        picture, scale = letterbox(image, self._card.detector.size)
        output = self.detector.run(self.detector.tensor(picture))
        found = decode_centre_heatmap(output, parameters['stride'], parameters['threshold'])
        # pixel centres lie at whole numbers, so a scaled image is also shifted by half a pixel
        return [Detection((d.centre + 0.5) / scale - 0.5, d.radius_px / scale, d.heat)
                for d in found[:MOST_CANDIDATES]]

    def _estimate_one(self, image: np.ndarray, camera: Camera, detection: Detection):
        """The estimate of one detection and the figures of its score; None when there is no pose."""
        size, margin = self.network.card.size[0], self.network.card.parameters['margin']
        crop = CropCamera.of_detection(detection, camera, size, margin)
        for _ in range(MOST_PASSES):
            solution = self._solve(crop, image, camera)
            if solution is None:
                return None
            pose = make_transform(crop.camera_from_crop) @ solution.pose
            covariance = rotate_covariance(solution.covariance, crop.camera_from_crop)
            centre = pose[:3, :3] @ self._centre_m + pose[:3, 3]
            before, crop = crop, CropCamera.around(centre, self._radius_m / np.linalg.norm(centre), size, margin)
            if crop.shows_much_the_same(before):
                break
        aligned = self._refiner.refine(image, camera, pose) if self._refiner else None
        if aligned:
            pose, covariance = aligned.pose, np.linalg.pinv(aligned.information, hermitian=True)
        figures = score_figures(solution, detection, aligned)
        scale = np.sqrt(np.repeat(self._card.covariance_scale, 3))
        return PoseEstimate(pose, self._score(figures), covariance * np.outer(scale, scale)), figures

    def _solve(self, crop: CropCamera, image: np.ndarray, camera: Camera) -> Solution | None:
        output = self.network.run(self.network.tensor(crop.shoot(image, camera)))
        points, pixels, sigma = decode_object_coordinates(output, crop.size_px, self._centre_m,
                                                          self._half_extents_m)
        return solve_pose(points, pixels, sigma, crop.matrix)

    def _score(self, figures: dict[str, float]) -> float:
        """Probability that the pose is right: logistic in the figures, fitted on held-out images."""
        coefficients = self._card.score
        if not coefficients:
            return figures['inlier_share'] * figures['correlation']
        return float(sigmoid(coefficients['bias']
                             + sum(coefficients[name] * figures[name] for name in SCORE_FIGURES)))


def score_figures(solution: Solution, detection: Detection, aligned: Alignment | None) -> dict[str, float]:
    """What the score is made of; the alignment's figures are 0 where there was none."""
    return {
        'heat': detection.heat,
        'inlier_share': solution.inlier_share,
        'log_residual': float(np.log(solution.residual_px + 0.1)),
        'correlation': aligned.correlation if aligned else 0.0,
        'edge_share': aligned.edge_share if aligned else 0.0,
    }


def letterbox(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Shrink or enlarge an image to fit into (width, height), the rest grey at the right and below.

    :return: the picture, and its scale: picture pixels over image pixels
    """
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.full((height, width, 3), PADDING_GREY, np.uint8)
    picture[:inner[1], :inner[0]] = cv2.resize(image, inner, interpolation=interpolation)
    return picture, scale
