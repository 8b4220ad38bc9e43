# SPDX-License-Identifier: Apache-2.0
"""Object coordinates: a network finds the object in the image, another reads from a crop which point is where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from pydantic import Field

from posegrasp_ros.estimation.decoders.crop import CropCamera, Detection
from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose, VisibilityMask
from posegrasp_ros.estimation.decoders.letterbox import Framing
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.rim_spread import rim_spread
from posegrasp_ros.estimation.score import sigmoid
from posegrasp_ros.estimation.solve import Solution, ViewDirection, solve_pose
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform, move_covariance, rotate_covariance

HEATMAP_CHANNELS = 4
COORDINATE_CHANNELS = 5
LOG_SCALE_RANGE = (-4.5, 1.0)
"""Bounds of the log Laplace scale of coordinates, half extents: from about 1 % to the whole object."""
MOST_PASSES, MOST_SPREAD = 3, 0.5
"""Readings of a crop; largest spread of the rim, in radii, at which the crop around a pose is read again."""
OTHER_SCALES = (1.4, 0.7, 2.0)
CELLS_AN_ERROR = 64
"""The network's coordinates err together: so many neighbouring cells share one error."""
CHANNELS = {
    'detector': "0 logit that an object's centre lies in the cell, 1 and 2 where in it (u, v, cells), "
                '3 log of its radius in pixels',
    'network': '0 logit that the object is seen there, 1 to 3 its coordinates there in half extents (x, y, z), '
               '4 log of their spread',
}


class DetectorParameters(DecoderParameters):
    """Parameters of the card's detector."""

    stride: float = Field(ge=1, le=64)
    threshold: float = Field(ge=0, le=1)


class CropParameters(DecoderParameters):
    """Parameters of the card's network."""

    margin: float = Field(ge=1, le=4)


class ObjectCoordinates(Decoder):
    """A network that detects the object in the whole image, and one that reads its coordinates from crops.

    The crop is what a camera turned to the object would see, so the second network always meets it in the middle
    and undistorted. Where the first pose says that the crop was off, a better one is read again.
    """

    family = 'object_coordinates'
    parameters = CropParameters
    detectors = {'centre_heatmap': DetectorParameters}

    def __init__(self, card: ModelCard, threads: int | None = None):
        super().__init__(card, threads)
        if card.detector is None:
            raise ModelCardError(f'{card.path}: detector: expected a mapping of fields, got none')
        self.detector = Network(card.detector, HEATMAP_CHANNELS, threads)
        self.network = Network(card.network, COORDINATE_CHANNELS, threads)
        self._stride, self._threshold = card.detector.parameters.stride, card.detector.parameters.threshold
        width, height = card.network.size
        if width != height:
            raise ModelCardError(f'{card.network.path}: input.size: expected a square, which object_coordinates '
                                 f'reads crops of, got {width}x{height}')
        self._crop_size, self._margin = card.network.size[0], card.network.parameters.margin
        self._centre_m, self._half_extents_m = card.mesh.centre, card.mesh.extents / 2
        self._radius_m = card.mesh.radius

    @property
    def networks(self) -> dict[str, Network]:
        return {'detector': self.detector, 'network': self.network}

    def channels(self, section: str) -> str:
        return CHANNELS[section]

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        """Places where the object may be, the likeliest first."""
        def solve(detection: Detection, scale: float) -> Callable[[], InitialPose | None]:
            return partial(self._pose_of, replace(detection, radius_px=scale * detection.radius_px), image, camera)

        return [Candidate(detection.confidence, solve(detection, 1.0),
                          tuple(solve(detection, scale) for scale in OTHER_SCALES))
                for detection in self.detect(image)]

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Candidates in the image's own pixels, most confident first."""
        framing = Framing.of('letterbox', image.shape[1::-1], self.detector.card.size)
        picture = framing.apply(image, shrink=cv2.INTER_AREA)
        heat_map = self.detector.run(self.detector.tensor(picture))
        return [Detection(framing.to_image(found.centre), found.radius_px / framing.scale[0], found.confidence)
                for found in decode_centre_heatmap(heat_map, self._stride, self._threshold)]

    def _pose_of(self, detection: Detection, image: np.ndarray, camera: Camera) -> InitialPose | None:
        if not np.isfinite(camera.rays(detection.centre[None])).all():
            return None  # beyond what the lens shows
        crop = CropCamera.of_detection(detection, camera, self._crop_size, self._margin)
        return self._read(crop, detection.confidence, image, camera)

    def pose_near(self, camera_from_object: np.ndarray, image: np.ndarray, camera: Camera) -> InitialPose | None:
        """The pose of an object that was there a moment ago."""
        return self._read(self._crop_around(camera_from_object), 1.0, image, camera)

    def _crop_around(self, camera_from_object: np.ndarray) -> CropCamera:
        centre = camera_from_object[:3, :3] @ self._centre_m + camera_from_object[:3, 3]
        angular_radius = self._radius_m / float(np.linalg.norm(centre))
        return CropCamera.around(centre, angular_radius, self._crop_size, self._margin)

    def _read(self, crop: CropCamera, confidence: float, image: np.ndarray, camera: Camera) -> InitialPose | None:
        answer = None
        for _ in range(MOST_PASSES):
            solution, seen = self._solve(crop, image, camera)
            if solution is None:
                return None
            pose = make_transform(crop.camera_from_crop) @ solution.pose
            covariance = rotate_covariance(solution.covariance, crop.camera_from_crop)
            answer = InitialPose(pose, covariance, {
                'confidence': confidence, 'inlier_share': solution.inlier_share,
                'log_residual': float(np.log(solution.residual_px + 0.1))}, seen)
            before, crop = crop, self._crop_around(pose)
            if crop.shows_much_the_same(before) or not self._spread(solution) <= MOST_SPREAD:
                break
        return answer

    def _spread(self, solution: Solution) -> float:
        to_centre = solution.pose[:3, :3] @ self._centre_m
        return rim_spread(move_covariance(solution.covariance, to_centre), solution.pose[2, 3] + to_centre[2],
                          self._radius_m)

    def _solve(self, crop: CropCamera, image: np.ndarray, camera: Camera) -> tuple[Solution | None,
                                                                                   VisibilityMask]:
        outputs = self.network.run_all(self.network.tensor(crop.shoot(image, camera)))
        coordinates = next(iter(outputs.values()))[0]
        points, pixels, sigma = decode_object_coordinates(coordinates, crop.size_px, self._centre_m,
                                                          self._half_extents_m)
        view = ViewDirection(self._centre_m, *decode_view(outputs['view'][0])) if 'view' in outputs else None
        seen = VisibilityMask(sigmoid(coordinates[0]), crop)
        return solve_pose(points, pixels, sigma, crop.matrix, view, CELLS_AN_ERROR), seen


