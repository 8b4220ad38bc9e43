# SPDX-License-Identifier: Apache-2.0
"""LiveObject and ObjectWatch: an object of a live run, and what the monitor tracks of it besides the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from posegrasp_ros.metrics.calibration_guard import CalibrationGuard, UsualRange
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import GraspTolerates
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.attempt import Attempts
from posegrasp_ros.monitoring.liveness import Health, Liveness
from posegrasp_ros.monitoring.model_match import ModelMatch
from posegrasp_ros.monitoring.truth_match import TruthMatch


@dataclass(frozen=True)
class LiveObject:
    """An object of a live run.

    :param pose_check: see :class:`posegrasp_ros.metrics.run.RunMetrics`
    :param model: identity of the model that the stages should use
    :param usual: range of perception's figures in the frames that the model was calibrated on; empty for none
    """

    target: ErrorTarget
    pose_check: GraspTolerates | None = None
    model: str = ''
    usual: Mapping[str, UsualRange] = field(default_factory=dict)


class ObjectWatch:
    """Liveness of the stages for one object, its picks, and whether its truth, models and calibration match.

    :param name: stated with each task; empty for the only object
    :param patience_s: time within which a stage must report
    :ivar guard: of the calibration
    """

    def __init__(self, name: str, patience_s: float, watched: LiveObject):
        self._name = name
        self.guard = CalibrationGuard(watched.usual)
        self.liveness, self.attempts = Liveness(patience_s), Attempts()
        self._truth_match, self._model_match = TruthMatch(), ModelMatch(watched.model)

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Process an image."""
        self.liveness.image(stamp_ns, now_s)
        self._truth_match.image(stamp_ns)

    def truth(self, stamp_ns: int) -> None:
        """Process a ground truth."""
        self._truth_match.truth(stamp_ns)

    def report(self, report: StageReport, now_s: float) -> None:
        """Process a stage report."""
        self.liveness.report(report, now_s)
        self.attempts.report(report)
        self._model_match.report(report)
        if report.stage == 'perception' and report.ok:
            self.guard.figures(report.stamp_ns, report.numbers)

    def estimate(self, stamp_ns: int, camera_from_object: np.ndarray) -> None:
        """Process an estimated pose (4, 4)."""
        self.guard.pose(stamp_ns, camera_from_object)

    @property
    def departure(self) -> str:
        """How the figures differ from those of the calibration, one line; empty where they do not."""
        if self.guard.departure is None:
            return ''
        return f'{self._name}: {self.guard.departure.sentence}' if self._name else self.guard.departure.sentence

    def stages(self, now_s: float, until_ns: int) -> list[Health]:
        """Health of the stages and of the ground truth.

        :param until_ns: stamp up to which ground truths should have arrived
        """
        return self._named([*self.liveness.stages(now_s), self._truth_match.health(until_ns)])

    def model(self) -> list[Health]:
        """Health of the models."""
        return self._named([self._model_match.health()])

    def _named(self, healths: Iterable[Health]) -> list[Health]:
        return [replace(health, task=f'{health.task} ({self._name})') if self._name else health
                for health in healths]
