# SPDX-License-Identifier: Apache-2.0
"""Poses from any node or file, measured like those of the package's own estimators: nothing is run again."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bop_dataset import is_bop_dataset
from posegrasp_ros.datasets.frame import BagFrame, PackedFrame
from posegrasp_ros.datasets.frame_sources import (
    Source,
    SourcedFrame,
    SourceOptions,
    open_source,
    stated_truths,
)
from posegrasp_ros.datasets.photographs import is_photograph_folder
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.evaluation.frame_answers import Answer, AnsweredFrame
from posegrasp_ros.evaluation.measured_run import MeasuredRun, PreparedRun, written_run
from posegrasp_ros.evaluation.method import MethodUnderTest
from posegrasp_ros.evaluation.pose_doubts import doubts_about
from posegrasp_ros.evaluation.run_views import RunViews
from posegrasp_ros.faults.corrected_pairs import corrected_pose
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry
from posegrasp_ros.faults.pair_log import PairLog
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry, rotate_covariance
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, ErrorTarget, PoseTolerance
from posegrasp_ros.metrics.run import BLOCK_S, RunMetrics, block_ns_of
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.pose_sources.asked_sources import AskedSources
from posegrasp_ros.pose_sources.bop_poses import read_bop_poses
from posegrasp_ros.pose_sources.pose_frames import BareFrame, PoseFrames
from posegrasp_ros.pose_sources.pose_matching import ImagePlace
from posegrasp_ros.pose_sources.recorded_poses import RecordedPoses, read_recorded_poses
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runs.provenance import describe_run
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.viewer_files.viewer_files import ViewerFiles

LOGGER = logging.getLogger(__name__)
NO_POSE, OTHER_FRAME = 'no_pose', 'frame_not_connected'


@dataclass(frozen=True)
class JudgedObject:
    """An object whose poses are judged.

    :param mesh: without one, errors of position and rotation are measured and nothing is drawn
    """

    mesh: Mesh | None = None
    symmetry: Symmetry = NO_SYMMETRY
    tolerance: PoseTolerance = STATED_NEED

    @cached_property
    def target(self) -> ErrorTarget:
        """For the errors."""
        if self.mesh is None:
            return ErrorTarget.without_mesh(self.symmetry)
        return ErrorTarget.from_mesh(self.mesh, self.symmetry, self.tolerance)


@dataclass(frozen=True)
class JudgeOptions:
    """How poses are judged; see :class:`posegrasp_ros.evaluation.evaluate_options.EvaluateOptions`.

    :param corrections: of the poses, by object
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    block_s: float = BLOCK_S
    truth_sigmas: TruthSigmas | None = None
    no_object: bool = False
    bop_csv: Path | None = None
    corrections: Mapping[str, tuple[Correction, ...]] = field(default_factory=dict)
    viewer_files: ViewerFiles = field(default_factory=ViewerFiles)


def evaluate_sources(paths: Sequence[str | Path], objects: Mapping[str, JudgedObject], asked: AskedSources,
                     options: JudgeOptions | None = None, baselines: Baselines | None = None,
                     out: str | Path | None = None, described: dict | None = None, progress: bool = True) -> dict:
    """Measure the poses that sources state for the images of recordings, side by side on the same frames.

    A source with no pose for an image has not answered it. Time from image to pose is that between the recording
    of both, where it is known.

    :param objects: by name; '' of the only one
    :param asked: the sources; the summary is about the first
    :param described: provenance, see :func:`posegrasp_ros.runs.provenance.describe_run`
    :return: as of :func:`posegrasp_ros.evaluation.bag_evaluation.evaluate_bags`, with a source's name for each
        estimator
    :raises InvalidInputError: when a recording cannot be read, or its poses match no images
    """
    prepared = prepared_judgement(paths, objects, asked, options or JudgeOptions(), described)
    return written_run(prepared, paths, baselines or load_baselines(), out, progress)


