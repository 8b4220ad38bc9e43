# SPDX-License-Identifier: Apache-2.0
"""``posegrasp evaluate``: evaluates recordings."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.fleet import FLEET, Fleet, evaluate_shard, is_fleet
from posegrasp_ros.cli.judged_poses import POSE_SOURCES, PoseSources, judge, judge_method
from posegrasp_ros.cli.options import (
    Count,
    Estimator,
    File,
    Frame,
    Gripper,
    Models,
    Threads,
    Topic,
    exclusive,
    option,
    option_group,
    options,
)
from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.estimation.create import ESTIMATORS
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE, GATE_FAILED
from posegrasp_ros.runtime.interrupt import exit_code
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER, DEFAULT_MODEL

if TYPE_CHECKING:  # commands import in their bodies
    from collections.abc import Mapping

    import numpy as np

    from posegrasp_ros.datasets.frame_sources import SourceOptions
    from posegrasp_ros.estimation.model_card import ModelCard
    from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
    from posegrasp_ros.fleet.bag_method import BagMethod
    from posegrasp_ros.geometry.true_pose import TruthSigmas
    from posegrasp_ros.grasping.planning.planner import GraspPlanner
    from posegrasp_ros.metrics.baselines.baselines import Baselines

Cards: TypeAlias = 'Mapping[str, ModelCard]'
EXAMPLES = """Examples:
  posegrasp evaluate scenes --out runs/scenes
  posegrasp evaluate 's3://bucket/day=*/**/*.mcap' --shard 3/200 --out s3://bucket/results

