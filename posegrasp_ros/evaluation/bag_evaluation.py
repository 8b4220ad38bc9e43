# SPDX-License-Identifier: Apache-2.0
"""Recordings through the estimators, the planner and the metrics that the nodes use, without a ROS graph."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import (
    Source,
    SourcedFrame,
    SourceOptions,
    open_sources,
    sourced_frames,
    total_count,
)
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.evaluation.bop_csv import BopCsv
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.frame_answers import Answer, AnsweredFrame, Work, answered_frames
from posegrasp_ros.evaluation.method import MethodUnderTest, of_object
from posegrasp_ros.evaluation.problems import Problems
from posegrasp_ros.geometry.true_pose import OVERRULED
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.calibration_guard import told_as_provenance
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics, block_ns_of
from posegrasp_ros.report.run_report import render_html
from posegrasp_ros.report.worst_frames import WorstFrames
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import BagDescriptions, describe_run
from posegrasp_ros.runs.run_log import PICTURES, SUMMARY, frame_line
from posegrasp_ros.runs.run_summary import SummaryInputs, summary_of
from posegrasp_ros.runtime.errors import InvalidInputError, escaped
from posegrasp_ros.runtime.interrupt import interrupt_noted

LOGGER = logging.getLogger(__name__)


def evaluate_bags(paths: Sequence[str | Path], card: ModelCard | Mapping[str, ModelCard],
                  options: EvaluateOptions | None = None, baselines: Baselines | None = None,
                  out: str | Path | None = None, progress: bool = True) -> dict:
    """Measure an estimator on recordings, and others on the same frames.

    A frame without ground truth counts for coverage and timing, and for nothing else. Where there are several
    objects in a frame, its errors are those of the best pose against the object nearest to it. Ctrl-C ends the run
    after the frame that is under way: the summary is of the frames until then, and says so.

    :param paths: recordings, BOP datasets, or folders of photographs
    :param card: of the object, or of several by name, which are looked for together
    :param baselines: baselines; None for those that come with the package
    :param out: run folder to write metrics.jsonl, summary.json and report.html to; None for none
    :return: the summary of the estimator with ``estimators``: {name: its share of the summary}
    :raises InvalidInputError: when a recording cannot be read or holds no images, or none of them can be used;
        the run folder is written all the same
    """
    options = options or EvaluateOptions()
    baselines = baselines or load_baselines()
    cards = card if isinstance(card, Mapping) else {ONLY: card}
    work = options.work(cards)
    sources = open_sources(paths, _without_needless(options),
                           {name: each.mesh.diameter for name, each in cards.items()})
    run = _Run(work, options, sources)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out, fresh=True)) if out else None
        described = describe_run(cards, configuration=_configuration(options, sources))
        bags = stack.enter_context(BagDescriptions(paths))
        begun = run.summary_inputs(baselines, {'provenance': {**described, 'complete': False}})
        if folder:
            folder.append_line({SUMMARY: begun.to_dict()})
        run.measure(folder, options.jobs or 1, progress)
        provenance = {**described, 'bags': described_bags(bags, run.is_complete, progress), **run.circumstances()}
        inputs = run.summary_inputs(baselines, {'provenance': provenance, 'problems': run.problem_list()})
        summary = summary_of({name: method.metrics.table() for name, method in run.methods.items()}, inputs)
        if folder:
            pictures = run.worst.pictures()
            folder.append_line({PICTURES: pictures})
            folder.append_line({SUMMARY: inputs.to_dict()})
            folder.write_summary(summary, lambda summary: render_html(summary, pictures))
    if run.problems.frames and not run.problems.usable:
        raise InvalidInputError(run.problems.sentence())
    return summary


class _Run:
    """The frames of a run, measured one after the other.

    :ivar methods: the estimators by name
    :ivar worst: frames in which the estimator in question was worst
    :ivar problems: what was wrong with the frames
    :ivar is_complete: whether all frames were measured
    """

    def __init__(self, work: Work, options: EvaluateOptions, sources: list[Source]):
        targets = {name: ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance)
                   for name, card in work.cards.items()}
        checks = {name: work.planners[name].pose_check.holds if name in work.planners else None
                  for name in targets}
        usual = {'onnx': {name: card.calibration.figures for name, card in work.cards.items()}}
        self.methods = {name: MethodUnderTest(RunMetrics(targets, block_s=options.block_s, pose_check=checks,
                                                         truth_sigmas=options.truth_sigmas), usual.get(name))
                        for name in work.estimators}
        self.worst = WorstFrames()
        self.problems = Problems()
        self.is_complete = False
        self._work, self._options, self._sources = work, options, sources

    def measure(self, folder: RunFolder | None, jobs: int, progress: bool) -> None:
        """Until all frames are measured or Ctrl-C is pressed."""
        with ExitStack() as stack:
            was_interrupted = stack.enter_context(interrupt_noted())
            sourced = sourced_frames(self._sources, block_ns_of(self._options.block_s))
            frames = stack.enter_context(closing(answered_frames(self._work, sourced, jobs)))
            bar = stack.enter_context(tqdm(total=total_count(self._sources), unit='frame', disable=not progress,
                                           dynamic_ncols=True))
            stack.enter_context(_warnings_above(bar))
            path = self._options.bop_csv
            table = stack.enter_context(self._bop_csv(path)) if path else None
            for count, (item, answered) in enumerate(frames, start=1):
                if answered is not None:
                    self._count(item, answered, folder, table)
                bar.set_description(escaped(item.source.path.name), refresh=False)
                bar.update()
                if was_interrupted():
                    LOGGER.warning('interrupted after %d frames; what was measured until then is kept', count)
                    return
        self.is_complete = True

    def circumstances(self) -> dict:
        """What provenance should tell of the measuring itself."""
        options, sources = self._options, self._sources
        return {
            'jobs': options.jobs,
            'tracking': options.track,
            'tracking_options': asdict(options.tracking) if options.track else None,
            'depth_topic': options.source.topics.depth,
            'no_object': options.no_object,
            'painted_over': options.paint,
            'complete': self.is_complete,
            'ground_truth': [account for source in sources for account in _truth_account(source)],
            'warnings': [line for source in sources for line in source.warnings],
            **told_as_provenance(self.methods[options.estimator].guards),
        }

    def summary_inputs(self, baselines: Baselines, about: dict) -> SummaryInputs:
        """What the summary depends on besides the frames."""
        facts = {name: method.metrics.facts for name, method in self.methods.items()}
        return SummaryInputs(facts, baselines, about, self._options.estimator)

    def problem_list(self) -> list[dict]:
        """What was wrong with frames and recordings, for the summary."""
        return self.problems.to_list(
            (source.path.name, line) for source in self._sources for line in source.warnings)

    def _count(self, item: SourcedFrame, answered: AnsweredFrame, folder: RunFolder | None,
               table: BopCsv | None) -> None:
        """Take down the answers of all estimators to a frame."""
        frame, bag = answered.frame, item.source.path.name
        self.problems.look_at(frame, bag, item.number)
        if frame.warning:
            item.source.warn_once(frame.warning)
        if self._options.truth_sigmas and frame.states_truth_covariance:
            item.source.warn_once(OVERRULED)
        for name, method in self.methods.items():
            block = method.metrics.block_of(frame.stamp_ns + item.shift_ns)
            reports = list(method.count(frame, answered.answers[name], item.shift_ns, self._work.no_object))
            if folder:
                for report in reports:
                    folder.append(report, estimator=name, bag=bag, block=block)
                for key, row in method.metrics.take_rows():
                    folder.append_line(frame_line(key, row, estimator=name))
        for name, answer in answered.answers[self._options.estimator].items():
            self._consider_as_worst(item, frame, name, answer)
        if table:
            (answer,) = answered.answers[self._options.estimator].values()
            table.add(
                item.scene, item.number, answer.estimation.poses, answer.perception.numbers['latency_ms'] / 1e3
            )

    def _consider_as_worst(self, item: SourcedFrame, frame: BagFrame, name: str, answer: Answer) -> None:
        """Keep a picture of the frame if an object's pose in it is among the worst."""
        bag = item.source.path.name
        place = f'{bag}, {name}' if name else bag
        error_m = self.methods[self._options.estimator].error(frame, name, answer, item.shift_ns)
        if self._work.paint or frame.reason or not self.worst.wants(frame.stamp_ns, error_m, place):
            return
        if frame.image is None:
            # Answered elsewhere: few of many are worth being decoded again.
            frame = item.undecoded.decode()
        found = f'{1000 * error_m:.1f} mm off' if answer.estimation.poses else answer.perception.reason
        self.worst.consider(of_object(frame, name), answer.estimation, self._work.cards[name].mesh, error_m,
                            f'{place}, {frame.stamp_ns} ns: {found}', place)

    def _bop_csv(self, path: Path) -> BopCsv:
        numbers = [each for source in self._sources if (each := getattr(source, 'object_id', None)) is not None]
        return BopCsv(path, *numbers[:1])