def decode_centre_heatmap(output: np.ndarray, stride: int, threshold: float) -> list[Detection]:
    """Peaks of a centre heat map, hottest first.

    :param output: (4, h, w) logit, offset u and v in cells, log radius in pixels
    :param stride: pixels a cell; cell i covers pixels i * stride - 0.5 to (i + 1) * stride - 0.5
    """
    confidence = sigmoid(output[0]).astype(np.float32)
    peaks = (confidence >= threshold) & (confidence == cv2.dilate(confidence, np.ones((3, 3), np.uint8)))
    detections = []
    for row, column in np.argwhere(peaks):
        cell = np.array([column, row]) + output[1:3, row, column]
        radius_px = np.exp(np.clip(output[3, row, column], 0, 8))
        detections.append(Detection(cell * stride + (stride - 1) / 2, float(radius_px),
                                    float(confidence[row, column])))
    return sorted(detections, key=lambda detection: -detection.confidence)


def decode_object_coordinates(output: np.ndarray, size_px: int, centre_m: np.ndarray,
                              half_extents_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correspondences from a map of object coordinates.

    :param output: (5, h, w) visibility logit, coordinates in half extents about the centre, log Laplace scale
    :param size_px: side of the crop the map covers
    :return: points (N, 3) metres in the object frame, pixels (N, 2) of the crop, sigma (N,) metres
    """
    stride = size_px / output.shape[1]
    rows, columns = np.nonzero(output[0] > 0)
    points = output[1:4, rows, columns].T * half_extents_m + centre_m
    pixels = np.column_stack([columns, rows]) * stride + (stride - 1) / 2
    scale = np.exp(np.clip(output[4, rows, columns], *LOG_SCALE_RANGE))
    sigma = np.sqrt(2) * scale * np.mean(half_extents_m)  # a Laplace law of scale b has deviation sqrt(2) b
    return points.astype(float), pixels.astype(float), sigma.astype(float)


def decode_view(output: np.ndarray) -> tuple[np.ndarray, float]:
    """From where the object is seen.

    :param output: (4,) vector from the object's centre to the camera in the object's frame, log Laplace scale
    :return: the unit vector; its standard deviation along each axis, radians
    """
    direction = np.asarray(output[:3], dtype=float)
    scale = np.exp(np.clip(output[3], *LOG_SCALE_RANGE))
    return direction / max(np.linalg.norm(direction), 1e-9), float(np.sqrt(2) * scale)
