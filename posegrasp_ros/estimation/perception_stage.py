# SPDX-License-Identifier: Apache-2.0
"""PerceptionStage: an image with what belongs to it in, poses and the stage's report out; no ROS."""

from __future__ import annotations

import time
from typing import NamedTuple

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.estimation.pose_estimate import Estimation, Estimator
from posegrasp_ros.metrics.stage_report import StageOutcome
from posegrasp_ros.runtime.errors import one_line


class Perceived(NamedTuple):
    """The stage's answer to one image.

    :param frame: decoded; one that cannot be used says why
    :param error: that the estimator raised; the caller decides whether it ends the run
    """

    frame: BagFrame
    estimation: Estimation
    outcome: StageOutcome
    error: Exception | None = None


class PerceptionStage:
    """Finds one model's object in images.

    The perception node, evaluation and benchmarks all call this class: decoding, reasons and figures are the same.

    :param estimator: a network or a baseline, see :func:`posegrasp_ros.estimation.create.create_estimator`
    :param model: identity of the model that the report names, see
        :attr:`posegrasp_ros.estimation.model_card.ModelCard.identity`
    """

    def __init__(self, estimator: Estimator, model: str):
        self.estimator, self.model = estimator, model

    @property
    def named(self) -> dict[str, str]:
        """What the report tells of the stage itself, also where it failed."""
        return {'model': self.model}

    def perceive(self, undecoded: Undecoded, stamp_ns: int | None = None) -> Perceived:
        """Decode the image and its depth, and estimate the object's poses.

        :param stamp_ns: for estimators that remember; None: the frame's own
        """
        return self.perceive_decoded(undecoded.decode(), stamp_ns)

    def perceive_decoded(self, frame: BagFrame, stamp_ns: int | None = None) -> Perceived:
        """The same for a frame that was decoded for another stage already; its time of decoding counts."""
        start = time.perf_counter()
        stamp_ns = frame.stamp_ns if stamp_ns is None else stamp_ns
        failure = None
        if frame.reason:
            estimation = Estimation(reason=frame.reason)
        else:
            try:
                image, camera = frame.view()
                estimation = self.estimator.estimate(image, camera, frame.camera_from_object, frame.depth_m,
                                                     stamp_ns)
            except Exception as error:
                estimation, failure = Estimation(reason='internal_error'), error
        latency_ms = frame.decode_ms + (time.perf_counter() - start) * 1e3
        return self.answer(frame, estimation, latency_ms, failure)

    def answer(self, frame: BagFrame, estimation: Estimation, latency_ms: float,
               error: Exception | None = None) -> Perceived:
        """The stage's answer with an estimation."""
        poses = estimation.poses
        numbers = {**estimation.numbers, 'poses': float(len(poses)),
                   'depth_used': float(frame.depth_m is not None)}
        if poses:
            numbers['score'] = float(poses[0].score)
        words = self.named
        if estimation.tracks:
            words['state'] = estimation.tracks[0].state
        if frame.problem:
            words['problem'] = one_line(frame.problem)
        reason = '' if poses else estimation.reason or 'no_detection'
        return Perceived(frame, estimation, StageOutcome(reason, numbers, words, frame.problem, latency_ms), error)