def described_bags(bags: BagDescriptions, is_complete: bool, progress: bool) -> list[dict]:
    """The recordings' descriptions; an interrupted run does not wait for their hashes."""
    if not is_complete:
        bags.stop()
    elif not bags.are_done:
        with tqdm(total=bags.total_bytes, desc='hashing recordings', unit='B', unit_scale=True,
                  disable=not progress) as bar:
            while not bags.are_done:
                bar.update(bags.hashed_bytes - bar.n)
                time.sleep(0.1)
    return bags.result()


def _without_needless(options: EvaluateOptions) -> SourceOptions:
    """The options without the camera's pose in the base frame if it is not needed."""
    if options.planners and options.base_from_camera is None:
        return options.source
    return replace(options.source, topics=replace(options.source.topics, base_frame=None))


def _configuration(options: EvaluateOptions, sources: list[Source]) -> dict:
    """What the results depend on, besides model and recordings."""
    pose = options.base_from_camera
    return {
        'estimator': options.estimator,
        'compared with': list(options.compare_with),
        'threads': options.threads,
        'planner': bool(options.planners),
        'support_height_m': options.scene.support_height_m,
        'base_from_camera': None if pose is None else np.asarray(pose).tolist(),
        'topics': [asdict(source.topics) for source in sources if hasattr(source, 'topics')],
        'ground_truth': str(options.source.ground_truth) if options.source.ground_truth else None,
        'tolerance_ms': options.source.tolerance_ms,
        **({'truth_sigmas': asdict(options.truth_sigmas)} if options.truth_sigmas else {}),
    }


def _truth_account(source: Source) -> list[dict]:
    """How much of a recording's ground truth was matched, for each object; nothing for what has none to match."""
    return [{'bag': source.path.name, **({'object': name} if name else {}), 'images': truths.images,
             'with_truth': truths.matched, 'unused_truths': truths.unused,
             'tolerance_ms': truths.tolerance_ns / 1e6}
            for name, truths in getattr(source, 'truths', {}).items()]


def _warnings_above(bar: tqdm) -> AbstractContextManager:
    """Log lines are printed above a bar that is shown, not into it."""
    return nullcontext() if bar.disable else logging_redirect_tqdm()
