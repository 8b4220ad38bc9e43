"""Whether a cell can work, before anyone trains: ``feasibility``."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import DONE, command, gripper_option, symmetry_options
from posegrasp_ros.grasping.gripper import DEFAULT_GRIPPER
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.cpu import usable_cpus
from posegrasp_ros.runtime.errors import InvalidInputError

EXAMPLE = 'Example: posegrasp feasibility box --size 640x480 --hfov 60 --distance 0.4:0.8 --out runs/feasibility'
# Options of which worth needs all.
BREAK_EVEN = ('picks_per_hour', 'pick_value', 'failure_cost')
# Of an object that is smaller in the image there is nothing to be seen.
LEAST_ACROSS_PX = 4


def add_feasibility(commands) -> None:
    """``posegrasp feasibility``."""
    parser = command(commands, 'feasibility', _feasibility,
                     'whether gripper and camera can do it: accuracy that the grasp needs, accuracy that the '
                     'camera allows, time, worth, and what would change the verdict', EXAMPLE)
    parser.add_argument('object', metavar='MESH',
                        help='mesh file, model folder, box or can (the shipped models), or one of the mesh family')
    gripper_option(parser)
    symmetry_options(parser)
    _camera_options(parser)
    _need_options(parser)
    _calibration_options(parser)
    _break_even_options(parser)
    parser.add_argument('--baselines', type=Path, metavar='FILE',
                        help='baselines file for the derived requirements, which replace earlier derived ones')
    parser.add_argument('--verify', type=option_types.positive, metavar='N',
                        help='check the prediction with N fresh simulated picks at each of five levels of error '
                             '(half a second each)')
    parser.add_argument('--seed', type=option_types.seed, default=1, help='same seed, same picks and views')
    parser.add_argument('--jobs', type=option_types.positive, default=usable_cpus(), metavar='N',
                        help='processes; the results are the same')
    parser.add_argument('--out', type=Path, metavar='DIR', default=Path('runs/feasibility'), help='run folder')


def _camera_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--camera', type=Path, metavar='FILE',
                        help="camera_info as YAML, as ROS's calibration writes it, in place of --size and --hfov")
    parser.add_argument('--size', type=option_types.image_size, default='640x480', help='image size, pixels')
    parser.add_argument('--hfov', type=option_types.field_of_view, metavar='DEG', default=60.0,
                        help='horizontal field of view')
    parser.add_argument('--distance', type=option_types.distance_range, metavar='NEAR:FAR', default='0.4:0.8',
                        help='from the camera to the object, metres')
    parser.add_argument('--pixel-noise', type=option_types.above_zero, metavar='LEVELS', default=2.0,
                        help='standard deviation of a pixel, grey levels of 255')
    parser.add_argument('--depth', action='store_true', help='there is a depth camera too')


def _need_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--wanted', type=option_types.share_inside, metavar='P', default=0.95,
                        help='share of the picks that should lift')
    parser.add_argument('--orientation', choices=('needed', 'free'), default='needed',
                        help='free: it does not matter which way round the object is, only that it is lifted')
    parser.add_argument('--rate', type=option_types.above_zero, metavar='HZ', default=10.0,
                        help='images per second that are to be answered')
    parser.add_argument('--network-ms', type=option_types.above_zero, metavar='MS',
                        help='time from image to pose, in place of measuring the model here (the shipped '
                             'box where the object has no model yet)')


def _calibration_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--efficiency', type=option_types.at_least_one, metavar='TIMES',
                        help='errors of the estimator divided by those of the Cramér-Rao bound (default: as the '
                             "shipped box's)")
    parser.add_argument('--measured', action='store_true',
                        help="measure that of the object's own model, on simulated scenes")
    parser.add_argument('--focal-error', type=option_types.share, metavar='SHARE', default=0.002,
                        help='standard deviation of the calibrated focal length')
    parser.add_argument('--mount-mm', type=option_types.not_negative, metavar='MM', default=1.0,
                        help="standard deviation of the camera's calibrated place (hand-eye), each axis")
    parser.add_argument('--mount-deg', type=option_types.not_negative, metavar='DEG', default=0.2,
                        help='and of its orientation, about each axis')


def _break_even_options(parser: argparse.ArgumentParser) -> None:
    worth = parser.add_argument_group('break-even',
                                      'from which success rate the cell pays; one number or LOW:HIGH, '
                                               'money in any one currency')
    worth.add_argument('--picks-per-hour', type=option_types.value_range, metavar='N', help='of the running cell')
    worth.add_argument('--pick-value', type=option_types.value_range, metavar='MONEY',
                       help='what a pick that lifts earns or saves, running costs taken off')
    worth.add_argument('--failure-cost', type=option_types.value_range, metavar='MONEY',
                       help='what a failed pick costs where a person sees it at once')
    worth.add_argument('--unattended', action='store_true', help='nobody watches: a failure stops the cell')
    worth.add_argument('--stop-minutes', type=option_types.value_range, metavar='MIN', default='10:30',
                       help='how long a cell that nobody watches then stands still')


def _feasibility(options: argparse.Namespace) -> int:
    from posegrasp_ros.feasibility.study import Effort
    from posegrasp_ros.feasibility.study_run import measure_study, write_requirements
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.feasibility_report import format_study

    worth = _break_even(options)
    if options.baselines and options.baselines.exists():
        load_baselines(options.baselines)
    cell, no_grasp_reason = _cell(options)
    effort = Effort(verified=options.verify or 0, seed=options.seed, jobs=options.jobs)
    summary = measure_study(cell, _timing(options, cell), effort, worth, no_grasp_reason, options.out)
    show(format_study(summary))
    if options.baselines:
        write_requirements(options.baselines, summary, options.out)
        show(f'\nrequirements: {options.baselines}')
    show(f'\nreport: {options.out / "report.html"}')
    return DONE


def _cell(options: argparse.Namespace):
    """The cell, and why its gripper has no grasp; empty where it has some."""
    from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
    from posegrasp_ros.feasibility.attainable.fisher import PixelNoise
    from posegrasp_ros.feasibility.attainable.image_information import Imaging
    from posegrasp_ros.feasibility.cell import Cell, Needs
    from posegrasp_ros.grasping.grasp_set import NoGraspError
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.simulation.pick_objects import with_grasps

    gripper, named, camera = load_gripper(options.gripper), _object(options), _camera(options)
    _check_sight(camera, named.mesh, options.distance)
    item, no_grasp_reason = None, ''
    try:
        # Grasps in model folders are for the default gripper; for any other they are sampled.
        item = with_grasps(named, gripper, own_grasps=options.gripper == DEFAULT_GRIPPER)
    except NoGraspError as error:
        no_grasp_reason = str(error)
    measured = _measured_efficiency(options, named)
    cell = Cell(named, item, gripper, camera, options.distance,
                CalibrationErrors(options.focal_error, options.mount_mm / 1000, math.radians(options.mount_deg)),
                _efficiency(options, measured), Imaging(PixelNoise(options.pixel_noise), depth=options.depth),
                Needs(options.wanted, options.orientation == 'needed', options.rate), measured)
    return cell, no_grasp_reason


def _check_sight(camera, mesh, distances_m: tuple[float, float]) -> None:
    """Before minutes are spent: whether there is a picture of the object to speak of."""
    from posegrasp_ros.feasibility.cell import nearest_whole

    near_m, far_m = distances_m
    fitting_m = nearest_whole(camera, mesh.radius)
    if near_m < fitting_m:
        raise InvalidInputError(
            f'--distance: expected the whole object in the image, from {fitting_m:.3g} m of its middle '
                       f'on, got {near_m:g}')
    across_px = 2 * camera.fx * mesh.radius / far_m
    if across_px < LEAST_ACROSS_PX:
        raise InvalidInputError(f'--distance: expected an object of at least {LEAST_ACROSS_PX} pixels across, got '
                       f'{across_px:.2g} from {far_m:g} m')


def _object(options: argparse.Namespace):
    """The object, a mesh with the symmetries that are declared here; a model's card has its own."""
    from posegrasp_ros.geometry.mesh import declared_symmetry
    from posegrasp_ros.simulation.pick_objects import load_object

    named = load_object(options.object)
    if not (options.symmetry_axis or options.symmetry_half_turn):
        return named
    if named.card is not None:
        raise InvalidInputError(
            f'--symmetry-axis, --symmetry-half-turn: expected a mesh, got {options.object}, whose '
                       'model card says it')
    return replace(named, symmetry=declared_symmetry(named.mesh, options.symmetry_axis,
                                                     options.symmetry_half_turn))


