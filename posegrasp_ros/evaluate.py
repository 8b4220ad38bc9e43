"""Recordings through the estimators, the planner and the metrics that the nodes use, without a ROS graph."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.bags import BagError, BagFrame, BagReader, BagTopics
from posegrasp_ros.estimation.create import ESTIMATORS, create_estimator
from posegrasp_ros.estimation.estimate import Estimation, Estimator, PoseEstimate
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.track import with_tracking
from posegrasp_ros.geometry import rotate_covariance
from posegrasp_ros.grasping.plan import Plan, PlanningError
from posegrasp_ros.grasping.planner import GraspPlanner
from posegrasp_ros.grasping.scene import Scene
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.metrics.baselines import Entry, Ledger, load_ledger
from posegrasp_ros.metrics.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import compare
from posegrasp_ros.paint_over import paint_over
from posegrasp_ros.photographs import PhotographReader, is_photograph_folder
from posegrasp_ros.provenance import describe_run
from posegrasp_ros.report import SAME_FRAMES
from posegrasp_ros.run_folder import RunFolder

LOGGER = logging.getLogger(__name__)
# Estimators that are references for the others, and the ledger's kind of each.
REFERENCES = {'network': 'simple_ml', 'feature_match': 'scripted', 'mean_pose': 'scripted', 'oracle': 'scripted'}
# A rule that does not look is fast for no merit: references are compared by how right they are.
ACCURACY_METRICS = ('position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct',
                    'false_poses')
# What a summary states of every estimator.
PER_ESTIMATOR = ('headline', 'stages', 'metrics', 'failures', 'distributions', 'calibration')
FIELD_OF_VIEW_RAD = math.radians(60.0)
GAP_NS = 10_000_000_000


def evaluate_bags(paths: Sequence[str | Path], card: ModelCard, estimator: str = 'onnx',
                  beside: Iterable[str] = ESTIMATORS, planner: GraspPlanner | None = None,
                  scene: Scene | None = None, ledger: Ledger | None = None, out: str | Path | None = None,
                  topics: BagTopics | None = None, base_from_camera: np.ndarray | None = None,
                  threads: int | None = None, no_object: bool = False, paint: bool = False,
                  field_of_view_rad: float = FIELD_OF_VIEW_RAD, track: bool = False,
                  progress: bool = True) -> dict:
    """Measure an estimator on recordings, with others beside it on the same frames.

    A frame without ground truth counts for coverage and timing, and for nothing else. Where there are several
    objects in a frame, its errors are those of the best pose against the object nearest to it.

    :param paths: recordings, or folders of photographs
    :param estimator: the one that the summary is about
    :param beside: others to measure on the same frames; ``estimator`` may be among them
    :param planner: plans for every pose where the camera's pose is known; None for no planning
    :param scene: what surrounds the object; None for a support plane at z = 0 of the base frame
    :param ledger: baselines; None for those that come with the package
    :param out: run folder to write metrics.jsonl, summary.json and report.html to; None for none
    :param topics: which to read, and the base frame; None for guesses
    :param no_object: the object is in none of the frames, whatever their ground truth: every pose is a false one
    :param paint: paint the object over, and leave out the frames without the ground truth that this needs; then
        ``no_object``
    :param field_of_view_rad: horizontal, of the camera of photographs
    :param track: ``estimator`` first looks where it found the object last; those beside it never do
    :param base_from_camera: (4, 4) of a camera that does not move; None where the recordings' /tf tells it
    :return: the summary of ``estimator`` with ``estimators``: {name: its share of the summary}
    :raises BagError: when a recording cannot be read or holds no images
    """
    ledger = ledger or load_ledger()
    target = ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance)
    planning = _Planning(planner, scene or Scene(), card.mesh, base_from_camera) if planner else None
    topics = topics or BagTopics()
    if planning is None or base_from_camera is not None:
        topics = replace(topics, base_frame=None)
    names = list(dict.fromkeys([estimator, *beside]))
    estimators = {name: create_estimator(name, card, threads=threads) for name in names}
    if track:
        estimators[estimator] = with_tracking(estimators[estimator], LOGGER.warning)
    contestants = {name: Contestant(each, target, planning) for name, each in estimators.items()}
    readers = [_open(path, topics, field_of_view_rad) for path in paths]
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out, fresh=True)) if out else None
        for bag, shift_ns, frame in _frames(readers, progress):
            if paint or no_object:
                frame = paint_over(frame, card.mesh) if paint else replace(frame, camera_from_object=None)
                if frame is None:
                    continue
            for name, contestant in contestants.items():
                for report in contestant.answer(frame, shift_ns, paint or no_object):
                    if folder:
                        folder.append(report, estimator=name, bag=bag)
        warnings = [line for reader in readers for line in reader.warnings]
        provenance = {**describe_run(card, [Path(path) for path in paths]), 'tracking': track,
                      'depth_topic': topics.depth, 'no_object': no_object, 'painted_over': paint,
                      'warnings': warnings}
        summary = _summary(contestants, estimator, ledger, provenance)
        if folder:
            folder.write_summary(summary)
    return summary


class _Planning:
    """Planner, scene and camera: a pose in the camera to a planning report."""

    def __init__(self, planner: GraspPlanner, scene: Scene, mesh: Mesh, base_from_camera: np.ndarray | None):
        self._planner = planner
        self._scene, self._mesh = scene, mesh
        self._base_from_camera = base_from_camera

    def report(self, frame: BagFrame, poses: Sequence[PoseEstimate]) -> StageReport | None:
        """For the first of the poses, clear of the others; None where it is not known where the camera is."""
        base_from_camera = frame.base_from_camera if self._base_from_camera is None else self._base_from_camera
        if base_from_camera is None:
            return None
        start = time.perf_counter()
        covariance = rotate_covariance(poses[0].covariance, base_from_camera[:3, :3])
        base_from_object, *others = (base_from_camera @ pose.camera_from_object for pose in poses)
        try:
            plan = self._planner.plan(base_from_object, covariance, self._scene.with_others(self._mesh, others))
        except PlanningError as error:
            LOGGER.warning('%s', error)
            plan = Plan([], 'bad_pose', {})
        latency_ms = (time.perf_counter() - start) * 1e3
        return StageReport(frame.stamp_ns, 'planning', bool(plan.grasps), plan.reason,
                           {**plan.numbers, 'latency_ms': latency_ms}, plan.words)


class Contestant:
    """One estimator with the metrics of its answers."""

    def __init__(self, estimator: Estimator, target: ErrorTarget, planning: _Planning | None = None):
        self.metrics = RunMetrics(target)
        self._estimator = estimator
        self._planning = planning

    def answer(self, frame: BagFrame, shift_ns: int = 0, no_object: bool = False) -> Iterator[StageReport]:
        """Work on a frame as the nodes would; yields what each stage reports.

        :param shift_ns: added to the stamp in the metrics, to keep recordings of the same times apart
        :param no_object: nothing is to be found in the frame
        """
        stamp_ns = frame.stamp_ns + shift_ns
        if no_object:
            self.metrics.add_absence(stamp_ns)
        estimation, report = self._perceive(frame, stamp_ns)
        if len(frame.truths) > 1:
            poses = [pose.camera_from_object for pose in estimation.poses]
            self.metrics.add_instances(stamp_ns, poses, frame.truths)
        elif frame.truths:
            self.metrics.add_truth(stamp_ns, frame.camera_from_object)
        yield self._count(report, stamp_ns)
        if report.ok:
            best = estimation.poses[0]
            self.metrics.add_estimate(stamp_ns, best.camera_from_object, best.covariance)
            plan_report = self._planning.report(frame, estimation.poses) if self._planning else None
            if plan_report:
                yield self._count(plan_report, stamp_ns)

    def _count(self, report: StageReport, stamp_ns: int) -> StageReport:
        self.metrics.add_report(replace(report, stamp_ns=stamp_ns))
        return report

    def _perceive(self, frame: BagFrame, stamp_ns: int) -> tuple[Estimation, StageReport]:
        """The estimator's answer; its latency runs from the encoded image to the pose."""
        start = time.perf_counter()
        if frame.reason:
            estimation = Estimation(reason=frame.reason)
        else:
            try:
                estimation = self._estimator.estimate(frame.image, frame.camera, frame.camera_from_object,
                                                      frame.depth_m, stamp_ns)
            except Exception:
                # As in the node: a bug costs this frame and is said aloud, it does not end the run.
                LOGGER.exception('the estimator failed on the image of %d ns', frame.stamp_ns)
                estimation = Estimation(reason='internal_error')
        latency_ms = frame.decode_ms + (time.perf_counter() - start) * 1e3
        numbers = {**estimation.numbers, 'poses': float(len(estimation.poses)),
                   'depth_used': float(frame.depth_m is not None), 'latency_ms': latency_ms}
        if estimation.poses:
            numbers['score'] = float(estimation.poses[0].score)
        ok = bool(estimation.poses)
        reason = '' if ok else estimation.reason or 'no_detection'
        return estimation, StageReport(frame.stamp_ns, 'perception', ok, reason, numbers)


