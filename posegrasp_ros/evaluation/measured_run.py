# SPDX-License-Identifier: Apache-2.0
"""MeasuredRun: the frames of a run with the answers of all methods, measured, logged and counted."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import Source, SourcedFrame, sourced_frames, total_count
from posegrasp_ros.evaluation.bop_csv import BopCsv
from posegrasp_ros.evaluation.frame_answers import Answer, AnsweredFrame
from posegrasp_ros.evaluation.method import MethodUnderTest, of_object
from posegrasp_ros.evaluation.problems import Problems
from posegrasp_ros.evaluation.run_views import RunViews
from posegrasp_ros.faults.correction_file import NAME as CORRECTIONS
from posegrasp_ros.faults.correction_file import corrections_text
from posegrasp_ros.faults.diagnose import diagnose
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.true_pose import OVERRULED
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.calibration_guard import told_as_provenance
from posegrasp_ros.pose_sources.pose_frames import PoseFrames
from posegrasp_ros.report.frame_pictures import FramePictures, Shown
from posegrasp_ros.report.frame_rows import Recording
from posegrasp_ros.report.run_report import page_of
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import BagDescriptions
from posegrasp_ros.runs.run_log import PICTURES, SUMMARY, frame_line
from posegrasp_ros.runs.run_summary import SummaryInputs, summary_of
from posegrasp_ros.runtime.errors import InvalidInputError, escaped
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.viewer_files.shown_frame import ShownFrame

LOGGER = logging.getLogger(__name__)
Answering = Callable[[Iterator[SourcedFrame]], Generator[tuple[SourcedFrame, AnsweredFrame | None], None, None]]


class Span(NamedTuple):
    """Stamps of a run's first frame, as it was recorded, and of its latest one, as it counts in the metrics."""

    first_ns: int
    last_ns: int


