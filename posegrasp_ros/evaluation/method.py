"""MethodUnderTest: one estimator's answers, measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.evaluation.frame_answers import Answer
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import BLOCK_S, GraspTolerates, RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport


class MethodUnderTest:
    """The metrics of one estimator.

    :param target: the object, for pose errors
    :param pose_check: see :class:`posegrasp_ros.metrics.run.RunMetrics`, as ``block_s``
    """

    def __init__(self, target: ErrorTarget, pose_check: GraspTolerates | None = None, block_s: float = BLOCK_S):
        self.metrics = RunMetrics(target, block_s=block_s, pose_check=pose_check)
        self._camera = None

    def count(self, frame: BagFrame, answer: Answer, shift_ns: int = 0,
              no_object: bool = False) -> Iterator[StageReport]:
        """Measure an answer; gives the stages' reports, that of perception with the errors of its pose.

        :param shift_ns: added to the stamp in the metrics, to keep recordings of the same times apart
        :param no_object: nothing is to be found in the frame
        """
        stamp_ns = frame.stamp_ns + shift_ns
        if frame.camera is not None and frame.camera is not self._camera:
            self.metrics.add_camera(frame.camera.matrix, frame.camera.width)
            self._camera = frame.camera
        if no_object:
            self.metrics.add_absence(stamp_ns)
        poses = answer.estimation.poses
        if len(frame.truths) > 1:
            self.metrics.add_instances(stamp_ns, [pose.camera_from_object for pose in poses], frame.truths)
        elif frame.truths:
            self.metrics.add_truth(stamp_ns, frame.camera_from_object)
        self.metrics.add_report(replace(answer.perception, stamp_ns=stamp_ns))
        if poses:
            self.metrics.add_estimate(stamp_ns, poses[0].camera_from_object, poses[0].covariance)
        yield self._with_errors(answer.perception, stamp_ns)
        if answer.planning:
            self.metrics.add_report(replace(answer.planning, stamp_ns=stamp_ns))
            yield answer.planning

    def error(self, frame: BagFrame, answer: Answer, shift_ns: int = 0) -> float:
        """Of the pose in a frame that was counted, metres (ADD or ADI); infinite where none was found, NaN
        where the truth is not known."""
        if not frame.truths:
            return math.nan
        errors = self.metrics.errors(frame.stamp_ns + shift_ns)
        return math.inf if errors is None or not answer.estimation.poses else errors.add_m

    def _with_errors(self, report: StageReport, stamp_ns: int) -> StageReport:
        errors = self.metrics.errors(stamp_ns)
        if errors is None:
            return report
        return replace(report, numbers={**report.numbers, 'position_error_m': errors.position_m,
                                        'rotation_error_rad': errors.rotation_rad})