def _open(path: str | Path, topics: BagTopics, field_of_view_rad: float) -> BagReader | PhotographReader:
    """The frames behind a path."""
    if is_photograph_folder(Path(path)):
        return PhotographReader(path, field_of_view_rad)
    return BagReader(path, topics)


def _frames(readers: list[BagReader | PhotographReader], progress: bool) -> Iterator[tuple[str, int, BagFrame]]:
    """All frames with their recording's name and what to add to their stamps to make these unique."""
    counts = [reader.image_count for reader in readers]
    total = sum(counts) if None not in counts else None
    last_ns = None
    with tqdm(total=total, unit='frame', disable=not progress, dynamic_ncols=True) as bar, _warnings_above(bar):
        for reader in readers:
            shift_ns = None
            for frame in reader:
                if shift_ns is None:
                    shift_ns = _shift(last_ns, frame.stamp_ns)
                last_ns = max(frame.stamp_ns + shift_ns, -1 if last_ns is None else last_ns)
                bar.set_description(reader.path.name, refresh=False)
                yield reader.path.name, shift_ns, frame
                bar.update()
            if shift_ns is None:
                raise BagError(f'{reader.path}: {reader.topics.image}: expected images, found none')


def _warnings_above(bar: tqdm) -> AbstractContextManager:
    """Log lines are printed above a bar that is shown, not into it."""
    return nullcontext() if bar.disable else logging_redirect_tqdm()


