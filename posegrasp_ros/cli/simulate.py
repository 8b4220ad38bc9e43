"""In simulation: ``demo`` and ``record``."""

from __future__ import annotations

import argparse
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import (
    DONE,
    command,
    estimator_option,
    model_option,
)
from posegrasp_ros.runtime.console import show


def add_demo(commands) -> None:
    """``posegrasp demo``."""
    parser = command(commands, 'demo', _demo, 'pick in simulation, over real ROS topics, and report',
                      'Example: posegrasp demo --picks 50 --seed 4242 --out runs/fifty')
    parser.add_argument('--picks', type=option_types.positive, default=20, help='attempts')
    parser.add_argument('--seed', type=option_types.seed, default=1, help='same seed, same scenes')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='run folder for metrics and report (default: runs/demo-TIME)')
    estimator_option(parser)
    model_option(parser)


def _demo(options: argparse.Namespace) -> int:
    from posegrasp_ros.ros.demo import run_demo

    run_demo(options.picks, options.seed, options.out, options.estimator, options.model)
    return DONE


def add_record(commands) -> None:
    """``posegrasp record``."""
    parser = command(commands, 'record', _record, 'write simulated scenes with ground truth as a rosbag2 folder',
                      'Example: posegrasp record scenes --scenes 200 --seed 777')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to make')
    parser.add_argument('--scenes', type=option_types.positive, default=100, help='one frame each')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='same seed, same scenes')
    parser.add_argument('--size', type=option_types.image_size, default='640x480', help='image size, pixels')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--occlusion', type=option_types.share_range, metavar='LOW:HIGH',
                      help="put something between camera and object that hides such a share of the object's "
                           'pixels, such as 0.3:0.6')
    kind.add_argument('--without-object', action='store_true', help='the same scenes, the object taken away')
    kind.add_argument('--instances', type=option_types.positive, default=1, metavar='K',
                      help='how many of the object are in each scene')
    parser.add_argument('--depth', action='store_true', help='record a depth camera in the same place as well')
    model_option(parser)


def _record(options: argparse.Namespace) -> int:
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.simulation.record import record

    record(options.out, load_model_card(options.model).mesh, options.scenes, options.seed, options.size,
           occlusion=options.occlusion, without_object=options.without_object, instances=options.instances,
           depth=options.depth)
    show(f'{options.scenes} scenes in {options.out}')
    return DONE
