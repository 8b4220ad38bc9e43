"""Grasping, measured: ``picks``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import DONE, command, gripper_option
from posegrasp_ros.grasping.gripper import DEFAULT_GRIPPER
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.cpu import usable_cpus

WITH_MODEL = ('box', 'can')
SIX = (*WITH_MODEL, 'mug', 'plate', 'l_bracket', 'bottle')


def add_picks(commands) -> None:
    """``posegrasp picks``."""
    parser = command(commands, 'picks', _picks, 'pick in many simulated scenes, no ROS needed, and count',
                     'Example: posegrasp picks --count 120 --noise-mm 5 10 15 20 --noise-deg 5 10 20')
    parser.add_argument('objects', nargs='*', metavar='OBJECT',
                        help='model folder, mesh file, box or can (the shipped models), or a name of the mesh '
                             f'family (default: {" ".join(SIX)}; with --pose estimate {" ".join(WITH_MODEL)})')
    parser.add_argument('--count', type=option_types.positive, default=60, help='scenes, the objects in turn')
    parser.add_argument('--seed', type=option_types.seed, default=1, help='same seed, same scenes and noise')
    parser.add_argument('--pose', choices=('truth', 'estimate'), default='truth',
                        help='estimate: what the model says of an image, beside the truth in the same scenes')
    parser.add_argument('--noise-mm', nargs='+', type=option_types.above_zero, default=[], metavar='MM',
                        help='disturb the position by so much along each axis (standard deviation), each '
                             'value a level of its own; with its covariance given to the planner, not given, and '
                             'ranked by the quality of the grasps alone')
    parser.add_argument('--noise-deg', nargs='+', type=option_types.above_zero, default=[], metavar='DEG',
                        help='the same for the rotation, about each axis')
    parser.add_argument('--noise-shape', choices=('ball', 'sight'), default='ball',
                        help='ball: the same along and about all axes; sight: a quarter of it across the line of '
                             'sight, and about it, as cameras err')
    parser.add_argument('--min-success', type=option_types.share, default=0.0, metavar='P',
                        help='the planner gives up where it thinks success less probable than this')
    gripper_option(parser)
    parser.add_argument('--jobs', type=option_types.positive, default=usable_cpus(), metavar='N',
                        help='processes; the results are the same')
    parser.add_argument('--out', type=Path, metavar='DIR', default=Path('runs/picks'), help='run folder')


def _picks(options: argparse.Namespace) -> int:
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.grasping.planning.plan import PlannerOptions
    from posegrasp_ros.metrics.pick_metrics import conditions_of
    from posegrasp_ros.report.picks_report import format_picks
    from posegrasp_ros.simulation.pick_objects import load_pick_object
    from posegrasp_ros.simulation.pick_run import measure_picks
    from posegrasp_ros.simulation.picking import PickingRun

    gripper = load_gripper(options.gripper)
    planning = PlannerOptions(min_success_probability=options.min_success)
    names = options.objects or (WITH_MODEL if options.pose == 'estimate' else SIX)
    # Grasps in model folders are for the default gripper; for any other they are sampled, as for bare meshes.
    own_grasps = options.gripper == DEFAULT_GRIPPER
    objects = [load_pick_object(name, gripper, planning, own_grasps) for name in names]
    conditions = conditions_of(options.pose, [level / 1000 for level in options.noise_mm],
                               [math.radians(level) for level in options.noise_deg])
    run = PickingRun(objects, gripper, conditions, options.seed, options.noise_shape)
    show(format_picks(measure_picks(run, options.count, options.jobs, options.out)))
    show(f'\nreport: {options.out / "report.html"}')
    return DONE