def _shift(last_ns: int | None, first_ns: int) -> int:
    """What moves a recording behind the one before; whole seconds, so that blocks of time stay what they are."""
    if last_ns is None:
        return 0
    seconds = (last_ns + GAP_NS - first_ns) // 1_000_000_000 + 1
    return seconds * 1_000_000_000


def _summary(contestants: dict[str, Contestant], chosen: str, ledger: Ledger, provenance: dict) -> dict:
    """The chosen estimator's summary, judged by the ledger and by the references on the same frames."""
    summaries = {name: contestant.metrics.summary(provenance) for name, contestant in contestants.items()}
    for name, summary in summaries.items():
        if name in REFERENCES and name != chosen:
            ledger = with_measured(ledger, name, summary)
    summary = summaries[chosen]
    return {
        **summary,
        'verdicts': compare(summary['metrics'], ledger),
        'estimator': chosen,
        'estimators': {name: {key: other[key] for key in PER_ESTIMATOR} for name, other in summaries.items()},
    }


def with_measured(ledger: Ledger, name: str, summary: dict) -> Ledger:
    """The ledger with what a reference reached on the same frames."""
    date = summary['provenance'].get('time', '')[:10]
    coverage = summary['stages']['perception']['coverage']
    for metric in ACCURACY_METRICS:
        value = summary['metrics'][metric]['value']
        if value is None or metric not in ledger.metrics:
            continue
        note = ''
        if name == 'oracle':
            note = 'is told the truth: the most that can be reached'
        elif metric.endswith('_median') and coverage < 0.95:
            note = f'median over the {coverage:.0%} of frames that it answers'
        ledger = ledger.with_entry(metric, Entry(name, REFERENCES[name], value, SAME_FRAMES, date, fair=not note,
                                                 note=note))
    return ledger
