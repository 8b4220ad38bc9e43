# SPDX-License-Identifier: Apache-2.0
"""What the stages published during recording, measured as the monitor did: nothing is run again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posegrasp_ros.datasets.bag_messages import BagError, BagMessage, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, BagTopics, guess_truth, listing
from posegrasp_ros.datasets.frame_sources import shift_behind
from posegrasp_ros.datasets.message_fields import pose_of, stamp_of, truth_covariance_of
from posegrasp_ros.datasets.topic_names import below, topic_name
from posegrasp_ros.datasets.visible_shares import share_topics, visible_share_of
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.evaluation.measured_run import described_bags
from posegrasp_ros.evaluation.problems import Problems
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.report_message import is_report, read_report
from posegrasp_ros.metrics.run import BLOCK_S, GraspTolerates, RunMetrics, block_ns_of
from posegrasp_ros.report.run_report import page_of
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import BagDescriptions, describe_run
from posegrasp_ros.runs.run_log import SUMMARY, frame_line
from posegrasp_ros.runs.run_summary import UNNAMED, SummaryInputs, summary_of
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.progress import Progress

LOGGER = logging.getLogger(__name__)
REPORTS = 'diagnostic_msgs/msg/DiagnosticArray'
ESTIMATE = 'geometry_msgs/msg/PoseWithCovarianceStamped'
# After so many messages the frames are written down that are older than the newest by so much.
ROWS_EVERY, LATE_NS = 500, 10_000_000_000


@dataclass(frozen=True)
class RecordedTopics:
    """Which topics to read; None lets the reader guess. Reports are known by what they say, wherever they are.

    :param pose: of perception's best pose
    """

    pose: str | None = None
    camera_info: str | None = None
    ground_truth: str | None = None


def evaluate_recorded(paths: Sequence[str | Path], card: ModelCard | Mapping[str, ModelCard],
                      topics: RecordedTopics | None = None, baselines: Baselines | None = None,
                      out: str | Path | None = None,
                      pose_check: GraspTolerates | Mapping[str, GraspTolerates | None] | None = None,
                      block_s: float = BLOCK_S, progress: bool = True,
                      truth_sigmas: TruthSigmas | None = None) -> dict:
    """The summary that a monitor would have come to that heard all that was recorded.

    As the monitor does, it joins by exact stamps and takes poses and ground truths to be in the camera's frame.
    Ctrl-C ends it early: the summary is of what was read until then, and says so.

    :param card: of the object, or of several by name
    :param baselines: baselines; None for those that come with the package
    :param out: run folder to write metrics.jsonl, summary.json and report.html to; None for none
    :param pose_check: whether a grasp that was tried tolerates its pose's error, of several objects by name; None
        for the stated need
    :param block_s: frames within such a stretch of time are one observation to the intervals
    :param truth_sigmas: errors of the ground truth, instead of covariances that come with it; None for those
    :raises BagError: when a recording cannot be read, or no stage reports in it
    """
    cards, baselines = card if isinstance(card, Mapping) else {ONLY: card}, baselines or load_baselines()
    targets = {name: ErrorTarget.from_mesh(each.mesh, each.symmetry, each.tolerance)
               for name, each in cards.items()}
    metrics = RunMetrics(targets, baselines, block_s, pose_check, truth_sigmas)
    recordings = [_Recording(path, topics or RecordedTopics(), tuple(cards), block_ns_of(block_s),
                             truth_sigmas is not None) for path in paths]
    configuration = {'topics': [each.topics_in_use for each in recordings],
                     **({'truth_sigmas': asdict(truth_sigmas)} if truth_sigmas else {})}
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out, fresh=True)) if out else None
        described = describe_run(cards, configuration=configuration)
        bags = stack.enter_context(BagDescriptions(paths))
        if folder:
            about = {'provenance': {**described, 'complete': False}}
            folder.append_line({SUMMARY: SummaryInputs({UNNAMED: metrics.facts}, baselines, about).to_dict()})
        is_complete = _hear(recordings, metrics, folder, progress)
        provenance = {**described, 'bags': described_bags(bags, is_complete, progress),
                      **_circumstances(recordings, is_complete)}
        inputs = SummaryInputs({UNNAMED: metrics.facts}, baselines,
                               {'provenance': provenance, 'problems': _problems(recordings)})
        table = metrics.table()
        summary = summary_of({UNNAMED: table}, inputs)
        if folder:
            folder.append_line({SUMMARY: inputs.to_dict()})
            folder.write_summary(summary, page_of(table))
    return summary


def _circumstances(recordings: list[_Recording], is_complete: bool) -> dict:
    return {'recorded': True, 'complete': is_complete,
            'warnings': [line for recording in recordings for line in recording.bag.warnings]}


def _problems(recordings: list[_Recording]) -> list[dict]:
    """What was wrong with the recordings."""
    return Problems().to_list((recording.path.name, line) for recording in recordings
                              for line in recording.bag.warnings)


def _hear(recordings: list[_Recording], metrics: RunMetrics, folder: RunFolder | None, progress: bool) -> bool:
    """Let the metrics hear all recordings; whether that came to its end."""
    last_ns: int | None = None
    counts = [recording.count for recording in recordings]
    known = [count for count in counts if count is not None]
    with interrupt_noted() as was_interrupted, Progress(
            total=sum(known) if len(known) == len(counts) else None, unit='message', disable=not progress) as bar:
        for recording in recordings:
            for number, _ in enumerate(recording.hear(metrics, folder, last_ns), start=1):
                bar.update()
                if was_interrupted():
                    LOGGER.warning('interrupted; what was read until then is kept')
                    _keep_rows(metrics, folder)
                    return False
                if number % ROWS_EVERY == 0 and recording.last_ns is not None:
                    _keep_rows(metrics, folder, recording.last_ns - LATE_NS)
            last_ns = recording.last_ns
    _keep_rows(metrics, folder)
    return True


def _keep_rows(metrics: RunMetrics, folder: RunFolder | None, until_ns: int | None = None) -> None:
    """Write the frames down that are new or have changed."""
    if folder:
        for key, row in metrics.take_rows(until_ns):
            folder.append_line(frame_line(key, row))


class _Recording:
    """One recording of the stages.

    :param objects: names of the objects; '' of the only one
    :param block_ns: see :func:`posegrasp_ros.datasets.frame_sources.sourced_frames`
    :param has_sigmas: whether the errors of the ground truth are stated
    :ivar topics: the topics in use by object, guessed ones filled in
    :ivar last_ns: newest stamp in the metrics
    """

    def __init__(self, path: str | Path, asked: RecordedTopics, objects: Sequence[str], block_ns: int,
                 has_sigmas: bool = False):
        self.path = Path(path)
        self.bag = BagMessages(path)
        self.topics = {name: _guess(self.path, self.bag.topics, asked, name) for name in objects}
        self.last_ns: int | None = None
        self._camera_info = next(iter(self.topics.values())).camera_info
        self._poses = {topics.pose: name for name, topics in self.topics.items() if topics.pose}
        self._truths = {topics.ground_truth: name for name, topics in self.topics.items() if topics.ground_truth}
        self._shares = share_topics(self.bag.topics,
                                    {name: topics.ground_truth for name, topics in self.topics.items()},
                                    self._warn_once)
        self._names = [*(name for name, kind in self.bag.topics.items() if kind == REPORTS), *self._poses,
                       *self._truths, *filter(None, (self._camera_info,))]
        self._reports = 0
        self._shift_ns: int | None = None
        self._block_ns, self._has_sigmas = block_ns, has_sigmas
        self._matrix: np.ndarray | None = None

    @property
    def topics_in_use(self) -> dict:
        """The topics as plain values; by object where there are several."""
        plain = {name: asdict(topics) for name, topics in self.topics.items()}
        return plain if len(plain) > 1 else next(iter(plain.values()))

    @property
    def count(self) -> int | None:
        """How many messages there are; None where the recording was cut off."""
        return sum(self.bag.counts.get(name, 0) for name in self._names) if self.bag.counts else None

    def hear(self, metrics: RunMetrics, folder: RunFolder | None, last_ns: int | None) -> Iterator[None]:
        """Let the metrics hear every message, in the order of the recording; gives a step after each.

        :param last_ns: newest stamp of the recordings before, behind which this one is moved
        """
        self.last_ns = last_ns
        for message in self.bag.messages(self._names):
            try:
                self._take(message, self.bag.decode(message), metrics, folder)
            except InvalidInputError as error:
                self.bag.warn_once(f'{self.path}: {message.topic}: messages are left out: {error}')
            yield
        if not self._reports:
            raise BagError(
                f'{self.path}: expected the reports of a stage ({REPORTS}), found {listing(self.bag.topics)}'
                '; poses of another node are measured with --pose-topic'
            )

    def _take(self, message: BagMessage, content: Any, metrics: RunMetrics, folder: RunFolder | None) -> None:
        if message.type == REPORTS and message.topic not in self._shares and not is_report(content):
            return
        stamp_ns = self._moved(stamp_of(content.header))
        if message.topic in self._shares:
            metrics.add_visible_share(stamp_ns, visible_share_of(content), self._shares[message.topic])
        elif message.type == REPORTS:
            report = read_report(content)
            self._reports += 1
            if len(self.topics) == 1 or report.object in self.topics:
                metrics.add_report(replace(report, stamp_ns=stamp_ns))
            if folder:
                folder.append(report, bag=self.path.name, block=metrics.block_of(stamp_ns))
        elif message.topic == self._camera_info:
            self._take_camera(content, stamp_ns, metrics)
        elif message.topic in self._poses:
            self._take_estimate(content, stamp_ns, metrics, self._poses[message.topic])
        else:
            metrics.add_truth(stamp_ns, _usable_pose(content), self._truths[message.topic],
                              truth_covariance_of(content, self._warn_once, self._has_sigmas))

    def _take_camera(self, content: Any, stamp_ns: int, metrics: RunMetrics) -> None:
        if self._matrix is None or not np.array_equal(content.k, self._matrix):
            self._matrix = np.array(content.k)
            metrics.add_camera(self._matrix.reshape(3, 3), content.width)
        metrics.add_image(stamp_ns)

    def _take_estimate(self, content: Any, stamp_ns: int, metrics: RunMetrics, name: str) -> None:
        """A pose that cannot be used is no answer."""
        try:
            pose = _usable_pose(content)
        except InvalidInputError:
            metrics.add_estimate(stamp_ns, np.full((4, 4), np.nan), object_name=name)
            raise
        covariance = np.asarray(content.pose.covariance, dtype=float).reshape(6, 6)
        metrics.add_estimate(stamp_ns, pose, covariance, name)

    def _warn_once(self, line: str) -> None:
        self.bag.warn_once(f'{self.path}: {line}')

    def _moved(self, stamp_ns: int) -> int:
        """The stamp in the metrics: behind the recordings before."""
        if self._shift_ns is None:
            self._shift_ns = shift_behind(self.last_ns, stamp_ns, self._block_ns)
        moved_ns = stamp_ns + self._shift_ns
        self.last_ns = moved_ns if self.last_ns is None else max(self.last_ns, moved_ns)
        return moved_ns


def _usable_pose(content: Any) -> np.ndarray:
    """(4, 4) of a message; :class:`InvalidInputError` where it is none."""
    try:
        return pose_of(content)
    except ValueError as error:
        raise BagError(f'pose: {error}') from error


def _guess(path: Path, found: dict[str, str], asked: RecordedTopics, name: str) -> RecordedTopics:
    """Fill in the topics of an object that were not asked for; of one of several they have its name in them.

    :raises BagError: when one that was asked for is not there
    """
    pose, truth = (topic and below(name, topic) for topic in (asked.pose, asked.ground_truth))
    for topic in filter(None, (pose, asked.camera_info, truth)):
        if topic not in found:
            raise BagError(f'{path}: {topic}: no such topic; found {listing(found)}')
    infos = [topic for topic, kind in found.items() if kind == CAMERA_INFO and 'depth' not in topic]
    its_own = {topic: kind for topic, kind in found.items() if not name or topic_name(name) in topic.split('/')}
    truth = truth or guess_truth(its_own, BagTopics())
    estimates = sorted((topic for topic, kind in its_own.items() if kind == ESTIMATE and topic != truth),
                       key=lambda topic: 'perception' not in topic)
    return RecordedTopics(pose or next(iter(estimates), None), asked.camera_info or next(iter(infos), None), truth)