def prepared_judgement(paths: Sequence[str | Path], objects: Mapping[str, JudgedObject], asked: AskedSources,
                       options: JudgeOptions, described: dict | None = None) -> PreparedRun:
    """What :func:`evaluate_sources` measures."""
    names = asked.names
    if not names or len(set(names)) < len(names):
        raise InvalidInputError(f'pose sources: expected different names, at least one, got {", ".join(names)}')
    unknown = options.corrections.keys() - objects.keys()
    if unknown:
        raise InvalidInputError(f'corrections: expected those of {", ".join(objects) or "one object"}, got those '
                                f'of {", ".join(sorted(unknown))}')
    asked = replace(asked, shift_ns={name: sum(each.shift_ns() for each in found)
                                     for name, found in options.corrections.items()})
    opened = [_open(Path(path), asked, options.source, tuple(objects)) for path in paths]
    for source, poses in opened:
        for each, by_object in poses.sources.items():
            for line in (line for stated in by_object.values() for line in doubts_about(stated.every)):
                source.warn_once(f'{each}: {line}')
    targets = {name: replace(each.target, symmetry=_symmetry(each, found))
               if (found := options.corrections.get(name)) else each.target for name, each in objects.items()}
    methods = {source: MethodUnderTest(
        RunMetrics(targets, block_s=options.block_s, truth_sigmas=options.truth_sigmas), pair_logs={
            name: PairLog(each.symmetry, each.diameter_m) for name, each in targets.items()}) for source in names}
    run = MeasuredRun(methods, names[0], [source for source, _ in opened], block_ns_of(options.block_s),
                      {name: each.mesh for name, each in objects.items() if each.mesh}, options.bop_csv,
                      options.no_object, states_truth=options.truth_sigmas is not None,
                      views=RunViews(options.viewer_files))
    judge = _Judge({id(source): poses for source, poses in opened}, names, tuple(objects),
                   options.corrections)
    accounts = [{'bag': Path(path).name, 'source': name, **({'object': each} if each else {}), **source.account()}
                for path, (_, poses) in zip(paths, opened)
                for name, by_object in poses.sources.items() for each, source in by_object.items()]
    for account in accounts:
        LOGGER.info('%s', account)
    configuration = {'pose_sources': names, 'classes': dict(asked.classes),
                     'tolerance_ms': options.source.tolerance_ms,
                     'corrections': {name: [{'kind': each.kind, **each.to_dict()} for each in found]
                                     for name, found in options.corrections.items()},
                     **({'truth_sigmas': asdict(options.truth_sigmas)} if options.truth_sigmas else {})}
    described = {**describe_run(), **(described or {}), 'configuration': configuration}
    return PreparedRun(run, judge.answered, described, {'recorded': True, 'pose_sources': accounts})


def _open(path: Path, asked: AskedSources, options: SourceOptions,
          objects: Sequence[str]) -> tuple[Source, RecordedPoses]:
    """The frames of a recording, and what the sources state for them."""
    truths = stated_truths(options)
    if options.ground_truth in asked.files or options.topics.object_frame in asked.frames:
        raise _no_truth(path, str(options.ground_truth or options.topics.object_frame))
    if is_bop_dataset(path) or is_photograph_folder(path):
        if asked.topics or asked.frames:
            raise InvalidInputError(f'{path}: expected a recording for poses on topics, got a folder of images: '
                                    'give a CSV file')
        reader = open_source(path, options, dict.fromkeys(objects, math.nan))
        number = getattr(reader, 'object_id', None)
        class_id = asked.classes.get(objects[0], None if number is None else str(number))
        return reader, RecordedPoses({file.name: {objects[0]: read_bop_poses(file, class_id)}
                                      for file in asked.files}, {})
    poses = read_recorded_poses(path, asked, options.topics, objects)
    frames: BagReader | PoseFrames
    if poses.has_images:
        frames = BagReader(path, options.topics, truths, options.tolerance_ms, objects, poses.frame_ids)
    else:
        frames = PoseFrames(path, options.topics, poses, truths, options.tolerance_ms, objects)
    if same := sorted({*frames.truth_topics} & {*asked.topics}):
        raise _no_truth(path, same[0])
    return frames, poses


