# SPDX-License-Identifier: Apache-2.0
"""``posegrasp demo`` and ``posegrasp record``, in simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Count, Estimator, Folder, Model, Seed, Size, exclusive, option, options
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_MODEL, model_folder

DEMO_EXAMPLES = """Examples:
  posegrasp demo --picks 50 --seed 4242 --out runs/fifty
  posegrasp demo --objects box can"""
RECORD_EXAMPLES = """Examples:
  posegrasp record scenes --scenes 200 --seed 777
  posegrasp record moving --sequence 60 --cover-at 10,25,40 --jump-at 50
  posegrasp record rough_moving --rough --sequence 30 --cover-at 10,20"""
CAMERA, SEQUENCE, OBJECTS = (Group.create_ordered(name) for name in ('Camera', 'Sequence', 'Objects'))
ONE_AT_MOST = exclusive(OBJECTS)


def demo(*, picks: Count = 20, seed: Seed = 1, out: Folder | None = None, estimator: Estimator = 'onnx',
         model: Model = DEFAULT_MODEL,
         objects: Annotated[tuple[Path, ...], options('DIR|NAME...', Path, at_least=2)] = (),
         verbose: Annotated[bool, Parameter(alias='-v')] = False) -> int:
    """Pick in simulation, over real ROS topics, and write a report.

    :param picks: number of attempts
    :param seed: same seed, same scenes
    :param out: run folder for metrics and report; default: runs/demo-TIME
    :param objects: model folders or shipped models, in place of --model: one object of each is on the table, and
        they are picked in turn
    :param verbose: also print all tables of the report
    """
    from posegrasp_ros.ros.demo import run_demo

    run_demo(picks, seed, out, estimator, objects or (model,), verbose=verbose)
    return DONE


def record(out: Path, /, *,
           scenes: Count = 100,
           seed: Seed = 0,
           size: Annotated[Size, Parameter(group=CAMERA)] = (640, 480),
           depth: Annotated[bool, Parameter(group=CAMERA)] = False,
           rough: bool = False,
           sequence: Annotated[float | None, option('SECONDS', option_types.above_zero, group=SEQUENCE)] = None,
           rate: Annotated[float, option('HZ', option_types.above_zero, group=SEQUENCE)] = 30.0,
           cover_at: Annotated[tuple[float, ...], option('S,S,...', option_types.times, group=SEQUENCE)] = (),
           jump_at: Annotated[tuple[float, ...], option('S,S,...', option_types.times, group=SEQUENCE)] = (),
           model: Annotated[Model, Parameter(group=OBJECTS)] = DEFAULT_MODEL,
           occlusion: Annotated[tuple[float, float] | None, option('LOW:HIGH', option_types.share_range,
                                                                   group=ONE_AT_MOST)] = None,
           without_object: Annotated[bool, Parameter(group=ONE_AT_MOST)] = False,
           instances: Annotated[int, option('K', option_types.positive, group=ONE_AT_MOST)] = 1,
           objects: Annotated[tuple[Path, ...], options('DIR|NAME...', Path, at_least=2, group=ONE_AT_MOST)] = ()
           ) -> int:
    """Write simulated scenes with ground truth as a rosbag2 folder.

    :param out: folder to create
    :param scenes: number of scenes, one frame each
    :param seed: same seed, same scenes
    :param size: image size, pixels
    :param depth: also record a depth camera at the same place
    :param rough: scenes with the difficulties of real ones: strong edges behind the object, hands, low views, an
        object that differs slightly from its mesh, a camera that differs slightly from the stated one; not with
        --depth, --instances or --objects
    :param sequence: record a sequence of this length of one scene, in place of scenes: camera and object move
        smoothly, with --rough only the camera
    :param rate: frame rate of the camera, in a sequence
    :param cover_at: times, seconds, at which the object is fully covered, for 1 s each
    :param jump_at: times, seconds, at which the camera jumps
    :param occlusion: put something between camera and object that hides this share of the object's pixels, such as
        0.3:0.6
    :param without_object: the same scenes with the object removed
    :param instances: number of instances of the object in each scene
    :param objects: model folders or shipped models, in place of --model: one object of each in every scene, with
        its ground truth on /NAME/ground_truth
    """
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.estimation.model_set import load_model_set
    from posegrasp_ros.simulation import record as recording
    from posegrasp_ros.simulation.rough_sequence import rough_sequence_frames
    from posegrasp_ros.simulation.sequence import SequencePlan, record_sequence, sequence_frames

    if sequence is None and (cover_at or jump_at):
        raise InvalidInputError('--cover-at, --jump-at: expected with --sequence, found none')
    if sequence is not None:
        if occlusion or without_object or objects or instances > 1:
            raise InvalidInputError('--sequence: expected one object, which --cover-at hides, got an option of '
                                    'scenes: leave out --occlusion, --without-object, --instances and --objects')
        if rough and depth:
            raise InvalidInputError('--rough: expected colour images, got --depth as well: leave out one of the '
                                    'two')
        plan = SequencePlan(sequence, rate, cover_at, jumps_s=jump_at)
        mesh = load_model_card(model_folder(model)).mesh
        frames = (rough_sequence_frames(mesh, plan, seed, size) if rough
                  else sequence_frames(mesh, plan, seed, size, depth))
        record_sequence(out, frames, len(plan.times_s))
        show(f'{len(plan.times_s)} frames in {out}')
        return DONE
    if objects:
        if rough:
            raise InvalidInputError('--rough: expected one object, got --objects as well: leave out one of the '
                                    'two')
        meshes = {name: card.mesh for name, card in load_model_set(objects).items()}
        recording.record_together(out, meshes, scenes, seed, size, depth=depth)
    else:
        recording.record(out, load_model_card(model_folder(model)).mesh, scenes, seed, size, occlusion=occlusion,
                         without_object=without_object, instances=instances, depth=depth, rough=rough)
    show(f'{scenes} scenes in {out}')
    return DONE
