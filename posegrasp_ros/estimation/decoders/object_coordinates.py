"""What the networks' output tensors mean."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HEATMAP_CHANNELS = 4
COORDINATE_CHANNELS = 5
LOG_SCALE_RANGE = (-4.5, 1.0)
"""Bounds of the log Laplace scale of coordinates, half extents: from about 1 % to the whole object."""


@dataclass(frozen=True)
class Detection:
    """An object's place in a picture.

    :param centre: (2,) pixels u, v of the object's centre
    :param radius_px: radius of its bounding sphere
    :param confidence: the detector's confidence, in [0, 1]
    """

    centre: np.ndarray
    radius_px: float
    confidence: float


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


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logit, dtype=float)))


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


def decode_object_coordinates(output: np.ndarray, size_px: int, centre_m: np.ndarray, half_extents_m: np.ndarray):
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
