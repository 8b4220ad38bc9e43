"""LiveObject and ObjectWatch: an object of a live run, and what the monitor tracks of it besides the metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
    """

    target: ErrorTarget
    pose_check: GraspTolerates | None = None
    model: str = ''


class ObjectWatch:
    """Liveness of the stages for one object, its picks, and whether its ground truth and models match.

    :param name: stated with each task; empty for the only object
    :param patience_s: time within which a stage must report
    """

    def __init__(self, name: str, patience_s: float, model: str):
        self._name = name
        self.liveness, self.attempts = Liveness(patience_s), Attempts()
        self._truth_match, self._model_match = TruthMatch(), ModelMatch(model)

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
