# SPDX-License-Identifier: Apache-2.0
"""Calibration: what makes probabilities and covariances of an estimator's figures, and where that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from posegrasp_ros.metrics.calibration_guard import UsualRange


@dataclass(frozen=True)
class UserCamera:
    """The recordings of a user's camera that a calibration was fitted on.

    :param camera: size, intrinsics, topic and frame, as plain values
    :param date: of the calibration, such as 2026-11-29
    :param truth: what the poses were compared with, in words
    :param measured: cross-validated figures, before and after
    """

    camera: Mapping[str, object]
    date: str
    frames: int
    scenes: int
    truth: str
    measured: Mapping[str, object]

    @property
    def sentence(self) -> str:
        """In one line."""
        camera = self.camera
        seen = f'{camera["width"]}x{camera["height"]}, fx {camera["fx"]:g}' if 'fx' in camera else 'unnamed'
        return (f"the user's camera ({seen}), {self.date}: {self.frames} frames of {self.scenes} scenes against "
                f'{self.truth}')


@dataclass(frozen=True)
class Calibration:
    """Score, covariance and usual figures of a model.

    :param score: coefficients that turn figures of the solution into a probability; empty before it was measured
    :param covariance_scale: measured error variance over predicted, translation and rotation; 1 before
    :param figures: the usual range of named figures of answered frames; empty where it was not measured
    :param user_camera: None for simulated scenes
    """

    score: Mapping[str, float] = field(default_factory=dict)
    covariance_scale: tuple[float, float] = (1.0, 1.0)
    figures: Mapping[str, UsualRange] = field(default_factory=dict)
    user_camera: UserCamera | None = None

    @property
    def sentence(self) -> str:
        """Where it was measured, in one line."""
        if self.user_camera:
            return self.user_camera.sentence
        return 'simulated scenes' if self.score else 'none: the score is no probability'


UNCALIBRATED = Calibration()
