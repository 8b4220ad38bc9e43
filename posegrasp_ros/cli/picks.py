# SPDX-License-Identifier: Apache-2.0
"""``posegrasp picks``: simulated picks, counted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Count, Density, File, Folder, Friction, Gripper, Mass, Seed, option, options
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.cpu import usable_cpus
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER

EXAMPLES = 'Example: posegrasp picks --count 120 --noise-mm 5 10 15 20 --noise-deg 5 10 20'
WITH_MODEL = ('box', 'can')
SIX = (*WITH_MODEL, 'mug', 'plate', 'l_bracket', 'bottle')
DEFAULT_OUT, CPUS = Path('runs/picks'), usable_cpus()
PHYSICS = Parameter(group=Group.create_ordered('Mass and friction, of all objects'))
ERRORS = Parameter(group=Group.create_ordered('Errors of the pose'))


def picks(objects: Annotated[tuple[str, ...], Parameter(help=(
              'model folder, mesh file, box or can (the shipped models), or a name from the mesh family; default: '
              f'{" ".join(SIX)}; with --pose estimate {" ".join(WITH_MODEL)}'))] = (), /, *,
          count: Count = 60,
          seed: Seed = 1,
          min_success: Annotated[float, option('P', option_types.share)] = 0.0,
          gripper: Gripper = DEFAULT_GRIPPER,
          mass: Annotated[Mass, PHYSICS] = None,
          density: Annotated[Density, PHYSICS] = None,
          friction: Annotated[Friction, PHYSICS] = None,
          jobs: Count = CPUS,
          out: Folder = DEFAULT_OUT,
          pose: Annotated[Literal['truth', 'estimate'], ERRORS] = 'truth',
          noise_mm: Annotated[tuple[float, ...], options('MM...', option_types.above_zero), ERRORS] = (),
          noise_deg: Annotated[tuple[float, ...], options('DEG...', option_types.above_zero), ERRORS] = (),
          noise_shape: Annotated[Literal['ball', 'sight'], ERRORS] = 'ball',
          handeye: Annotated[File | None, ERRORS] = None) -> int:
    """Pick in many simulated scenes, without ROS, and count the successes.

    :param count: number of scenes, with the objects in turn
    :param seed: same seed, same scenes and noise
    :param min_success: the planner gives up when it considers success less probable than this
    :param jobs: number of processes; the results do not depend on it
    :param out: run folder
    :param pose: estimate: the pose that the model estimates, compared with the true pose in the same scenes
    :param noise_mm: disturb the position by this much along each axis (standard deviation), each value a separate
        level; with its covariance given to the planner, not given, and ranked by the quality of the grasps alone
    :param noise_deg: the same for the rotation, about each axis
    :param noise_shape: ball: the same along and about all axes; sight: a quarter of it across the line of sight
        and about it, as is typical of cameras
    :param handeye: handeye.yaml of posegrasp handeye: the camera is displaced from its stated pose according to
        the covariance in it, differently in each scene, and the planner is given that covariance
    """
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.grasping.planning.plan import PlannerOptions
    from posegrasp_ros.handeye.calibration_file import load_mounted_camera
    from posegrasp_ros.metrics.pick_metrics import conditions_of
    from posegrasp_ros.report.picks_report import format_picks
    from posegrasp_ros.simulation.pick_objects import load_pick_object
    from posegrasp_ros.simulation.pick_run import measure_picks
    from posegrasp_ros.simulation.picking import PickingRun

    fingers = load_gripper(gripper)
    planning = PlannerOptions(min_success_probability=min_success)
    names = objects or (WITH_MODEL if pose == 'estimate' else SIX)
    # Grasps in model folders are for the default gripper; for any other they are sampled, as for bare meshes.
    own_grasps = gripper == DEFAULT_GRIPPER
    loaded = [load_pick_object(name, fingers, planning, own_grasps) for name in names]
    loaded = [replace(item, physics=item.physics.stated(mass, density, friction)) for item in loaded]
    conditions = conditions_of(pose, [level / 1000 for level in noise_mm],
                               [math.radians(level) for level in noise_deg])
    mount = None if handeye is None else load_mounted_camera(handeye).camera_covariance
    run = PickingRun(loaded, fingers, conditions, seed, noise_shape, mount)
    show(format_picks(measure_picks(run, count, jobs, out)))
    show(f'\nreport: {out / "report.html"}')
    return DONE