def _no_truth(path: Path, name: str) -> InvalidInputError:
    return InvalidInputError(f'{path}: {name}: expected poses to judge and ground truth from different places, '
                             'got this for both: name the ground truth with --ground-truth-topic, '
                             '--ground-truth-frame or --ground-truth')


class _Judge:
    """Gives each frame the poses that the sources state for it.

    :param poses: of each recording, by the id of its reader
    """

    def __init__(self, poses: Mapping[int, RecordedPoses], names: Sequence[str], objects: Sequence[str],
                 corrections: Mapping[str, tuple[Correction, ...]]):
        self._poses, self._names, self._objects, self._corrections = poses, names, objects, corrections
        self._silent = set(names)

    def answered(self, frames: Iterator[SourcedFrame]
                 ) -> Generator[tuple[SourcedFrame, AnsweredFrame], None, None]:
        """Each frame with its answers; its image is not decoded."""
        item: SourcedFrame | None = None
        for item in frames:
            undecoded = item.undecoded
            frame = undecoded.without_image() if isinstance(undecoded, (PackedFrame, BareFrame)) \
                else undecoded.decode()
            key = ImagePlace(frame.stamp_ns, item.scene, item.number)
            yield item, AnsweredFrame(frame, {
                source: {name: self._answer(item, source, name, frame, key) for name in self._objects}
                for source in self._names})
        if item is None:
            return
        for source in sorted(self._silent):
            item.source.warn_once(f'{source}: no image has a pose: all count as images in which the object was '
                                  'not found')

    def _answer(self, item: SourcedFrame, source: str, name: str, frame: BagFrame, key: ImagePlace) -> Answer:
        recorded = self._poses[id(item.source)]
        stated = recorded.sources[source][name].of(key)
        if stated:
            self._silent.discard(source)
        corrections = self._corrections.get(name, ())
        seen = [each for pose in stated if (each := _seen(pose, frame, corrections)) is not None]
        if stated and not seen:
            item.source.warn_once(f'{source}: poses are in the frame {stated[0].frame_id}, which /tf does not '
                                  'connect with the frame of the images: they are left out')
        reason = '' if seen else OTHER_FRAME if stated else NO_POSE
        numbers = {'score': seen[0].score} if seen and np.isfinite(seen[0].score) else {}
        arrived_ns, image_ns = stated[0].arrived_ns if stated else None, recorded.arrivals_ns.get(key.stamp_ns)
        # A recording whose times are the stamps does not tell how long anything took.
        if seen and arrived_ns is not None and image_ns is not None and arrived_ns > image_ns \
                and recorded.frames_ns is None:
            numbers['latency_ms'] = (arrived_ns - image_ns) / 1e6
        report = StageReport(frame.stamp_ns, 'perception', bool(seen), reason, numbers, object=name)
        return Answer(Estimation(seen, reason, numbers), report, None, stated[0].stamp_ns if stated else None)


def _symmetry(known: JudgedObject, corrections: Sequence[Correction]) -> Symmetry:
    """The object's symmetry with those that corrections declare."""
    symmetry = known.symmetry
    for correction in corrections:
        if isinstance(correction, DeclaredSymmetry):
            try:
                symmetry = correction.added_to(symmetry)
            except ValueError as error:
                raise InvalidInputError(f'corrections: symmetry: {error}') from error
    return symmetry


def _seen(pose: StatedPose, frame: BagFrame, corrections: Sequence[Correction]) -> PoseEstimate | None:
    """A stated pose in the camera's frame, corrected; None where /tf does not tell where that is."""
    camera_from_frame = frame.camera_from_frames.get(pose.frame_id) if pose.frame_id else np.eye(4)
    if camera_from_frame is None:
        return None
    covariance = pose.usable_covariance
    if covariance is not None:
        covariance = rotate_covariance(covariance, camera_from_frame[:3, :3])
    camera_from_object = camera_from_frame @ pose.frame_from_object
    if np.isfinite(camera_from_object).all():
        camera_from_object, covariance = corrected_pose(corrections, camera_from_object, covariance)
    return PoseEstimate(camera_from_object, pose.score, np.zeros((6, 6)) if covariance is None else covariance)