def _measured_efficiency(options: argparse.Namespace, named):
    """Of the object's own model where that is asked for, else None."""
    from posegrasp_ros.feasibility.attainable.efficiency import SCENES, measure_efficiency

    if not options.measured:
        return None
    if named.card is None or options.efficiency:
        raise InvalidInputError('--measured: expected an object with a model folder, and no --efficiency')
    with tqdm(total=SCENES, desc='efficiency', unit='scene', disable=None) as bar:
        return measure_efficiency(named.card, seed=options.seed, progress=bar.update)


def _efficiency(options: argparse.Namespace, measured):
    """Times above the bound: stated, measured, else as of the shipped box."""
    from posegrasp_ros.feasibility.attainable.efficiency import DEFAULT_EFFICIENCY, efficiency_at

    if options.efficiency:
        return options.efficiency
    return efficiency_at(options.pixel_noise, measured.factors if measured else DEFAULT_EFFICIENCY)


def _camera(options: argparse.Namespace):
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.camera_info_file import load_camera

    if options.camera:
        camera = load_camera(options.camera)
        return Camera(camera.width, camera.height, camera.matrix)
    return Camera.from_field_of_view(*options.size, math.radians(options.hfov))


def _timing(options: argparse.Namespace, cell):
    """Of the object's own model; before there is one, of the shipped box, whose networks are the same."""
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.feasibility.timing import measure_timing, stated_timing
    from posegrasp_ros.runtime.resources import model_folder

    if options.network_ms:
        return stated_timing(options.network_ms, options.rate)
    card = cell.named.card or load_model_card(model_folder())
    return measure_timing(card, (cell.camera.width, cell.camera.height), options.rate)


def _break_even(options: argparse.Namespace):
    """What the worksheet says; None where nothing was stated."""
    from posegrasp_ros.feasibility.break_even import BreakEven, Business, Range

    stated = [name for name in BREAK_EVEN if getattr(options, name) is not None]
    if not stated:
        return None
    if len(stated) < len(BREAK_EVEN):
        missing = ', '.join(f'--{name.replace("_", "-")}' for name in BREAK_EVEN if name not in stated)
        raise InvalidInputError(f'worth: expected {missing} as well')
    if options.pick_value[0] <= 0:
        raise InvalidInputError(f'--pick-value: expected above 0, got {options.pick_value[0]:g}')
    ranges = (Range(*getattr(options, name)) for name in (*BREAK_EVEN, 'stop_minutes'))
    return BreakEven.draw(Business(*ranges, options.unattended), options.seed)
