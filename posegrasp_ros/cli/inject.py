# SPDX-License-Identifier: Apache-2.0
"""``posegrasp inject``: a copy of a recording with systematic faults in its poses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Model, Seed, Topic, options
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_MODEL, model_folder

EXAMPLES = """Examples:
  posegrasp inject scenes faulty --fault camera_offset=12,0,0
  posegrasp inject bag faulty --pose-topic /pose --fault lag=100 --fault object_axes
  posegrasp evaluate faulty --recorded --pose-topic /pose --model box"""


def inject(bag: Path, out: Path, /, *, fault: Annotated[tuple[str, ...], options('NAME[=SIZE,...]...', str)],
           pose_topic: Topic | None = None, model: Model = DEFAULT_MODEL, seed: Seed = 0) -> int:
    """Copy a recording with systematic faults in its poses, to test diagnosis and alarms.

    :param bag: rosbag2 folder, .mcap or .db3 file, ROS 1 .bag
    :param out: folder to create
    :param fault: object_offset, camera_offset, unit, mesh_scale, focal_length, principal_point, other_camera,
        camera_link_axes, opengl_axes, object_axes, left_handed, quaternion_order, inverted, undeclared_symmetry,
        lag, clock_offset or wrong_object; several are applied one after the other. With the wrong number of
        values, the error states what the values are
    :param pose_topic: topic of the poses; default: poses estimated by a model are written to /pose
    :param model: model folder or shipped model that estimates them
    :param seed: seed of the random parts
    """
    from posegrasp_ros.faults.faulty_recording import write_faulty

    faults = [_fault(text) for text in fault]
    if pose_topic:
        count = write_faulty(bag, out, faults, pose_topic, seed=seed)
        show(f'{count} poses on {pose_topic} in {out}')
        return DONE
    from posegrasp_ros.evaluation.stated_by_model import stated_by_model

    count = write_faulty(bag, out, faults, None, stated_by_model(bag, model_folder(model)), seed)
    show(f'{count} poses on /pose in {out}')
    return DONE


def _fault(text: str) -> tuple[str, tuple[float, ...]]:
    """Name and sizes."""
    from posegrasp_ros.faults.injection import INJECTED

    name, _, sizes = text.partition('=')
    if name not in INJECTED:
        raise InvalidInputError(f'--fault: expected one of {", ".join(INJECTED)}, got {name!r}')
    return name, tuple(option_types.finite(size) for size in sizes.split(',')) if sizes else ()
