# SPDX-License-Identifier: Apache-2.0
"""Where an arm's URDF comes from: a file, a file of a package, a xacro file, or the topic robot_description."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_share_directory,
    get_search_paths,
)
from rclpy.node import Node
from rclpy.wait_for_message import wait_for_message
from std_msgs.msg import String

from posegrasp_ros.ros.optional import import_optional
from posegrasp_ros.ros.parameters import ParameterError
from posegrasp_ros.ros.qos import LATCHED

TOPIC, PACKAGE, XACRO = 'robot_description', 'package://', '.xacro'
WAIT_S = 10.0


def check_urdf(given: str) -> None:
    """Refuse what cannot be a URDF.

    :raises ParameterError: when there is no such file or package; of the topic nothing is known beforehand
    """
    if given != TOPIC:
        _existing(given)


def urdf_file(node: Node, given: str, folder: Path) -> Path:
    """The URDF as a file.

    :param given: a path, ``package://NAME/path``, either also of a xacro file, or ``robot_description``, the topic
    :param folder: for what does not come as a file
    :raises ParameterError: when there is none
    """
    if given == TOPIC:
        found, message = wait_for_message(String, node, TOPIC, qos_profile=LATCHED, time_to_wait=WAIT_S)
        if not found or message is None:
            raise ParameterError(f'{node.resolve_topic_name(TOPIC)}: expected a URDF from robot_state_publisher, '
                                 f'got nothing in {WAIT_S:.0f} s')
        return _kept(folder, message.data)
    path = _existing(given)
    if path.suffix != XACRO:
        return path
    xacro = import_optional('xacro')
    if xacro is None:
        raise ParameterError(f'{path}: expected a URDF, or xacro to be installed (ros-DISTRO-xacro): or run '
                             f'xacro {path} > arm.urdf')
    return _kept(folder, xacro.process_file(str(path)).toxml())


def package_folders() -> list[str]:
    """Folders in which the installed packages lie, for the meshes of a URDF; none where no ROS is sourced."""
    try:
        return [str(Path(prefix) / 'share') for prefix in get_search_paths()]
    except OSError:
        return []


def scratch_folder() -> tempfile.TemporaryDirectory:
    """For :func:`urdf_file`; it is deleted with the object."""
    return tempfile.TemporaryDirectory(prefix='posegrasp_urdf_')


def _existing(given: str) -> Path:
    path = Path(given)
    if given.startswith(PACKAGE):
        package, _, inside = given.removeprefix(PACKAGE).partition('/')
        try:
            path = Path(get_package_share_directory(package)) / inside
        except (PackageNotFoundError, ValueError, OSError) as error:  # the last where no ROS is sourced
            raise ParameterError(f'{given}: expected an installed package, {package!r} is none') from error
    if not path.is_file():
        raise ParameterError(f'{path}: no such URDF file')
    return path


def _kept(folder: Path, text: str) -> Path:
    path = folder / 'arm.urdf'
    path.write_text(text, encoding='utf-8')
    return path
