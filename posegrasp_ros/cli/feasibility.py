# SPDX-License-Identifier: Apache-2.0
"""``posegrasp feasibility``: whether a picking cell is feasible, before training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import (
    Count,
    Density,
    File,
    Folder,
    Friction,
    Gripper,
    Mass,
    Seed,
    Size,
    SymmetryAxis,
    SymmetryHalfTurns,
    option,
    option_group,
)
from posegrasp_ros.feasibility.archetype import ARCHETYPES, DEFAULT_SUCCESS, Kind
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.cpu import usable_cpus
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER

if TYPE_CHECKING:  # slow to import
    import numpy as np

    from posegrasp_ros.feasibility.attainable.efficiency import Efficiency
    from posegrasp_ros.feasibility.break_even import BreakEven
    from posegrasp_ros.feasibility.cell import Cell
    from posegrasp_ros.feasibility.timing import Timing
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.mesh import Mesh
    from posegrasp_ros.simulation.pick_objects import NamedObject

EXAMPLES = 'Example: posegrasp feasibility box --size 640x480 --hfov 60 --distance 0.4:0.8 --out runs/feasibility'
# Of an object that is smaller in the image there is nothing to be seen.
LEAST_ACROSS_PX = 4
DEFAULT_OUT, CPUS = Path('runs/feasibility'), usable_cpus()
ValueRange = tuple[float, float]
Money = Annotated[ValueRange | None, option('MONEY', option_types.value_range)]


def _shown_range(value: ValueRange) -> str:
    return f'{value[0]:g}:{value[1]:g}'


@option_group(Group.create_ordered('Object and gripper'))
@dataclass(frozen=True)
class Item:
    """What is picked, and with what."""

    gripper: Gripper = DEFAULT_GRIPPER
    mass: Mass = None
    density: Density = None
    friction: Friction = None
    symmetry_axis: SymmetryAxis = None
    symmetry_half_turn: SymmetryHalfTurns = ()


@option_group(Group.create_ordered('Camera'))
@dataclass(frozen=True)
class CameraOptions:
    """The camera, and how it sees the object.

    :param camera: camera_info as YAML, as written by ROS camera calibration, in place of --size and --hfov
    :param size: image size, pixels
    :param hfov: horizontal field of view
    :param distance: from the camera to the object, metres
    :param pixel_noise: standard deviation of a pixel, grey levels of 255
    :param depth: there is also a depth camera
    """

    camera: File | None = None
    size: Size = (640, 480)
    hfov: Annotated[float, option('DEG', option_types.field_of_view)] = 60.0
    distance: Annotated[ValueRange, option('NEAR:FAR', option_types.distance_range, show_default=_shown_range)] = (
        0.4, 0.8)
    pixel_noise: Annotated[float, option('LEVELS', option_types.above_zero)] = 2.0
    depth: bool = False


@option_group(Group.create_ordered('Needs'))
@dataclass(frozen=True)
class NeedOptions:
    """What the cell has to achieve.

    :param archetype: kind of project: an existing process is improved, a person is assisted (augment), or nobody
        is in the loop (automate); it sets the required success and the gates of posegrasp status
    :param wanted: share of the picks that should lift; default: 0.95, or that of the archetype
    :param orientation: free: the object's orientation does not matter, only that it is lifted
    :param rate: images per second to be processed
    :param network_ms: time from image to pose, instead of measuring the model here (the shipped box if the object
        has no model yet)
    """

    archetype: Kind | None = None
    wanted: Annotated[float | None, option('P', option_types.share_inside)] = None
    orientation: Literal['needed', 'free'] = 'needed'
    rate: Annotated[float, option('HZ', option_types.above_zero)] = 10.0
    network_ms: Annotated[float | None, option('MS', option_types.above_zero)] = None


@option_group(Group.create_ordered('Estimator and calibration'))
@dataclass(frozen=True)
class CalibrationOptions:
    """How well the estimator and the calibration do.

    :param efficiency: errors of the estimator divided by those of the Cramér-Rao bound; default: that of the
        shipped box
    :param measured: measure that of the object's own model on simulated scenes
    :param focal_error: standard deviation of the calibrated focal length
    :param mount_mm: standard deviation of the camera's calibrated position (hand-eye), along each axis
    :param mount_deg: standard deviation of its orientation, about each axis
    :param handeye: handeye.yaml of posegrasp handeye, which states both
    """

    efficiency: Annotated[float | None, option('TIMES', option_types.at_least_one)] = None
    measured: bool = False
    focal_error: Annotated[float, option('SHARE', option_types.share)] = 0.002
    mount_mm: Annotated[float, option('MM', option_types.not_negative)] = 1.0
    mount_deg: Annotated[float, option('DEG', option_types.not_negative)] = 0.2
    handeye: File | None = None


@option_group(Group.create_ordered(
    'Break-even', 'The success rate above which the cell pays off: one number or LOW:HIGH, money in any one '
                  'currency.'))
@dataclass(frozen=True)
class BreakEvenOptions:
    """What the cell earns and costs.

    :param picks_per_hour: picks per hour of the running cell
    :param pick_value: what a successful pick earns or saves, net of running costs
    :param failure_cost: what a failed pick costs if a person sees it at once
    :param unattended: no operator watches: a failure stops the cell
    :param stop_minutes: how long an unattended cell is then stopped
    """

    picks_per_hour: Annotated[ValueRange | None, option('N', option_types.value_range)] = None
    pick_value: Money = None
    failure_cost: Money = None
    unattended: bool = False
    stop_minutes: Annotated[ValueRange, option('MIN', option_types.value_range, show_default=_shown_range)] = (
        10.0, 30.0)


ITEM, CAMERA, NEEDS = Item(), CameraOptions(), NeedOptions()
CALIBRATION, BREAK_EVEN_DEFAULTS = CalibrationOptions(), BreakEvenOptions()


def feasibility(mesh: str, /, *,
                item: Item = ITEM,
                camera: CameraOptions = CAMERA,
                needs: NeedOptions = NEEDS,
                calibration: CalibrationOptions = CALIBRATION,
                break_even: BreakEvenOptions = BREAK_EVEN_DEFAULTS,
                baselines: File | None = None,
                verify: Count | None = None,
                seed: Seed = 1,
                jobs: Count = CPUS,
                out: Folder = DEFAULT_OUT) -> int:
    """Check whether gripper and camera can do it: the accuracy the grasp needs, the accuracy the camera allows,
    time, break-even, and what would change the verdict.

    :param mesh: mesh file, model folder, box or can (the shipped models), or a name from the mesh family
    :param baselines: baselines file for the derived requirements, which replace earlier derived ones
    :param verify: check the prediction with N fresh simulated picks at each of five error levels (half a second
        each)
    :param seed: same seed, same picks and views
    :param jobs: number of processes; the results do not depend on it
    :param out: run folder
    """
    from posegrasp_ros.feasibility.study import Effort
    from posegrasp_ros.feasibility.study_run import measure_study, write_requirements
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.feasibility_report import format_study

    drawn = _break_even(break_even, seed)
    if baselines and baselines.exists():
        load_baselines(baselines)
    cell, no_grasp_reason = _cell(_object(mesh, item), item.gripper, camera, needs, calibration, seed)
    effort = Effort(verified=verify or 0, seed=seed, jobs=jobs)
    summary = measure_study(cell, _timing(needs, cell), effort, drawn, no_grasp_reason, out)
    show(format_study(summary))
    if baselines:
        write_requirements(baselines, summary, out)
        show(f'\nrequirements: {baselines}')
    show(f'\nreport: {out / "report.html"}')
    return DONE


def _mount_errors(calibration: CalibrationOptions) -> tuple[float, float]:
    """Standard deviations of the camera's place, metres, and orientation, radians."""
    stated = calibration.mount_mm, calibration.mount_deg
    if calibration.handeye is None:
        return stated[0] / 1000, math.radians(stated[1])
    from posegrasp_ros.handeye.calibration_file import load_mounted_camera

    if stated != (CALIBRATION.mount_mm, CALIBRATION.mount_deg):
        raise InvalidInputError('--handeye: expected without --mount-mm and --mount-deg: both state how '
                                'accurately the camera is mounted')
    return load_mounted_camera(calibration.handeye).sigmas