class MeasuredRun:
    """The frames of a run, measured one after the other.

    :param methods: those that answer, by name
    :param chosen: name of the one that the run is about
    :param sources: of the frames
    :param block_ns: see :func:`posegrasp_ros.datasets.frame_sources.sourced_frames`
    :param meshes: of the objects by name, to draw frames with; without one nothing is drawn
    :param bop_csv: file to write the poses of the chosen method to; None for none
    :param no_object: nothing is to be found in the frames
    :param draws: whether frames are drawn
    :param states_truth: whether the errors of the ground truth are stated, and those that come with it overruled
    :param views: files for viewers of the chosen method's answers
    :ivar methods: the estimators by name
    :ivar pictures: of the frames in which the estimator in question was worst, and of others
    :ivar recordings: stretches of the frames so far
    :ivar problems: what was wrong with the frames
    :ivar is_complete: whether all frames were measured
    :ivar span: of the frames so far; None without any
    """

    def __init__(self, methods: Mapping[str, MethodUnderTest], chosen: str, sources: Sequence[Source],
                 block_ns: int, meshes: Mapping[str, Mesh], bop_csv: Path | None = None, no_object: bool = False,
                 draws: bool = True, states_truth: bool = False, views: RunViews | None = None):
        self.methods, self.chosen = methods, chosen
        self.pictures = FramePictures()
        self.recordings: list[Recording] = []
        self.problems = Problems()
        self.is_complete = False
        self.span: Span | None = None
        self._source: Source | None = None
        self._sources, self._block_ns, self._meshes, self._bop_path = sources, block_ns, meshes, bop_csv
        self._no_object, self._draws, self._states_truth = no_object, draws, states_truth
        self._views = views or RunViews()

    def keep_everything(self) -> None:
        """Have poses and views kept for what is made of several runs together, and no pictures drawn."""
        self._draws = False
        for method in self.methods.values():
            for log in method.pair_logs.values():
                log.keep_all()
            for guard in method.guards.values():
                guard.history = {}

    def measure(self, answer: Answering, folder: RunFolder | None, progress: bool) -> None:
        """Until all frames are measured or Ctrl-C is pressed.

        :param answer: gives each frame with its answers, in the order of the frames
        """
        with ExitStack() as stack:
            was_interrupted = stack.enter_context(interrupt_noted())
            self._note_cameras()
            frames = stack.enter_context(closing(answer(self._frames())))
            bar = stack.enter_context(Progress(total=total_count(self._sources), unit='frame',
                                               disable=not progress, dynamic_ncols=True))
            stack.enter_context(_warnings_above(bar))
            table = stack.enter_context(self._bop_csv(self._bop_path)) if self._bop_path else None
            show = stack.enter_context(self._views.opened())
            for count, (item, answered) in enumerate(frames, start=1):
                if answered is not None:
                    self._count(item, answered, folder, table)
                    if show:
                        show(self._shown(item, answered))
                bar.set_description(escaped(item.source.path.name), refresh=False)
                bar.update()
                if was_interrupted():
                    LOGGER.warning('interrupted after %d frames; what was measured until then is kept', count)
                    return
        self.is_complete = True

    def _note_cameras(self) -> None:
        """Tell the diagnosis all cameras of the recordings: any of their intrinsics may have been used."""
        readers = [source for source in self._sources if isinstance(source, (BagReader, PoseFrames))]
        logs = [log for method in self.methods.values() for log in method.pair_logs.values()]
        cameras = {name: camera for reader in readers for name, camera in reader.cameras.items()} if logs else {}
        for log in logs:
            log.cameras = cameras

    @property
    def sources(self) -> Sequence[Source]:
        """Of the frames."""
        return self._sources

    def circumstances(self) -> dict:
        """What provenance should tell of the measuring itself."""
        return {
            'complete': self.is_complete,
            'ground_truth': [account for source in self._sources for account in _truth_account(source)],
            'warnings': [line for source in self._sources for line in source.warnings],
            **told_as_provenance(self.methods[self.chosen].guards),
        }

    def summary_inputs(self, baselines: Baselines, about: dict) -> SummaryInputs:
        """What the summary depends on besides the frames."""
        facts = {name: method.metrics.facts for name, method in self.methods.items()}
        return SummaryInputs(facts, baselines, about, self.chosen)

    def diagnosis(self) -> dict[str, dict[str, dict]]:
        """Systematic faults by method and object; only of methods that look at the frames."""
        return {name: {each: diagnose(log.pairs()).to_dict() for each, log in method.pair_logs.items()}
                for name, method in self.methods.items() if method.pair_logs}

    def problem_list(self) -> list[dict]:
        """What was wrong with frames and recordings, for the summary."""
        return self.problems.to_list(
            (source.path.name, line) for source in self._sources for line in source.warnings)

    def _frames(self) -> Iterator[SourcedFrame]:
        """All frames, with a note of their span."""
        for item in sourced_frames(self._sources, self._block_ns):
            stamp_ns = item.undecoded.stamp_ns
            first_ns, last_ns = self.span or (stamp_ns, stamp_ns + item.shift_ns)
            self.span = Span(first_ns, max(last_ns, stamp_ns + item.shift_ns))
            self._note_recording(item)
            yield item

    def _note_recording(self, item: SourcedFrame) -> None:
        """Take down which recording the frame is of, and the image's file where it is one of its own."""
        stamp_ns, name = item.undecoded.stamp_ns, item.source.path.name
        last = self.recordings[-1] if self.recordings else None
        if last is None or (last.name, last.shift_ns) != (name, item.shift_ns):
            last = Recording(name, stamp_ns, item.shift_ns)
            self.recordings.append(last)
        elif stamp_ns < last.first_ns:
            last = self.recordings[-1] = replace(last, first_ns=stamp_ns)
        if isinstance(file := getattr(item.undecoded, 'file', None), Path):
            last.files[stamp_ns] = file.name

    def _count(self, item: SourcedFrame, answered: AnsweredFrame, folder: RunFolder | None,
               table: BopCsv | None) -> None:
        """Take down the answers of all estimators to a frame."""
        frame, bag = answered.frame, item.source.path.name
        self.problems.look_at(frame, bag, item.number)
        if item.source is not self._source:
            self._source = item.source
            for guard in (guard for method in self.methods.values() for guard in method.guards.values()):
                guard.begin_recording()
        if frame.warning:
            item.source.warn_once(frame.warning)
        if self._states_truth and frame.states_truth_covariance:
            item.source.warn_once(OVERRULED)
        for name, method in self.methods.items():
            block = method.metrics.block_of(frame.stamp_ns + item.shift_ns)
            reports = list(method.count(frame, answered.answers[name], item.shift_ns, self._no_object))
            if folder:
                for report in reports:
                    folder.append(report, estimator=name, bag=bag, block=block)
                for key, row in method.metrics.take_rows():
                    folder.append_line(frame_line(key, row, estimator=name))
        for name, answer in answered.answers[self.chosen].items():
            self._consider_to_draw(item, frame, name, answer)
        if table:
            (answer,) = answered.answers[self.chosen].values()
            table.add(
                item.scene, item.number, answer.estimation.poses, answer.perception.numbers['latency_ms'] / 1e3
            )

    def _shown(self, item: SourcedFrame, answered: AnsweredFrame) -> ShownFrame:
        return self._views.shown(item, answered.frame, answered.answers[self.chosen],
                                 self.methods[self.chosen].metrics, self._meshes)

    def _consider_to_draw(self, item: SourcedFrame, frame: BagFrame, name: str, answer: Answer) -> None:
        """Keep a picture of the frame if an object's pose in it is among the worst, or in the sample."""
        if not self._draws or name not in self._meshes or frame.reason:
            return
        poses = answer.estimation.poses
        shown = Shown(frame.stamp_ns + item.shift_ns, name,
                      self.methods[self.chosen].error(frame, name, answer, item.shift_ns),
                      '' if poses else answer.perception.reason or 'no_pose',
                      poses[0].score if poses else math.nan)
        if not self.pictures.wants(shown):
            return
        if frame.image is None:
            # Answered elsewhere: few of many are worth being decoded again.
            frame = item.undecoded.decode()
        self.pictures.consider(shown, of_object(frame, name), answer.estimation, self._meshes[name])

    def _bop_csv(self, path: Path) -> BopCsv:
        numbers = [each for source in self._sources if (each := getattr(source, 'object_id', None)) is not None]
        return BopCsv(path, *numbers[:1])


