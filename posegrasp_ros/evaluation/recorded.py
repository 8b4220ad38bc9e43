"""What the stages said while it was recorded, measured as the monitor did: nothing is run again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from posegrasp_ros.datasets.bag_messages import BagError, BagMessage, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, BagTopics, guess_truth, listing
from posegrasp_ros.datasets.frame_sources import shift_behind
from posegrasp_ros.datasets.message_fields import pose_of, stamp_of
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.evaluation.bag_evaluation import described_bags
from posegrasp_ros.evaluation.problems import Problems
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.report_message import is_report, read_report
from posegrasp_ros.metrics.run import BLOCK_S, GraspTolerates, RunMetrics, block_ns_of
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import BagDescriptions, describe_run
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.interrupt import interrupt_noted

LOGGER = logging.getLogger(__name__)
REPORTS = 'diagnostic_msgs/msg/DiagnosticArray'
ESTIMATE = 'geometry_msgs/msg/PoseWithCovarianceStamped'


@dataclass(frozen=True)
class RecordedTopics:
    """Which topics to read; None lets the reader guess. Reports are known by what they say, wherever they are.

    :param pose: of perception's best pose
    """

    pose: str | None = None
    camera_info: str | None = None
    ground_truth: str | None = None


def evaluate_recorded(paths: Sequence[str | Path], card: ModelCard, topics: RecordedTopics | None = None,
                      baselines: Baselines | None = None, out: str | Path | None = None,
                      pose_check: GraspTolerates | None = None, block_s: float = BLOCK_S,
                      progress: bool = True) -> dict:
    """The summary that a monitor would have come to that heard all that was recorded.

    As the monitor does, it joins by exact stamps and takes poses and ground truths to be in the camera's frame.
    Ctrl-C ends it early: the summary is of what was read until then, and says so.

    :param baselines: baselines; None for those that come with the package
    :param out: run folder to write metrics.jsonl, summary.json and report.html to; None for none
    :param pose_check: whether a grasp that was tried tolerates its pose's error; None for the stated need
    :param block_s: frames within such a stretch of time are one observation to the intervals
    :raises BagError: when a recording cannot be read, or no stage reports in it
    """
    target = ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance)
    metrics = RunMetrics(target, baselines or load_baselines(), block_s, pose_check)
    recordings = [_Recording(path, topics or RecordedTopics(), block_ns_of(block_s)) for path in paths]
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out, fresh=True)) if out else None
        described = describe_run(card, configuration={'topics': [asdict(each.topics) for each in recordings]})
        bags = stack.enter_context(BagDescriptions(paths))
        is_complete = _hear(recordings, metrics, folder, progress)
        provenance = {**described, 'bags': described_bags(bags, is_complete, progress),
                      **_circumstances(recordings, is_complete)}
        summary = {**metrics.summary(provenance), 'problems': _problems(recordings)}
        if folder:
            folder.write_summary(summary)
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
    with interrupt_noted() as was_interrupted, tqdm(
            total=None if None in counts else sum(counts), unit='message', disable=not progress) as bar:
        for recording in recordings:
            for _ in recording.hear(metrics, folder, last_ns):
                bar.update()
                if was_interrupted():
                    LOGGER.warning('interrupted; what was read until then is kept')
                    return False
            last_ns = recording.last_ns
    return True


class _Recording:
    """One recording of the stages.

    :param block_ns: see :func:`posegrasp_ros.datasets.frame_sources.sourced_frames`
    :ivar topics: the topics in use, guessed ones filled in
    :ivar last_ns: newest stamp in the metrics
    """

    def __init__(self, path: str | Path, asked: RecordedTopics, block_ns: int):
        self.path = Path(path)
        self.bag = BagMessages(path)
        self.topics = _guess(self.path, self.bag.topics, asked)
        self.last_ns: int | None = None
        self._names = [*(name for name, kind in self.bag.topics.items() if kind == REPORTS),
                       *filter(None, (self.topics.pose, self.topics.camera_info, self.topics.ground_truth))]
        self._reports = 0
        self._shift_ns: int | None = None
        self._block_ns = block_ns
        self._matrix: np.ndarray | None = None

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
            )

    def _take(self, message: BagMessage, content: Any, metrics: RunMetrics, folder: RunFolder | None) -> None:
        if message.type == REPORTS and not is_report(content):
            return
        stamp_ns = self._moved(stamp_of(content.header))
        if message.type == REPORTS:
            report = read_report(content)
            self._reports += 1
            metrics.add_report(replace(report, stamp_ns=stamp_ns))
            if folder:
                folder.append(report, bag=self.path.name, block=metrics.block_of(stamp_ns))
        elif message.topic == self.topics.camera_info:
            self._take_camera(content, stamp_ns, metrics)
        elif message.topic == self.topics.pose:
            self._take_estimate(content, stamp_ns, metrics)
        else:
            metrics.add_truth(stamp_ns, _usable_pose(content))

    def _take_camera(self, content: Any, stamp_ns: int, metrics: RunMetrics) -> None:
        if not np.array_equal(content.k, self._matrix):
            self._matrix = np.array(content.k)
            metrics.add_camera(self._matrix.reshape(3, 3), content.width)
        metrics.add_image(stamp_ns)

    def _take_estimate(self, content: Any, stamp_ns: int, metrics: RunMetrics) -> None:
        """A pose that cannot be used is no answer."""
        try:
            pose = _usable_pose(content)
        except InvalidInputError:
            metrics.add_estimate(stamp_ns, np.full((4, 4), np.nan))
            raise
        metrics.add_estimate(stamp_ns, pose, np.asarray(content.pose.covariance, dtype=float).reshape(6, 6))

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


def _guess(path: Path, found: dict[str, str], asked: RecordedTopics) -> RecordedTopics:
    """Fill in the topics that were not asked for.

    :raises BagError: when one that was asked for is not there
    """
    for name in filter(None, (asked.pose, asked.camera_info, asked.ground_truth)):
        if name not in found:
            raise BagError(f'{path}: {name}: no such topic; found {listing(found)}')
    truth = asked.ground_truth or guess_truth(found, BagTopics())
    estimates = sorted((name for name, kind in found.items() if kind == ESTIMATE and name != truth),
                       key=lambda name: 'perception' not in name)
    pose = asked.pose or next(iter(estimates), None)
    infos = [name for name, kind in found.items() if kind == CAMERA_INFO and 'depth' not in name]
    return RecordedTopics(pose, asked.camera_info or next(iter(infos), None), truth)
