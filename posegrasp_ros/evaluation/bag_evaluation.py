# SPDX-License-Identifier: Apache-2.0
"""Recordings through the estimators, the planner and the metrics that the nodes use, without a ROS graph."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.frame_sources import (
    Source,
    SourcedFrame,
    SourceOptions,
    open_sources,
)
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.frame_answers import AnsweredFrame, Work, Worker, answered_frames
from posegrasp_ros.evaluation.measured_run import MeasuredRun, PreparedRun, written_run
from posegrasp_ros.evaluation.method import MethodUnderTest
from posegrasp_ros.evaluation.run_views import RunViews
from posegrasp_ros.faults.pair_log import PairLog
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics, block_ns_of
from posegrasp_ros.runs.provenance import describe_run

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
    cards = card if isinstance(card, Mapping) else {ONLY: card}
    prepared = prepared_evaluation(paths, cards, options or EvaluateOptions())
    return written_run(prepared, paths, baselines or load_baselines(), out, progress)


def prepared_evaluation(paths: Sequence[str | Path], cards: Mapping[str, ModelCard], options: EvaluateOptions,
                        worker: Worker | None = None,
                        targets: Mapping[str, ErrorTarget] | None = None) -> PreparedRun:
    """What :func:`evaluate_bags` measures.

    :param worker: with the networks, of a process that evaluates one recording after the other; None: to be made
    :param targets: of the objects, likewise
    :raises InvalidInputError: when a recording cannot be read
    """
    work = options.work(cards)
    sources = open_sources(paths, _without_needless(options),
                           {name: each.mesh.diameter for name, each in cards.items()})
    methods = _methods(work, options, targets or error_targets(cards))
    run = MeasuredRun(methods, options.estimator, sources, block_ns_of(options.block_s),
                      {name: each.mesh for name, each in cards.items()}, options.bop_csv, work.no_object,
                      not work.paint, options.truth_sigmas is not None, RunViews(options.viewer_files, {
                          name: planner.gripper for name, planner in options.planners.items()}))

    def answer(frames: Iterator[SourcedFrame]) -> Generator[tuple[SourcedFrame, AnsweredFrame | None], None, None]:
        if worker is None:
            yield from answered_frames(work, frames, options.jobs or 1)
        else:
            yield from ((item, worker.answer(item.undecoded, item.shift_ns)) for item in frames)

    return PreparedRun(run, answer, describe_run(cards, configuration=_configuration(options, sources)),
                       _circumstances(options))


def error_targets(cards: Mapping[str, ModelCard]) -> dict[str, ErrorTarget]:
    """What the errors of each object's poses are measured with."""
    return {name: ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance) for name, card in cards.items()}


def _methods(work: Work, options: EvaluateOptions,
             targets: Mapping[str, ErrorTarget]) -> dict[str, MethodUnderTest]:
    """The estimators by name."""
    checks = {name: work.planners[name].pose_check.holds if name in work.planners else None for name in targets}
    usual = {'onnx': {name: card.calibration.figures for name, card in work.cards.items()}}
    logs = {name: PairLog(target.symmetry, target.diameter_m) for name, target in targets.items()}
    return {name: MethodUnderTest(RunMetrics(targets, block_s=options.block_s, pose_check=checks,
                                             truth_sigmas=options.truth_sigmas), usual.get(name),
                                  logs if name == options.estimator else None)
            for name in work.estimators}


def _circumstances(options: EvaluateOptions) -> dict:
    """What provenance should tell of the measuring itself."""
    return {'jobs': options.jobs, 'tracking': options.track,
            'tracking_options': asdict(options.tracking) if options.track else None,
            'depth_topic': options.source.topics.depth, 'no_object': options.no_object,
            'painted_over': options.paint}


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