def described_bags(bags: BagDescriptions, is_complete: bool, progress: bool) -> list[dict]:
    """The recordings' descriptions; an interrupted run does not wait for their hashes."""
    if not is_complete:
        bags.stop()
    elif not bags.are_done:
        with Progress(total=bags.total_bytes, desc='hashing recordings', unit='B', unit_scale=True,
                  disable=not progress) as bar:
            while not bags.are_done:
                bar.update(bags.hashed_bytes - bar.n)
                time.sleep(0.1)
    return bags.result()


def _truth_account(source: Source) -> list[dict]:
    """How much of a recording's ground truth was matched, for each object; nothing for what has none to match."""
    return [{'bag': source.path.name, **({'object': name} if name else {}), 'images': truths.images,
             'with_truth': truths.matched, 'unused_truths': truths.unused,
             'tolerance_ms': truths.tolerance_ns / 1e6}
            for name, truths in getattr(source, 'truths', {}).items()]


def _warnings_above(bar: Progress) -> AbstractContextManager:
    """Log lines are printed above a bar that is shown, not into it."""
    return nullcontext() if bar.disable else logging_redirect_tqdm()


@dataclass(frozen=True)
class PreparedRun:
    """What is to be measured.

    :param answer: see :meth:`MeasuredRun.measure`
    :param described: provenance, see :func:`posegrasp_ros.runs.provenance.describe_run`
    :param circumstances: further provenance
    """

    run: MeasuredRun
    answer: Answering
    described: dict
    circumstances: dict


def written_run(prepared: PreparedRun, paths: Sequence[str | Path], baselines: Baselines, out: str | Path | None,
                progress: bool) -> dict:
    """Measure a run and write its folder.

    :param paths: of the recordings, for provenance
    :param out: run folder; None for none
    :return: the summary
    :raises InvalidInputError: when none of the frames can be used; the run folder is written all the same
    """
    run, described = prepared.run, prepared.described
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out, fresh=True)) if out else None
        bags = stack.enter_context(BagDescriptions(paths))
        if folder:
            begun = run.summary_inputs(baselines, {'provenance': {**described, 'complete': False}})
            folder.append_line({SUMMARY: begun.to_dict()})
        run.measure(prepared.answer, folder, progress)
        provenance = {**described, 'bags': described_bags(bags, run.is_complete, progress),
                      **prepared.circumstances, **run.circumstances()}
        inputs = run.summary_inputs(baselines, {'provenance': provenance, 'problems': run.problem_list(),
                                                'diagnosis': run.diagnosis(),
                                                'recordings': [each.to_dict() for each in run.recordings]})
        tables = {name: method.metrics.table() for name, method in run.methods.items()}
        summary = summary_of(tables, inputs)
        if folder:
            pictures = run.pictures.pictures()
            folder.append_line({PICTURES: pictures})
            folder.append_line({SUMMARY: inputs.to_dict()})
            diagnosed = inputs.about['diagnosis'].get(run.chosen, {})
            folder.write_text(CORRECTIONS, corrections_text(run.chosen, diagnosed))
            folder.write_summary(summary, page_of(tables[run.chosen], pictures))
    if run.problems.frames and not run.problems.usable:
        raise InvalidInputError(run.problems.sentence())
    return summary