def _cell(named: NamedObject, gripper_name: str, camera_options: CameraOptions, needs: NeedOptions,
          calibration: CalibrationOptions, seed: int) -> tuple[Cell, str]:
    """The cell, and why its gripper has no grasp; empty where it has some."""
    from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
    from posegrasp_ros.feasibility.attainable.fisher import PixelNoise
    from posegrasp_ros.feasibility.attainable.image_information import Imaging
    from posegrasp_ros.feasibility.cell import Cell, Needs
    from posegrasp_ros.grasping.grasp_set import NoGraspError
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.simulation.pick_objects import with_grasps

    gripper, camera = load_gripper(gripper_name), _camera(camera_options)
    _check_sight(camera, named.mesh, camera_options.distance)
    item, no_grasp_reason = None, ''
    try:
        # Grasps in model folders are for the default gripper; for any other they are sampled.
        item = with_grasps(named, gripper, own_grasps=gripper_name == DEFAULT_GRIPPER)
    except NoGraspError as error:
        no_grasp_reason = str(error)
    measured = _measured_efficiency(calibration, named, seed)
    noise = camera_options.pixel_noise
    cell = Cell(named, item, gripper, camera, camera_options.distance,
                CalibrationErrors(calibration.focal_error, *_mount_errors(calibration)),
                _efficiency(calibration, noise, measured), Imaging(PixelNoise(noise), depth=camera_options.depth),
                Needs(_wanted(needs), needs.orientation == 'needed', needs.rate, needs.archetype), measured)
    return cell, no_grasp_reason


