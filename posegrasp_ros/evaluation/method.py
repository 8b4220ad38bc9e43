# SPDX-License-Identifier: Apache-2.0
"""MethodUnderTest: one estimator's answers, measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.evaluation.frame_answers import Answer
from posegrasp_ros.faults.pair_log import PairLog
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.metrics.calibration_guard import CalibrationGuard, UsualRange
from posegrasp_ros.metrics.pose.pose_errors import relative_error
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport


class MethodUnderTest:
    """The metrics of one estimator.

    :param usual: by object the range of its figures in the frames that its model was calibrated on; None for none
    :param pair_logs: by object what keeps its poses for the diagnosis of systematic faults; None for none
    """

    def __init__(self, metrics: RunMetrics, usual: Mapping[str, Mapping[str, UsualRange]] | None = None,
                 pair_logs: Mapping[str, PairLog] | None = None):
        self.metrics, self.pair_logs = metrics, pair_logs or {}
        self.guards = {name: CalibrationGuard(ranges) for name, ranges in (usual or {}).items()}
        self._camera: Camera | None = None

    def count(self, frame: BagFrame, answers: Mapping[str, Answer], shift_ns: int = 0,
              no_object: bool = False) -> Iterator[StageReport]:
        """Measure the answers to a frame; gives the stages' reports, those of perception with the pose's errors.

        :param answers: by object
        :param shift_ns: added to the stamp in the metrics, to keep recordings of the same times apart
        :param no_object: nothing is to be found in the frame
        """
        if frame.camera is not None and frame.camera is not self._camera:
            self.metrics.add_camera(frame.camera.matrix, frame.camera.width)
            self._camera = frame.camera
            for log in self.pair_logs.values():
                log.camera = frame.camera
        for name, answer in answers.items():
            yield from self._count_object(name, of_object(frame, name), answer, shift_ns, no_object)

    def error(self, frame: BagFrame, name: str, answer: Answer, shift_ns: int = 0) -> float:
        """Of an object's pose in a frame that was counted, relative to the stated need; infinite where none was
        found, NaN where the truth is not known or the object is hidden."""
        seen = of_object(frame, name)
        if not seen.truths or (seen.visible_share is not None and seen.visible_share < LEAST_VISIBLE):
            return math.nan
        errors = self.metrics.errors(frame.stamp_ns + shift_ns, name)
        if errors is None or not answer.estimation.poses:
            return math.inf
        return float(relative_error(errors.position_m, errors.rotation_rad))

    def _count_object(self, name: str, frame: BagFrame, answer: Answer, shift_ns: int,
                      no_object: bool) -> Iterator[StageReport]:
        stamp_ns = frame.stamp_ns + shift_ns
        if no_object:
            self.metrics.add_absence(stamp_ns, name)
        elif frame.visible_share is not None:
            self.metrics.add_visible_share(stamp_ns, frame.visible_share, name)
        poses = answer.estimation.poses
        self.metrics.add_instances(stamp_ns, [pose.camera_from_object for pose in poses], frame.true_poses, name)
        self.metrics.add_report(replace(answer.perception, stamp_ns=stamp_ns))
        if poses:
            self.metrics.add_estimate(stamp_ns, poses[0].camera_from_object, poses[0].covariance, name)
            if guard := self.guards.get(name):
                guard.figures(stamp_ns, answer.perception.numbers)
                guard.pose(stamp_ns, poses[0].camera_from_object)
            self._keep_pair(name, frame, answer, shift_ns)
        yield self._with_errors(answer.perception, stamp_ns)
        if answer.planning:
            self.metrics.add_report(replace(answer.planning, stamp_ns=stamp_ns))
            yield answer.planning

    def _keep_pair(self, name: str, frame: BagFrame, answer: Answer, shift_ns: int) -> None:
        """Of several instances in an image it is not sure which one a systematic fault moved a pose away from."""
        if name in self.pair_logs and len(frame.truths) == 1:
            stamp_ns = frame.stamp_ns + shift_ns
            said_ns = stamp_ns if answer.said_ns is None else answer.said_ns + shift_ns
            self.pair_logs[name].add(stamp_ns, said_ns, self.metrics.block_of(stamp_ns),
                                     answer.estimation.poses[0].camera_from_object, frame.truths[0])

    def _with_errors(self, report: StageReport, stamp_ns: int) -> StageReport:
        errors = self.metrics.errors(stamp_ns, report.object)
        if errors is None:
            return report
        return replace(report, numbers={**report.numbers, 'position_error_m': errors.position_m,
                                        'rotation_error_rad': errors.rotation_rad})


def of_object(frame: BagFrame, name: str) -> BagFrame:
    """The frame with what is known of one object; of the only one it has its own."""
    if not name:
        return frame
    return replace(frame.with_truths(frame.named_truths.get(name, ())),
                   visible_share=frame.named_visible_shares.get(name))
