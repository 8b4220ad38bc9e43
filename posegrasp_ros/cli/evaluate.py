"""On recordings: ``evaluate``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import (
    DONE,
    GATE_FAILED,
    command,
    estimator_option,
    gripper_option,
    model_option,
    threads_option,
)
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS
from posegrasp_ros.estimation.create import ESTIMATORS, estimator_names
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.interrupt import exit_code


def add_evaluate(commands) -> None:
    """``posegrasp evaluate``."""
    parser = command(commands, 'evaluate', _evaluate, 'replay bags through estimator, planner and metrics',
                      'Example: posegrasp evaluate scenes --out runs/scenes. Needs no ROS.')
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG',
                        help='rosbag2 folder, .mcap or .db3 file (also .zstd), ROS 1 .bag; a BOP dataset, split '
                             'or scene; or a folder of images')
    parser.add_argument('--out', type=Path, metavar='DIR', default=Path('runs/evaluate'),
                        help='run folder for metrics and report')
    estimator_option(parser)
    parser.add_argument('--compare-with', nargs='*', choices=estimator_names(), metavar='ESTIMATOR',
                        help=f'measure these on the same frames too, of {", ".join(ESTIMATORS)} (default: all of '
                             'them; a bare --compare-with at the end: none)')
    gripper_option(parser)
    _source_options(parser)
    parser.add_argument('--track', action='store_true',
                        help='look first where the object was a moment ago; figures of accuracy are without')
    _camera_pose_options(parser)
    parser.add_argument('--no-object', action='store_true',
                        help='the object is in none of the images: the share that has a pose is measured')
    parser.add_argument('--paint-over', action='store_true',
                        help='paint the object over where the ground truth says it is, then as --no-object')
    threads_option(parser)
    parser.add_argument('--jobs', type=option_types.positive, metavar='N',
                        help='processes to share the frames, each with one thread unless --threads says '
                             'otherwise; the results do not depend on how many, time measured under load '
                             'does (default: one, with all threads)')
    parser.add_argument('--block', type=option_types.block, metavar='S', default=1.0,
                        help='frames within so many seconds are one observation to the intervals: as long as a '
                             'scene stays as it is')
    parser.add_argument('--recorded', action='store_true',
                        help='run nothing: measure what the stages said when it was recorded (their '
                             'reports, poses and picks), as the monitor did then')
    parser.add_argument('--bop-csv', type=Path, metavar='FILE',
                        help='write the poses for bop_toolkit: <method>_<dataset>-<split>.csv, the images '
                             'of a bag are numbered from 0')
    parser.add_argument('--baselines', type=Path, metavar='FILE',
                        help='baselines file to compare with, as `posegrasp baseline add` writes it (default: the '
                             'one of the package)')
    parser.add_argument('--require', nargs='+', action='extend', metavar='METRIC=VALUE',
                        type=option_types.requirement,
                        help='needed of this run instead of what the baselines say, such as recall_1cm_5deg=97%% '
                             'or position_error_median=2mm')
    parser.add_argument('--gate', action='store_true',
                        help='exit with 3 when a requirement of the baselines is missed or, for want of '
                             'ground truth or answers, could not be measured, and when a metric is surely '
                             'worse than in a previous run that they hold')
    model_option(parser)


def _source_options(parser: argparse.ArgumentParser) -> None:
    for topic in ('image', 'camera-info', 'pose'):
        parser.add_argument(f'--{topic}-topic', metavar='TOPIC', help='when the guess is wrong'
                            + (', for --recorded' if topic == 'pose' else ''))
    parser.add_argument('--depth-topic', metavar='TOPIC',
                        help='depth registered to the images, 16UC1, 32FC1 or compressedDepth, to refine with '
                             '(default: none)')
    parser.add_argument('--rectified', choices=RECTIFIED, default='auto',
                        help='whether the images are rectified, so that P of camera_info counts, not K and D '
                             '(default: as the names of topic and frame tell, image_rect or image_raw)')
    truth = parser.add_mutually_exclusive_group()
    truth.add_argument('--ground-truth-topic', metavar='TOPIC', help='when the guess is wrong')
    truth.add_argument('--ground-truth-frame', metavar='NAME',
                       help="the object's frame in /tf, in the place of a topic")
    truth.add_argument('--ground-truth', type=Path, metavar='FILE',
                       help='a CSV file with the columns stamp_ns or stamp_s, x, y, z, qx, qy, qz, qw and, '
                            "if it is not the camera's, frame_id; or a trajectory of TUM or EuRoC")
    parser.add_argument('--match-tolerance', type=option_types.not_negative, metavar='MS', default=TOLERANCE_MS,
                        help='how far the stamps of image and ground truth may lie apart, milliseconds')
    parser.add_argument('--hfov', type=option_types.field_of_view, metavar='DEG', default=60.0,
                        help='horizontal field of view of the camera, for folders of images')
    parser.add_argument('--bop-object', type=int, metavar='ID',
                        help='number of the object in a BOP dataset (default: the only one)')
    parser.add_argument('--bop-sensor', metavar='NAME',
                        help='of a BOP dataset with several sensors, such as cam1 for scene_camera_cam1.json '
                             '(default: the one that the benchmark evaluates)')


def _camera_pose_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--base-frame', metavar='NAME', default='base',
                        help="the robot's frame, z up: grasps are planned in it, /tf tells where the camera is")
    parser.add_argument('--base-from-camera', nargs=7, type=option_types.finite,
                        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
                        help='pose of a camera that does not move, metres (default: what /tf says)')
    parser.add_argument('--support-height', type=option_types.finite, metavar='M', default=0.0,
                        help='z of the plane that the object stands on, in the base frame, metres')


def _evaluate(options: argparse.Namespace) -> int:
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.run_report import format_table

    card, baselines = load_model_card(options.model), load_baselines(options.baselines)
    for metric, value in options.require or ():
        baselines = baselines.with_requirement(metric, value)
    if options.recorded:
        from posegrasp_ros.evaluation.recorded import evaluate_recorded

        planner = _planner(card, options)
        summary = evaluate_recorded(options.bags, card, _recorded_topics(options), baselines, options.out,
                                    planner.pose_check.holds if planner else None, options.block)
    else:
        summary = evaluate_bags(options.bags, card, _options(card, options), baselines, options.out)
    show(format_table(summary))
    show(f'\nreport: {options.out / "report.html"}')
    if not summary['provenance']['complete']:
        return exit_code()
    return _gate(summary, baselines) if options.gate else DONE


def _options(card, options: argparse.Namespace):
    """How to evaluate."""
    from posegrasp_ros.evaluation.bag_evaluation import EvaluateOptions
    from posegrasp_ros.grasping.planning.planning_scene import Scene

    base_from_camera = _base_from_camera(options)  # what may be refused comes before what takes seconds
    return EvaluateOptions(
        estimator=options.estimator,
        compare_with=ESTIMATORS if options.compare_with is None else options.compare_with,
        planner=_planner(card, options), scene=Scene(options.support_height),
        base_from_camera=base_from_camera, source=_source(options), threads=options.threads,
        jobs=options.jobs, no_object=options.no_object, paint=options.paint_over, track=options.track,
        block_s=options.block, bop_csv=options.bop_csv)


def _source(options: argparse.Namespace):
    """How the recordings are read."""
    from posegrasp_ros.datasets.bag_topics import BagTopics
    from posegrasp_ros.datasets.frame_sources import SourceOptions

    topics = BagTopics(options.image_topic, options.camera_info_topic, options.ground_truth_topic,
                       options.base_frame, options.depth_topic, options.ground_truth_frame, options.rectified)
    return SourceOptions(topics, options.ground_truth, options.match_tolerance, math.radians(options.hfov),
                         options.bop_object, options.bop_sensor)


def _recorded_topics(options: argparse.Namespace):
    """Which topics of the stages to read."""
    from posegrasp_ros.evaluation.recorded import RecordedTopics

    return RecordedTopics(options.pose_topic, options.camera_info_topic, options.ground_truth_topic)


def _base_from_camera(options: argparse.Namespace):
    if not options.base_from_camera:
        return None
    return option_types.transform('--base-from-camera', options.base_from_camera)


def _gate(summary: dict, baselines) -> int:
    """Say what holds and what does not."""
    from posegrasp_ros.metrics.baselines.gate import check_gate

    results = check_gate(summary['metrics'], baselines)
    for result in results:
        remark(f'gate: {"held" if result.held else "MISSED"}: {result.text}')
    return DONE if all(result.held for result in results) else GATE_FAILED


def _planner(card, options: argparse.Namespace):
    """The planner for the model's grasps; None, said aloud, for a model without any."""
    from posegrasp_ros.grasping.grasp_set import load_grasps
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.grasping.planning.planner import GraspPlanner

    if not card.has_grasps:
        remark(f'posegrasp: {card.grasps_path}: no grasps; poses are measured, grasps are not')
        return None
    gripper = load_gripper(options.gripper)
    grasps = load_grasps(card.grasps_path, gripper, card.mesh)
    return GraspPlanner(gripper, grasps, symmetry=card.symmetry, mesh=card.mesh)
