# SPDX-License-Identifier: Apache-2.0
"""Timing: time from image to pose on this machine, and the time available at the cell's rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.benchmarks.perception_benchmark import simulated_images
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.runtime.cpu import processor_name, usable_cpus

IMAGES = 4
ROUNDS = 10


@dataclass(frozen=True)
class Timing:
    """Time per pose, measured or stated, and the required rate.

    :param pose_ms: median time from image to pose
    :param pose_p95_ms: 95th percentile; None where the time was stated
    :param rate_hz: images per second to be processed
    :param source: origin of the time
    """

    pose_ms: float
    rate_hz: float
    source: str
    pose_p95_ms: float | None = None

    @property
    def allowed_ms(self) -> float:
        """Time per image at the required rate."""
        return 1e3 / self.rate_hz

    @property
    def allowed_median_ms(self) -> float:
        """The median with which 95 % of the poses would be in time, with the relative spread that was measured."""
        return self.allowed_ms * self.pose_ms / self.late_ms

    @property
    def late_ms(self) -> float:
        """95th percentile, or the stated time where none was measured."""
        return self.pose_p95_ms or self.pose_ms

    @property
    def is_stated(self) -> bool:
        """Whether the time was stated, not measured."""
        return self.pose_p95_ms is None

    @property
    def is_kept(self) -> bool:
        return self.late_ms <= self.allowed_ms

    @property
    def attainable_hz(self) -> float:
        return 1e3 / self.late_ms

    def to_dict(self) -> dict:
        return {'pose_ms': self.pose_ms, 'pose_p95_ms': self.pose_p95_ms, 'rate_hz': self.rate_hz,
                'allowed_ms': self.allowed_ms, 'attainable_hz': self.attainable_hz, 'is_kept': self.is_kept,
                'source': self.source}


def stated_timing(pose_ms: float, rate_hz: float) -> Timing:
    """Timing of a network as stated by the user."""
    return Timing(pose_ms, rate_hz, 'stated by the user (--network-ms)')


def measure_timing(card: ModelCard, size: tuple[int, int], rate_hz: float) -> Timing:
    """Time the model's estimator on simulated images of its object.

    :param size: width and height of the images, pixels
    """
    estimator = PoseEstimator(card)
    images = simulated_images(card, IMAGES, size)
    estimator.estimate(*images[0])  # warm-up: the first call allocates and compiles
    times_ms = [_time_ms(estimator, image, camera) for _ in range(ROUNDS) for image, camera in images]
    p50, p95 = (float(value) for value in np.percentile(times_ms, (50, 95)))
    source = (f'model {card.name}, refinement included, {size[0]}x{size[1]}, {len(times_ms)} images; '
              f'{processor_name()}, {usable_cpus()} cores')
    return Timing(p50, rate_hz, source, p95)


def _time_ms(estimator: PoseEstimator, image: np.ndarray, camera: Camera) -> float:
    start = time.perf_counter()
    estimator.estimate(image, camera)
    return 1e3 * (time.perf_counter() - start)