def _wanted(needs: NeedOptions) -> float:
    """Share of the picks that should lift: stated, else as the archetype asks."""
    if needs.wanted is not None:
        return needs.wanted
    return ARCHETYPES[needs.archetype].success if needs.archetype else DEFAULT_SUCCESS


def _check_sight(camera: Camera, mesh: Mesh, distances_m: tuple[float, float]) -> None:
    """Before minutes are spent: whether there is a picture of the object to speak of."""
    from posegrasp_ros.feasibility.cell import nearest_whole

    near_m, far_m = distances_m
    fitting_m = nearest_whole(camera, mesh.radius)
    if near_m < fitting_m:
        raise InvalidInputError(
            f'--distance: expected the whole object in the image, so at least {fitting_m:.3g} m to its centre, '
            f'got {near_m:g}')
    across_px = 2 * camera.fx * mesh.radius / far_m
    if across_px < LEAST_ACROSS_PX:
        raise InvalidInputError(f'--distance: expected an object of at least {LEAST_ACROSS_PX} pixels across, got '
                       f'{across_px:.2g} from {far_m:g} m')


def _object(mesh: str, item: Item) -> NamedObject:
    """The object, a mesh with the symmetries that are declared here; a model's card has its own."""
    from posegrasp_ros.geometry.mesh import declared_symmetry
    from posegrasp_ros.simulation.pick_objects import load_object

    named = load_object(mesh)
    named = replace(named, physics=named.physics.stated(item.mass, item.density, item.friction))
    if not (item.symmetry_axis or item.symmetry_half_turn):
        return named
    if named.card is not None:
        raise InvalidInputError(f'--symmetry-axis, --symmetry-half-turn: expected a mesh, got {mesh}, whose model '
                                'card states the symmetry')
    return replace(named, symmetry=declared_symmetry(named.mesh, item.symmetry_axis, item.symmetry_half_turn))


def _measured_efficiency(calibration: CalibrationOptions, named: NamedObject, seed: int) -> Efficiency | None:
    """Of the object's own model where that is asked for, else None."""
    from posegrasp_ros.feasibility.attainable.efficiency import SCENES, measure_efficiency
    from posegrasp_ros.runtime.progress import Progress

    if not calibration.measured:
        return None
    if named.card is None or calibration.efficiency:
        raise InvalidInputError('--measured: expected an object with a model folder, and no --efficiency')
    with Progress(total=SCENES, desc='efficiency', unit='scene') as bar:
        return measure_efficiency(named.card, seed=seed, progress=bar.update)


def _efficiency(calibration: CalibrationOptions, noise: float, measured: Efficiency | None) -> float | np.ndarray:
    """Times above the bound: stated, measured, else as of the shipped box."""
    from posegrasp_ros.feasibility.attainable.efficiency import DEFAULT_EFFICIENCY, efficiency_at

    if calibration.efficiency:
        return calibration.efficiency
    return efficiency_at(noise, measured.factors if measured else DEFAULT_EFFICIENCY)


def _camera(options: CameraOptions) -> Camera:
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.camera_info_file import load_camera

    if options.camera:
        camera = load_camera(options.camera)
        return Camera(camera.width, camera.height, camera.matrix)
    return Camera.from_field_of_view(*options.size, math.radians(options.hfov))


def _timing(needs: NeedOptions, cell: Cell) -> Timing:
    """Of the object's own model; before there is one, of the shipped box, whose networks are the same."""
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.feasibility.timing import measure_timing, stated_timing
    from posegrasp_ros.runtime.resources import model_folder

    if needs.network_ms:
        return stated_timing(needs.network_ms, needs.rate)
    card = cell.named.card or load_model_card(model_folder())
    return measure_timing(card, (cell.camera.width, cell.camera.height), needs.rate)


def _break_even(options: BreakEvenOptions, seed: int) -> BreakEven | None:
    """What the worksheet says; None where nothing was stated."""
    from posegrasp_ros.feasibility.break_even import BreakEven, Business, Range

    stated = {'--picks-per-hour': options.picks_per_hour, '--pick-value': options.pick_value,
              '--failure-cost': options.failure_cost}
    missing = [option for option, value in stated.items() if value is None]
    if len(missing) == len(stated):
        return None
    if missing:
        raise InvalidInputError(f'break-even: expected {", ".join(missing)} as well')
    picks_per_hour, pick_value, failure_cost = (Range(*value) for value in stated.values() if value is not None)
    if pick_value.low <= 0:
        raise InvalidInputError(f'--pick-value: expected above 0, got {pick_value.low:g}')
    return BreakEven.draw(Business(picks_per_hour, pick_value, failure_cost, Range(*options.stop_minutes),
                                   options.unattended), seed)
