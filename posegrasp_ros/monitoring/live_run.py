"""LiveRun: the ROS-free core of the monitor, from messages to health, verdicts and summaries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.losses import Loss, Losses
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import BLOCK_S, GraspTolerates, RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import summarise
from posegrasp_ros.monitoring.anomalies import Anomalies
from posegrasp_ros.monitoring.attempt import Attempts
from posegrasp_ros.monitoring.liveness import ERROR, OK, Health, Liveness
from posegrasp_ros.monitoring.model_match import ModelMatch
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.monitoring.truth_match import TruthMatch
from posegrasp_ros.monitoring.watermark import Watermark
from posegrasp_ros.runtime.errors import InvalidInputError

# Half an hour at 30 Hz.
MOST_IMAGES = 50_000
# If the monitor, which runs several times a second, pauses for longer, it was blocked itself.
STOOD_STILL_S = 1.0


class LiveRun:
    """Measures a live run: takes images, truths, poses and reports; returns health, verdicts and summaries.

    Poses are passed as functions that return a (4, 4) transform or raise :class:`InvalidInputError`: an invalid
    one is counted and the error is raised to the caller.

    :param target: the object
    :param baselines: what the metrics are compared with
    :param keeper: stores reports and summaries
    :param patience_s: time within which a stage must report
    :param about: fields added to every summary, such as its provenance and the estimator's name
    :param pose_check: see :class:`posegrasp_ros.metrics.run.RunMetrics`
    :param most_images: number of newest images in summaries; memory and the time of a summary grow with it
    :param block_s: length of a time block; its images count as one observation in verdicts
    :param clock: monotonic, seconds
    :param model: identity of the model that the stages should use
    :param object_name: of the object; reports on other objects are stored, but not measured
    """

    def __init__(self, target: ErrorTarget, baselines: Baselines, keeper: RunKeeper, patience_s: float,
                 about: dict,
                 pose_check: GraspTolerates | None = None, most_images: int = MOST_IMAGES,
                 block_s: float = BLOCK_S, clock: Callable[[], float] = time.monotonic, model: str = '',
                 object_name: str = ''):
        self._metrics = RunMetrics(target, baselines, block_s, pose_check)
        self._baselines = baselines
        self._keeper = keeper
        self._about = about
        self._most_images, self._forgotten = most_images, 0
        self._clock = clock
        self._liveness, self._watermark = Liveness(patience_s), Watermark(patience_s)
        self._anomalies, self._truth_match = Anomalies(), TruthMatch()
        self._attempts, self._losses, self._model_match = Attempts(), Losses(), ModelMatch(model)
        self._patience_s, self._object = patience_s, object_name
        self._silent: list[str] = []
        self._repeats = self._lost_poses = 0
        self._looked_s: float | None = None

    # Inputs.

    def look(self) -> None:
        """Detect that the monitor itself was blocked. Call several times a second, before processing messages."""
        now_s = self._clock()
        pause_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if pause_s > STOOD_STILL_S:
            text = f'this monitor was blocked for {pause_s:.1f} s'
            self._anomalies.note('monitor stood still', text, now_s)
            self._liveness.paused(pause_s)
            self._watermark.paused(pause_s)
        for loss in self._losses.overdue(now_s, self._patience_s):
            self._lose(loss, now_s)

    def camera(self, matrix: np.ndarray, width_px: int) -> None:
        """Set the camera of the images that follow: (3, 3) pinhole matrix, pixels."""
        self._metrics.add_camera(matrix, width_px)

    def image(self, stamp_ns: int) -> None:
        """Add an image."""
        now_s = self._clock()
        self._metrics.add_image(stamp_ns)
        self._liveness.image(stamp_ns, now_s)
        self._watermark.image(stamp_ns, now_s)
        self._anomalies.image(stamp_ns, now_s)
        self._truth_match.image(stamp_ns)

    def truth(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray]) -> None:
        """Add the true pose of the object in an image."""
        self._truth_match.truth(stamp_ns)
        with self._noting('unusable ground truth'):
            self._metrics.add_truth(stamp_ns, camera_from_object())

    def estimate(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray],
                 covariance: np.ndarray) -> None:
        """Add the estimated pose of an image, with its (6, 6) covariance; an invalid pose counts as no answer."""
        with self._noting('unusable pose'):
            try:
                pose = camera_from_object()
            except InvalidInputError:
                self._metrics.add_estimate(stamp_ns, np.full((4, 4), np.nan))
                raise
            self._metrics.add_estimate(stamp_ns, pose, covariance)

    def report(self, read: Callable[[], StageReport]) -> StageReport:
        """Add a stage report.

        :param read: returns the report or raises :class:`InvalidInputError`
        """
        with self._noting('unusable report'):
            report = read()
        if not self._is_ours(report.object):
            self._keeper.append(report)
            return report
        now_s = self._clock()
        self._watermark.image(report.stamp_ns, now_s)
        if loss := self._losses.report(report):
            self._lose(loss, now_s)
        self._metrics.add_report(report)
        self._liveness.report(report, now_s)
        self._attempts.report(report)
        self._model_match.report(report)
        self._keeper.append(report)
        return report

    def sent(self, stage: str, publisher: str, count: int) -> None:
        """Process a node's count of reports sent so far."""
        self._losses.sent(stage, publisher, count, self._clock())

    def begin_pick(self) -> int:
        """Start a pick with the newest plan.

        :return: image stamp of the plan
        :raises ValueError: when there is no plan
        """
        return self._attempts.begin(self._clock())

    def end_pick(self, lifted: bool) -> StageReport:
        """End the pick with its result.

        :raises ValueError: when there is no plan without a result
        """
        return self.report(lambda: self._attempts.end(lifted, self._clock()))

    def publishers(self, topic: str, count: int, unheard: int) -> None:
        """Check the publishers of a report topic.

        :param count: number of publishers, at most one expected
        :param unheard: number of them with an incompatible QoS
        """
        several = f'{count} nodes publish {topic}, expected one: their messages are mixed' if count > 1 else ''
        self._anomalies.last(f'several publishers of {topic}', several)
        deaf = f'{unheard} of {count} nodes publish {topic} best effort: expected reliable' if unheard else ''
        self._anomalies.last(f'unheard publisher of {topic}', deaf)

    # Outputs.

    def has_news(self) -> bool:
        """Whether a stage went silent or resumed since the last call."""
        silent = self._liveness.silent(self._clock())
        before, self._silent = self._silent, silent
        return silent != before

    def healths(self) -> list[Health]:
        """Current health of camera, stages, ground truth, messages, model, verdicts and run folder."""
        now_s = self._clock()
        repeats, self._repeats = self._metrics.repeats - self._repeats, self._metrics.repeats
        if repeats:
            text = f'duplicate messages for an image: {repeats}; the first one counts'
            self._anomalies.note('repeated message', text, now_s, repeats)
        lost_poses, self._lost_poses = self._metrics.lost_poses - self._lost_poses, self._metrics.lost_poses
        if lost_poses:
            text = f'poses reported by perception but not received: {self._lost_poses}; their images are left out'
            self._anomalies.note('lost pose', text, now_s, lost_poses)
        return [*self._liveness.health(now_s), self._truth_match.health(self._watermark.until_ns(now_s)),
                self._anomalies.health(now_s), self._model_match.health(), self._verdict_health(),
                self._keeper.health()]

    def verdicts(self) -> list[dict]:
        """Verdicts of all images that had time to be answered; may be called at any time."""
        try:
            return self._metrics.live_verdicts(self._watermark.until_ns(self._clock()))
        finally:
            self._forgotten += self._metrics.forget(self._most_images)

    def summarise(self) -> None:
        """Write the summary of all images that had time to be answered, unless the last one was too recent.

        It is computed in a thread: for a long run it takes seconds, which must not delay the liveness checks.
        """
        if self._keeper.may_summarise():
            has_jumped = self._anomalies.counts['time set back'] > 0
            table = self._metrics.table(None if has_jumped else self._watermark.until_ns(self._clock()))
            # Late answers are still added to the report dictionaries.
            table = replace(table, reports=[dict(reports) for reports in table.reports])
            self._keeper.summarise(lambda: self._summary(table))

    def write_summary(self) -> None:
        """Write the summary of all images, in this thread."""
        self._keeper.write_summary(self._summary(self._metrics.table()))

    def close(self) -> None:
        """Close the run folder."""
        self._keeper.close()

    def _is_ours(self, object_name: str) -> bool:
        """Whether a report is about the object in question: one that names none is."""
        return not object_name or not self._object or object_name == self._object

    def _lose(self, loss: Loss, now_s: float) -> None:
        """Record lost reports; they do not count as silence of the stage."""
        self._metrics.add_loss(loss)
        kind = f'lost {loss.stage} report'
        total = self._anomalies.counts[kind] + loss.count
        text = f'reports of {loss.stage} lost in transit: {total}; their images are left out'
        self._anomalies.note(kind, text, now_s, loss.count)

    def _verdict_health(self) -> Health:
        """An error where metrics failed."""
        failures = self._metrics.verdict_failures
        if not failures:
            return Health('verdicts', OK, 'no failure')
        text = '; '.join(f'{name}: {error}' for name, (_, error) in failures.items())
        return Health('verdicts', ERROR, text, {name: str(count) for name, (count, _) in failures.items()})

    def _summary(self, table: FrameTable) -> dict:
        provenance = {**self._about['provenance'], 'anomalies': dict(self._anomalies.counts),
                      'forgotten_images': self._forgotten, 'lost_reports': dict(self._losses.lost),
                      'unheard_reports': dict(self._losses.unheard)}
        return {**summarise(table, self._baselines, provenance), **self._about, 'provenance': provenance}

    @contextmanager
    def _noting(self, kind: str) -> Iterator[None]:
        """Count invalid input and re-raise the error."""
        try:
            yield
        except InvalidInputError as error:
            self._anomalies.note(kind, f'{kind}: {error}', self._clock())
            raise