Does not need ROS. Exit code 1: some recordings of a fleet failed; they are named."""
POSE_METAVAR = 'X Y Z QX QY QZ QW'
Pose = tuple[float, float, float, float, float, float, float]


@option_group(Group.create_ordered('Method'))
@dataclass(frozen=True)
class Method:
    """What estimates and plans.

    :param track: follow objects from frame to frame without the networks, like the node's parameter tracking
    :param correction_hz: with --track: how often the networks check an object that is followed
    :param give_up_s: with --track: how long an unseen object counts as lost before it counts as absent, and how
        long an object is followed that the networks do not see
    :param jobs: processes that share the frames, each with one thread unless --threads says otherwise; the results
        do not depend on the number, but times measured under load do; default: one, with all threads
    """

    model: Models = ()
    estimator: Estimator = 'onnx'
    compare_with: Annotated[
        tuple[str, ...] | None, options('ESTIMATOR...', option_types.estimator, at_least=0, help=(
            'also measure these on the same frames, any of those of --estimator; default: all of the package; '
            'a bare --compare-with: none'))] = None
    gripper: Gripper = DEFAULT_GRIPPER
    track: bool = False
    correction_hz: Annotated[float, option('HZ', option_types.correction_hz)] = TrackingOptions.correction_hz
    give_up_s: Annotated[float, option('S', option_types.give_up_s)] = TrackingOptions.give_up_s
    threads: Threads = None
    jobs: Count | None = None


@option_group(Group.create_ordered('What is measured'))
@dataclass(frozen=True)
class Measured:
    """What is measured.

    :param no_object: the object is in none of the images: measure the share that has a pose
    :param paint_over: paint over the object where the ground truth says it is, then as --no-object
    :param recorded: run no estimator: measure what the stages published at the time of recording (their reports,
        poses and picks), as the monitor did then
    :param block: frames within this many seconds count as one observation for the intervals: as long as a scene
        stays unchanged
    """

    no_object: bool = False
    paint_over: bool = False
    recorded: bool = False
    block: Annotated[float, option('S', option_types.block)] = 1.0


@option_group(Group.create_ordered('Recordings'))
@dataclass(frozen=True)
class Recordings:
    """How the recordings are read.

    :param image_topic: topic of the images, if the guess is wrong
    :param camera_info_topic: topic of their camera_info, if the guess is wrong
    :param depth_topic: depth registered to the images, 16UC1, 32FC1 or compressedDepth, used for refinement;
        default: none
    :param rectified: whether the images are rectified, so that P of camera_info is used instead of K and D; auto:
        from the names of topic and frame, image_rect or image_raw
    :param camera: for folders of images: calibration as written by camera_calibration or by
        `ros2 topic echo --once` of camera_info
    :param hfov: for folders of images: horizontal field of view of the camera if there is no calibration
    :param bop_object: number of the object in a BOP dataset; default: the only one
    :param bop_sensor: of a BOP dataset with several sensors, such as cam1 for scene_camera_cam1.json; default: the
        one used by the benchmark
    """

    image_topic: Topic | None = None
    camera_info_topic: Topic | None = None
    depth_topic: Topic | None = None
    rectified: Literal['auto', 'yes', 'no'] = 'auto'
    camera: File | None = None
    hfov: Annotated[float, option('DEG', option_types.field_of_view)] = 60.0
    bop_object: Annotated[int | None, option('ID', option_types.whole)] = None
    bop_sensor: Annotated[str | None, option('NAME')] = None


TRUTH = Group.create_ordered('Ground truth')
ONE_TRUTH = Parameter(group=exclusive(TRUTH))


@option_group(TRUTH)
@dataclass(frozen=True)
class Truth:
    """Where the ground truth comes from.

    :param ground_truth_topic: topic of the object's true poses, if the guess is wrong
    :param ground_truth_frame: the object's frame in /tf, in place of a topic
    :param ground_truth: a CSV file with the columns stamp_ns or stamp_s, x, y, z, qx, qy, qz, qw and, if it is not
        the camera's, frame_id, and, where its covariance is known, cov_0_0, cov_0_1, ..., cov_5_5 (row_column,
        upper triangle; m, rad); or a trajectory in TUM or EuRoC format
    :param match_tolerance: how far apart the stamps of image and ground truth may be, milliseconds
    :param truth_sigma_mm: standard deviations of the ground truth: across x, across y, along the line of sight
        from the camera to the object, or one number for all three; overrides covariances that come with it; 0
        if only --truth-sigma-deg is given
    :param truth_sigma_deg: the same for its rotation about these axes; 0 if only --truth-sigma-mm is given
    """

    ground_truth_topic: Annotated[Topic | None, ONE_TRUTH] = None
    ground_truth_frame: Annotated[Frame | None, ONE_TRUTH] = None
    ground_truth: Annotated[File | None, ONE_TRUTH] = None
    match_tolerance: Annotated[float, option('MS', option_types.not_negative)] = 5.0
    truth_sigma_mm: Annotated[tuple[float, ...], options('MM...', option_types.not_negative)] = ()
    truth_sigma_deg: Annotated[tuple[float, ...], options('DEG...', option_types.not_negative)] = ()


@option_group(Group.create_ordered('Camera and robot'))
@dataclass(frozen=True)
class Robot:
    """Where the camera is.

    :param base_frame: the robot's frame, z up: grasps are planned in it, /tf gives the camera's pose in it
    :param base_from_camera: pose of a fixed camera, metres; default: from /tf
    :param support_height: z of the plane that the object stands on, in the base frame, metres
    """

    base_frame: Frame = BASE_FRAME
    base_from_camera: Annotated[Pose | None, options(POSE_METAVAR, option_types.finite, n_tokens=7,
                                                     consume_multiple=False)] = None
    support_height: Annotated[float, option('M', option_types.finite)] = 0.0


@option_group(Group.create_ordered('Results and gate'))
@dataclass(frozen=True)
class Results:
    """What is written and compared.

    :param out: run folder for metrics and report; one that already holds a run is refused; for a fleet, folder of
        results; default: runs/evaluate, with a number if that holds a run
    :param replace: replace the run in --out, and files for viewers
    :param bop_csv: write the poses for bop_toolkit: <method>_<dataset>-<split>.csv; the images of a bag are
        numbered from 0
    :param mcap: write images, poses with truth and uncertainty, grasps and errors for Foxglove
    :param rerun: the same for Rerun; needs rerun-sdk
    :param baselines: baselines file to compare with, as written by `posegrasp baseline add`; default: that of the
        package
    :param require: requirements for this run in place of those of the baselines, such as recall_1cm_5deg=97% or
        position_error_median=2mm
    :param gate: exit with 3 when a requirement of the baselines is missed or, for lack of ground truth or answers,
        could not be measured, and when a metric is significantly worse than in a previous run recorded there
    :param mlflow: also send the finished run to this MLflow tracking server or store, such as
        http://localhost:5000 or file:mlruns; needs mlflow-skinny or mlflow
    :param verbose: also print all tables of the report
    """

    out: Annotated[str | None, option('DIR|URL')] = None
    replace: bool = False
    bop_csv: File | None = None
    mcap: Annotated[Path | None, option('FILE.mcap')] = None
    rerun: Annotated[Path | None, option('FILE.rrd')] = None
    baselines: File | None = None
    require: Annotated[tuple[tuple[str, float], ...], options('METRIC=VALUE...', option_types.requirement)] = ()
    gate: bool = False
    mlflow: Annotated[str | None, option('URI')] = None
    verbose: Annotated[bool, Parameter(alias='-v')] = False


DEFAULT_OUT = 'runs/evaluate'
METHOD, MEASURED, RECORDINGS, TRUTH_SOURCE, ROBOT, RESULTS = (
    Method(), Measured(), Recordings(), Truth(), Robot(), Results())


def evaluate(bags: list[str], /, *, method: Method = METHOD, measured: Measured = MEASURED,
             recordings: Recordings = RECORDINGS, poses: PoseSources = POSE_SOURCES, truth: Truth = TRUTH_SOURCE,
             robot: Robot = ROBOT, results: Results = RESULTS, fleet: Fleet = FLEET) -> int:
    """Replay bags through estimator, planner and metrics.

    :param bags: rosbag2 folder, .mcap or .db3 file (also .zstd), ROS 1 .bag; a BOP dataset, split or scene; or a
        folder of images; for a fleet also URLs, and patterns in quotes with ``*`` and ``**``
    """
    if is_fleet(bags, results.out or DEFAULT_OUT, fleet):
        fleet_method = _fleet_method(method, measured, recordings, poses, truth, robot, results)
        return evaluate_shard(bags, fleet_method, results.out or DEFAULT_OUT, fleet, method.jobs or 1)
    from posegrasp_ros.estimation.model_set import load_model_set
    from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
    from posegrasp_ros.evaluation.source_evaluation import JudgeOptions
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.run_report import format_brief, format_table
    from posegrasp_ros.runs.mlflow_export import require_mlflow, send_run
    from posegrasp_ros.viewer_files.viewer_files import ViewerFiles

    if results.mlflow is not None:
        require_mlflow()
    paths, out = [Path(bag) for bag in bags], _run_folder(results)
    viewer_files = ViewerFiles(results.mcap, results.rerun, results.replace)
    viewer_files.check(paths)
    baselines = load_baselines(results.baselines)
    for metric, value in results.require:
        baselines = baselines.with_requirement(metric, value)
    sigmas = truth_sigmas(truth)
    if poses.are_foreign:
        if not measured.recorded:
            raise InvalidInputError(f'{poses.given}: expected with --recorded, found none')
        summary = judge(paths, method.model, poses, JudgeOptions(
            source_options(recordings, truth, robot), measured.block, sigmas, measured.no_object, results.bop_csv,
            viewer_files=viewer_files), baselines, out)
    elif measured.recorded:
        from posegrasp_ros.evaluation.recorded import RecordedTopics, evaluate_recorded

        if viewer_files.paths:
            raise InvalidInputError('--mcap, --rerun: with --recorded expected with --pose-topic, --pose-frame or '
                                    '--pose-csv, found none')
        cards = load_model_set(method.model or (Path(DEFAULT_MODEL),))
        planners = _planners(cards, method.gripper)
        checks = {name: planners[name].pose_check.holds if name in planners else None for name in cards}
        topics = RecordedTopics(None, recordings.camera_info_topic, truth.ground_truth_topic)
        summary = evaluate_recorded(paths, cards, topics, baselines, out, checks, measured.block,
                                    truth_sigmas=sigmas)
    else:
        cards = load_model_set(method.model or (Path(DEFAULT_MODEL),))
        source = source_options(recordings, truth, robot)
        how = replace(_how(cards, method, measured, source, robot, results.bop_csv), truth_sigmas=sigmas,
                      viewer_files=viewer_files)
        summary = evaluate_bags(paths, cards, how, baselines, out)
    show(format_table(summary) if results.verbose else format_brief(summary))
    show(f'\nreport: {out / "report.html"}')
    for path in viewer_files.paths:
        show(f'for viewers: {path}')
    if not summary['provenance']['complete']:
        return exit_code()
    if results.mlflow is not None and (sent := send_run(out, summary, results.mlflow)):
        show(f'mlflow run: {sent}')
    return _gate(summary, baselines) if results.gate else DONE


def _fleet_method(method: Method, measured: Measured, recordings: Recordings, poses: PoseSources, truth: Truth,
                  robot: Robot, results: Results) -> BagMethod:
    """How a fleet's recordings are evaluated.

    :raises InvalidInputError: when an option is for a single run
    """
    from posegrasp_ros.evaluation.source_evaluation import JudgeOptions
    from posegrasp_ros.fleet.bag_method import EstimatorMethod

    single = {'--ground-truth': truth.ground_truth, '--bop-csv': results.bop_csv, '--pose-csv': poses.pose_csv,
              '--mcap': results.mcap, '--rerun': results.rerun, '--gate': results.gate,
              '--replace': results.replace, '--baselines': results.baselines, '--require': results.require}
    if given := [name for name, value in single.items() if value]:
        hint = ': give it to posegrasp merge' if given[0] in ('--baselines', '--require') else ''
        raise InvalidInputError(f'{given[0]}: expected with recordings of a single run, found a fleet{hint}')
    sigmas = truth_sigmas(truth)
    source = source_options(recordings, truth, robot)
    if poses.are_foreign:
        if not measured.recorded:
            raise InvalidInputError(f'{poses.given}: expected with --recorded, found none')
        return judge_method(method.model, poses, JudgeOptions(source, measured.block, sigmas, measured.no_object))
    if measured.recorded:
        raise InvalidInputError('--recorded: of a fleet expected with --pose-topic or --pose-frame, found neither')
    models = tuple(str(model) for model in method.model or (Path(DEFAULT_MODEL),))
    options = replace(_how({}, method, measured, source, robot, None), truth_sigmas=sigmas, planner=None, jobs=1)
    return EstimatorMethod(models, options, method.gripper)


def _how(cards: Cards, method: Method, measured: Measured, source: SourceOptions, robot: Robot,
         bop_csv: Path | None) -> EvaluateOptions:
    """How to evaluate."""
    from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
    from posegrasp_ros.grasping.planning.planning_scene import Scene

    base_from_camera = _base_from_camera(robot)  # what may be refused comes before what takes seconds
    tracking = TrackingOptions(method.correction_hz, method.give_up_s)
    if tracking != TrackingOptions() and not method.track:
        raise InvalidInputError('--correction-hz, --give-up-s: expected with --track, found none')
    return EvaluateOptions(
        estimator=method.estimator,
        compare_with=ESTIMATORS if method.compare_with is None else method.compare_with,
        planner=_planners(cards, method.gripper), scene=Scene(robot.support_height),
        base_from_camera=base_from_camera,
        source=source, threads=method.threads, jobs=method.jobs, no_object=measured.no_object,
        paint=measured.paint_over, track=method.track, tracking=tracking, block_s=measured.block, bop_csv=bop_csv)


def _run_folder(results: Results) -> Path:
    """The folder to write to, of no other run.

    :raises InvalidInputError: when the one that is asked for holds a run
    """
    from posegrasp_ros.runs.folder import holds_run

    out = Path(results.out or DEFAULT_OUT)
    if results.replace or not holds_run(out):
        return out
    if results.out is not None:
        raise InvalidInputError(f'--out: {out}: expected a folder without a run, found one: name another folder, '
                                'or --replace it')
    return next(each for number in itertools.count(2) if not holds_run(each := Path(f'{DEFAULT_OUT}-{number}')))


def source_options(recordings: Recordings, truth: Truth, robot: Robot) -> SourceOptions:
    """How the recordings are read."""
    from posegrasp_ros.datasets.bag_topics import BagTopics
    from posegrasp_ros.datasets.frame_sources import SourceOptions
    from posegrasp_ros.sensing.image_camera import ImageCamera

    topics = BagTopics(recordings.image_topic, recordings.camera_info_topic, truth.ground_truth_topic,
                       robot.base_frame, recordings.depth_topic, truth.ground_truth_frame, recordings.rectified)
    camera = ImageCamera(recordings.camera, math.radians(recordings.hfov))
    return SourceOptions(topics, truth.ground_truth, truth.match_tolerance, camera, recordings.bop_object,
                         recordings.bop_sensor)


def truth_sigmas(truth: Truth) -> TruthSigmas | None:
    """How exact the ground truth is, where that is stated."""
    from posegrasp_ros.geometry.true_pose import TruthSigmas

    sigmas = TruthSigmas.stated(truth.truth_sigma_mm, truth.truth_sigma_deg)
    if sigmas and not (truth.truth_sigma_mm and truth.truth_sigma_deg):
        given, other = ('mm', 'rotation') if truth.truth_sigma_mm else ('deg', 'position')
        remark(f'posegrasp: --truth-sigma-{given} alone: the {other} of the ground truth counts as exact')
    return sigmas


def _base_from_camera(robot: Robot) -> np.ndarray | None:
    if not robot.base_from_camera:
        return None
    return option_types.transform('--base-from-camera', robot.base_from_camera)


def _gate(summary: dict, baselines: Baselines) -> int:
    """Say what holds and what does not, of each of several objects too."""
    from posegrasp_ros.metrics.baselines.gate import check_gate

    parts = {'': summary, **{f'{name}: ': part for name, part in summary.get('objects', {}).items()}}
    results = [(of, result) for of, part in parts.items() for result in check_gate(part['metrics'], baselines)]
    for of, result in results:
        remark(f'gate: {"held" if result.held else "MISSED"}: {of}{result.text}')
    return DONE if all(result.held for _, result in results) else GATE_FAILED


def _planners(cards: Cards, gripper: str) -> dict[str, GraspPlanner]:
    """By object the planner for its model's grasps; without those, with a remark, that have none."""
    from posegrasp_ros.grasping.grasp_set import load_grasps
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.grasping.planning.planner import GraspPlanner

    planners, fingers = {}, load_gripper(gripper)
    for name, card in cards.items():
        if card.has_grasps:
            grasps = load_grasps(card.grasps_path, fingers, card.mesh)
            planners[name] = GraspPlanner(fingers, grasps, symmetry=card.symmetry, mesh=card.mesh)
        else:
            remark(f'posegrasp: {card.grasps_path}: no grasps; poses are measured, grasps are not')
    return planners
