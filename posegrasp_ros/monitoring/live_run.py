# SPDX-License-Identifier: Apache-2.0
"""LiveRun: the ROS-free core of the monitor, from messages to health, verdicts and summaries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.calibration_guard import told_as_provenance
from posegrasp_ros.metrics.losses import Loss, Losses
from posegrasp_ros.metrics.run import BLOCK_S, RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.anomalies import Anomalies
from posegrasp_ros.monitoring.liveness import ERROR, OK, Health
from posegrasp_ros.monitoring.object_watch import LiveObject, ObjectWatch
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.monitoring.watermark import Watermark
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.report.run_report import page_of
from posegrasp_ros.runs.run_log import SUMMARY, forgotten_line, frame_line
from posegrasp_ros.runs.run_summary import UNNAMED, SummaryInputs, summary_of
from posegrasp_ros.runtime.errors import InvalidInputError

# Half an hour at 30 Hz.
MOST_IMAGES = 50_000
# If the monitor, which runs several times a second, pauses for longer, it was blocked itself.
STOOD_STILL_S = 1.0


class LiveRun:
    """Measures a live run: takes images, truths, poses and reports; returns health, verdicts and summaries.

    Poses are passed as functions that return a (4, 4) transform or raise :class:`InvalidInputError`: an invalid
    one is counted and the error is raised to the caller.

    :param objects: by name. Reports on others are stored, but not measured; with one object that has the name '',
        all are measured, and with one that has another name also those that name none
    :param baselines: what the metrics are compared with
    :param keeper: stores reports and summaries
    :param patience_s: time within which a stage must report
    :param about: fields added to every summary, such as its provenance and the estimator's name
    :param most_images: number of newest images in summaries; memory and the time of a summary grow with it
    :param block_s: length of a time block; its images count as one observation in verdicts
    :param clock: monotonic, seconds
    :param truth_sigmas: errors of the ground truth, instead of covariances that come with it; None for those
    """

    def __init__(self, objects: Mapping[str, LiveObject], baselines: Baselines, keeper: RunKeeper,
                 patience_s: float, about: dict, most_images: int = MOST_IMAGES, block_s: float = BLOCK_S,
                 clock: Callable[[], float] = time.monotonic, truth_sigmas: TruthSigmas | None = None):
        self._names = tuple(objects)
        keys = {name: name if len(objects) > 1 else ONLY for name in objects}
        self._metrics = RunMetrics({keys[name]: each.target for name, each in objects.items()}, baselines, block_s,
                                   {keys[name]: each.pose_check for name, each in objects.items()}, truth_sigmas)
        self._watches = {keys[name]: ObjectWatch(keys[name], patience_s, each)
                         for name, each in objects.items()}
        self._baselines = baselines
        self._keeper = keeper
        self._about = about
        self._most_images, self._forgotten = most_images, 0
        self._clock = clock
        self._watermark, self._anomalies, self._losses = Watermark(patience_s), Anomalies(), Losses()
        self._patience_s = patience_s
        self._silent: list[tuple[str, str]] = []
        self._repeats = self._lost_poses = 0
        self._looked_s: float | None = None
        self._has_begun = False

    # Inputs.

    def look(self) -> None:
        """Detect that the monitor itself was blocked. Call several times a second, before processing messages."""
        now_s = self._clock()
        pause_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if pause_s > STOOD_STILL_S:
            text = f'this monitor was blocked for {pause_s:.1f} s'
            self._anomalies.note('monitor stood still', text, now_s)
            for watch in self._watches.values():
                watch.liveness.paused(pause_s)
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
        for watch in self._watches.values():
            watch.image(stamp_ns, now_s)
        self._watermark.image(stamp_ns, now_s)
        self._anomalies.image(stamp_ns, now_s)

    def truth(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray],
              object_name: str = ONLY, covariance: np.ndarray | None = None) -> None:
        """Add the true pose of an object in an image, with its (6, 6) covariance, None if unknown."""
        self._watches[self._key(object_name)].truth(stamp_ns)
        with self._noting('unusable ground truth'):
            self._metrics.add_truth(stamp_ns, camera_from_object(), object_name, covariance)

    def visible_share(self, stamp_ns: int, share: Callable[[], float], object_name: str = ONLY) -> None:
        """Add how much of an object is visible in an image."""
        with self._noting('unusable visible share'):
            self._metrics.add_visible_share(stamp_ns, share(), object_name)

    def estimate(self, stamp_ns: int, camera_from_object: Callable[[], np.ndarray], covariance: np.ndarray,
                 object_name: str = ONLY) -> None:
        """Add the estimated pose of an image, with its (6, 6) covariance; an invalid pose counts as no answer."""
        with self._noting('unusable pose'):
            try:
                pose = camera_from_object()
            except InvalidInputError:
                self._metrics.add_estimate(stamp_ns, np.full((4, 4), np.nan), object_name=object_name)
                raise
            self._metrics.add_estimate(stamp_ns, pose, covariance, object_name)
            self._watches[self._key(object_name)].estimate(stamp_ns, pose)

    def stated(self, read: Callable[[], StatedPose | None]) -> StatedPose | None:
        """A pose of another node.

        :param read: returns it or raises :class:`InvalidInputError`, which is noted
        """
        with self._noting('unusable pose'):
            return read()

    def report(self, read: Callable[[], StageReport]) -> StageReport:
        """Add a stage report.

        :param read: returns the report or raises :class:`InvalidInputError`
        """
        with self._noting('unusable report'):
            report = read()
        self._append(report.to_dict())
        if not self._is_ours(report.object):
            return report
        now_s = self._clock()
        self._watermark.image(report.stamp_ns, now_s)
        if loss := self._losses.report(report):
            self._lose(loss, now_s)
        self._anomalies.publisher(report.stage, report.publisher, now_s)
        self._metrics.add_report(report)
        self._watches[self._key(report.object)].report(report, now_s)
        return report

    def sent(self, stage: str, publisher: str, count: int) -> None:
        """Process a node's count of reports sent so far."""
        self._losses.sent(stage, publisher, count, self._clock())

    def begin_pick(self, object_name: str = ONLY) -> int:
        """Start a pick with the newest plan for an object.

        :return: image stamp of the plan
        :raises ValueError: when there is no plan
        """
        return self._watches[self._key(object_name)].attempts.begin(self._clock())

    def end_pick(self, lifted: bool, object_name: str = ONLY) -> StageReport:
        """End the pick with its result.

        :raises ValueError: when there is no plan without a result
        """
        key = self._key(object_name)
        return self.report(lambda: replace(self._watches[key].attempts.end(lifted, self._clock()), object=key))

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
        silent = [(name, stage) for name, watch in self._watches.items()
                  for stage in watch.liveness.silent(self._clock())]
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
        for name, watch in self._watches.items():
            self._anomalies.last(f'unlike the calibration{f" ({name})" if name else ""}', watch.departure)
        watches, until_ns = list(self._watches.values()), self._watermark.until_ns(now_s)
        return [watches[0].liveness.camera(now_s),
                *(health for watch in watches for health in watch.stages(now_s, until_ns)),
                self._anomalies.health(now_s), *(health for watch in watches for health in watch.model()),
                self._verdict_health(), self._keeper.health()]

    def verdicts(self) -> list[dict]:
        """Verdicts of all images that had time to be answered; may be called at any time."""
        until_ns = self._watermark.until_ns(self._clock())
        try:
            return self._metrics.live_verdicts(until_ns)
        finally:
            self._append_frames(until_ns)
            forgotten = self._metrics.forget(self._most_images)
            if forgotten:
                self._append(forgotten_line(forgotten))
            self._forgotten += len(forgotten) // len(self._names)

    def summarise(self) -> None:
        """Write the summary of all images that had time to be answered, unless the last one was too recent.

        It is computed in a thread: for a long run it takes seconds, which must not delay the liveness checks.
        """
        if self._keeper.may_summarise():
            has_jumped = self._anomalies.counts['time set back'] > 0
            until_ns = None if has_jumped else self._watermark.until_ns(self._clock())
            table, inputs = self._metrics.table(until_ns), self._append_inputs(until_ns)
            self._keeper.summarise(lambda: summary_of({UNNAMED: table}, inputs), page_of(table))

    def write_summary(self) -> None:
        """Write the summary of all images, in this thread."""
        inputs = self._append_inputs(None)
        table = self._metrics.table()
        self._keeper.write_summary(summary_of({UNNAMED: table}, inputs), page_of(table))

    def close(self) -> None:
        """Close the run folder."""
        self._keeper.close()

    def _is_ours(self, object_name: str) -> bool:
        """Whether a report is about an object in question."""
        return object_name in self._names or (len(self._names) == 1 and ONLY in (object_name, self._names[0]))

    def _key(self, object_name: str) -> str:
        """Name under which an object is tracked."""
        return object_name if len(self._names) > 1 else ONLY

    def _append(self, fields: dict) -> None:
        """Write a line of metrics.jsonl; the first says what a summary depends on."""
        if not self._has_begun:
            self._has_begun = True
            self._keeper.append({SUMMARY: self._inputs().to_dict()})
        self._keeper.append(fields)

    def _append_frames(self, until_ns: int | None) -> None:
        """Write down the frames that are new or have changed."""
        for key, row in self._metrics.take_rows(until_ns):
            self._append(frame_line(key, row))

    def _append_inputs(self, until_ns: int | None) -> SummaryInputs:
        """Write down what a summary of all frames until then depends on."""
        self._append_frames(until_ns)
        inputs = self._inputs()
        self._append({SUMMARY: inputs.to_dict()})
        return inputs

    def _inputs(self) -> SummaryInputs:
        provenance = {**self._about['provenance'], 'anomalies': dict(self._anomalies.counts),
                      'forgotten_images': self._forgotten, 'lost_reports': dict(self._losses.lost),
                      'unheard_reports': dict(self._losses.unheard),
                      **told_as_provenance({name: watch.guard for name, watch in self._watches.items()})}
        return SummaryInputs({UNNAMED: self._metrics.facts}, self._baselines,
                             {**self._about, 'provenance': provenance})

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

    @contextmanager
    def _noting(self, kind: str) -> Iterator[None]:
        """Count invalid input and re-raise the error."""
        try:
            yield
        except InvalidInputError as error:
            self._anomalies.note(kind, f'{kind}: {error}', self._clock())
            raise
