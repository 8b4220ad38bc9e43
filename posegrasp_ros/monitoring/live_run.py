"""LiveRun: what a monitor makes of the messages of a running robot; it knows no ROS."""

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
# Who looks several times a second and has not for so long stood still itself.
STOOD_STILL_S = 1.0


class LiveRun:
    """Measures a run as it goes: images, truths, poses and reports in; healths, verdicts and summaries out.

    Poses come as functions that return a (4, 4) transform or raise :class:`InvalidInputError`: one that cannot be
    used is counted, and the error goes on to the caller.

    :param target: the object
    :param baselines: what the metrics are compared with
    :param keeper: keeps reports and summaries
    :param patience_s: how long a stage may owe a report
    :param about: of every summary, such as its provenance and the estimator's name
    :param pose_check: see :class:`posegrasp_ros.metrics.run.RunMetrics`
    :param most_images: that summaries look back on; memory and the time that a summary takes grow with it
    :param block_s: images within such a stretch of time are one observation to the verdicts
    :param clock: steady, seconds
    :param model: identity of the model that the stages should work with
    """

    def __init__(self, target: ErrorTarget, baselines: Baselines, keeper: RunKeeper, patience_s: float,
                 about: dict,
                 pose_check: GraspTolerates | None = None, most_images: int = MOST_IMAGES,
                 block_s: float = BLOCK_S, clock: Callable[[], float] = time.monotonic, model: str = ''):
        self._metrics = RunMetrics(target, baselines, block_s, pose_check)
        self._baselines = baselines
        self._keeper = keeper
        self._about = about
        self._most_images, self._forgotten = most_images, 0
        self._clock = clock
        self._liveness, self._watermark = Liveness(patience_s), Watermark(patience_s)
        self._anomalies, self._truth_match = Anomalies(), TruthMatch()
        self._attempts, self._losses, self._model_match = Attempts(), Losses(), ModelMatch(model)
        self._patience_s = patience_s
        self._silent: list[str] = []
        self._repeats = self._lost_poses = 0
        self._looked_s: float | None = None

    # What comes in.

    def look(self) -> None:
        """To be called several times a second, before what has come in since is taken: notices when it was not."""
        now_s = self._clock()
        pause_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if pause_s > STOOD_STILL_S:
            text = f'this monitor stood still for {pause_s:.1f} s'
            self._anomalies.note('monitor stood still', text, now_s)
            self._liveness.paused(pause_s)
            self._watermark.paused(pause_s)
        for loss in self._losses.overdue(now_s, self._patience_s):
            self._lose(loss, now_s)

    def camera(self, matrix: np.ndarray, width_px: int) -> None:
        """The camera of the images that follow; (3, 3), pixels."""
        self._metrics.add_camera(matrix, width_px)

    def image(self, stamp_ns: int) -> None:
        """The camera has taken an image."""
        now_s = self._clock()
        self._metrics.add_image(stamp_ns)
        self._liveness.image(stamp_ns, now_s)
        self._watermark.image(stamp_ns, now_s)
        self._anomalies.image(stamp_ns, now_s)
        self._truth_match.image(stamp_ns)

    def truth(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray]) -> None:
        """Where the object really is in an image."""
        self._truth_match.truth(stamp_ns)
        with self._noting('unusable ground truth'):
            self._metrics.add_truth(stamp_ns, camera_from_object())

    def estimate(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray],
                 covariance: np.ndarray) -> None:
        """What perception found in an image, with its (6, 6) covariance; what cannot be used is no answer."""
        with self._noting('unusable pose'):
            try:
                pose = camera_from_object()
            except InvalidInputError:
                self._metrics.add_estimate(stamp_ns, np.full((4, 4), np.nan))
                raise
            self._metrics.add_estimate(stamp_ns, pose, covariance)

    def report(self, read: Callable[[], StageReport]) -> StageReport:
        """A stage has said something.

        :param read: returns the report or raises :class:`InvalidInputError`
        """
        with self._noting('unusable report'):
            report = read()
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
        """A node says how many reports it has sent so far."""
        self._losses.sent(stage, publisher, count, self._clock())

    def begin_pick(self) -> int:
        """The robot sets out with the newest plan.

        :return: the stamp of its image
        :raises ValueError: when there is none
        """
        return self._attempts.begin(self._clock())

    def end_pick(self, lifted: bool) -> StageReport:
        """The robot tells how that went.

        :raises ValueError: when no plan can be meant
        """
        return self.report(lambda: self._attempts.end(lifted, self._clock()))

    def publishers(self, topic: str, count: int, unheard: int) -> None:
        """How many nodes publish what is taken for one stage's, and how many of them do not get through."""
        several = f'{count} nodes publish {topic}: what they say is mixed up' if count > 1 else ''
        self._anomalies.last(f'several publishers of {topic}', several)
        deaf = f'{unheard} of {count} nodes publish {topic} best effort: expected reliable' if unheard else ''
        self._anomalies.last(f'unheard publisher of {topic}', deaf)

    # What goes out.

    def has_news(self) -> bool:
        """Whether somebody fell silent, or speaks again, since this was last asked."""
        silent = self._liveness.silent(self._clock())
        before, self._silent = self._silent, silent
        return silent != before

    def healths(self) -> list[Health]:
        """How the camera, every stage, the messages and the run folder are now."""
        now_s = self._clock()
        repeats, self._repeats = self._metrics.repeats - self._repeats, self._metrics.repeats
        if repeats:
            self._anomalies.note('repeated message', f'{repeats} messages came for an image that had theirs: '
                                                          'the first counts', now_s, repeats)
        lost_poses, self._lost_poses = self._metrics.lost_poses - self._lost_poses, self._metrics.lost_poses
        if lost_poses:
            text = (f'poses that perception reports and that did not come: {self._lost_poses}; their images are '
                    'left out')
            self._anomalies.note('lost pose', text, now_s, lost_poses)
        return [*self._liveness.health(now_s), self._truth_match.health(self._watermark.until_ns(now_s)),
                self._anomalies.health(now_s), self._model_match.health(), self._verdict_health(),
                self._keeper.health()]

    def verdicts(self) -> list[dict]:
        """All images that had time to be answered, compared with the baselines; may be asked at any time."""
        try:
            return self._metrics.live_verdicts(self._watermark.until_ns(self._clock()))
        finally:
            self._forgotten += self._metrics.forget(self._most_images)

    def summarise(self) -> None:
        """Write the summary of all images that had time to be answered, unless that was too dear just now.

        It is made in a thread: of a long run it takes seconds, in which nobody should be taken for silent.
        """
        if self._keeper.may_summarise():
            has_jumped = self._anomalies.counts['time set back'] > 0
            table = self._metrics.table(None if has_jumped else self._watermark.until_ns(self._clock()))
            # Late answers still come into the reports.
            table = replace(table, reports=[dict(reports) for reports in table.reports])
            self._keeper.summarise(lambda: self._summary(table))

    def write_summary(self) -> None:
        """Write the summary of all images, here and now."""
        self._keeper.write_summary(self._summary(self._metrics.table()))

    def close(self) -> None:
        """Close what is kept."""
        self._keeper.close()

    def _lose(self, loss: Loss, now_s: float) -> None:
        """Reports were sent and did not come: no silence of the stage, and said."""
        self._metrics.add_loss(loss)
        kind = f'lost {loss.stage} report'
        total = self._anomalies.counts[kind] + loss.count
        text = f'reports of {loss.stage} that were lost on the way: {total}; their images are left out'
        self._anomalies.note(kind, text, now_s, loss.count)

    def _verdict_health(self) -> Health:
        """Whether every metric has its verdict."""
        failures = self._metrics.verdict_failures
        if not failures:
            return Health('verdicts', OK, 'as they should be')
        text = '; '.join(f'{name}: {error}' for name, (_, error) in failures.items())
        return Health('verdicts', ERROR, text, {name: str(count) for name, (count, _) in failures.items()})

    def _summary(self, table: FrameTable) -> dict:
        provenance = {**self._about['provenance'], 'anomalies': dict(self._anomalies.counts),
                      'forgotten_images': self._forgotten, 'lost_reports': dict(self._losses.lost),
                      'unheard_reports': dict(self._losses.unheard)}
        return {**summarise(table, self._baselines, provenance), **self._about, 'provenance': provenance}

    @contextmanager
    def _noting(self, kind: str) -> Iterator[None]:
        """Count input that cannot be used; what is wrong with it goes on to the caller."""
        try:
            yield
        except InvalidInputError as error:
            self._anomalies.note(kind, f'{kind}: {error}', self._clock())
            raise
