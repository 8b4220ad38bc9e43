# SPDX-License-Identifier: Apache-2.0
"""Common parts of the launch files: arguments with descriptions, and the nodes as launch actions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import yaml
from ament_index_python.packages import get_packages_with_prefixes
from launch import Action, LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteLocal,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.ros.graph import BESIDE, NODES, remappings
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.resources import resource_path

# Argument -> (default, description). An empty argument uses the value of the parameter file.
ARGUMENTS: dict[str, tuple[str, str]] = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'params_file': (str(resource_path('config/posegrasp.yaml')), 'Parameter file; copy the default and edit it.'),
    'model': ('', 'Model folder, the one with model.yaml. Empty: as in params_file.'),
    'models': ('', 'Several model folders or shipped models in the place of model, such as "[box, can]". '
                   'Empty: as in params_file.'),
    'gripper': ('', 'Gripper file or name. Empty: as in params_file.'),
    'urdf': ('', 'URDF of the arm, for its reachability: a file, package://NAME/file, or robot_description, the '
                 'topic. Empty: as in params_file.'),
    'tip_frame': ('', "Frame of the URDF that is the gripper's base. Empty: as in params_file."),
    'estimator': ('', 'onnx, network, feature_match, mean_pose or oracle. Empty: as in params_file.'),
    'base_from_camera': ('', 'Pose of the camera in the base frame, "[x, y, z, qx, qy, qz, qw]". '
                             'Empty: as in params_file; if that is empty too, from TF.'),
    'corrections': ('', 'corrections.yaml of posegrasp evaluate, applied to the poses that the planner plans '
                        'for.'),
    'handeye': ('', 'handeye.yaml written by posegrasp handeye, in place of base_from_camera. '
                    'Empty: as in params_file.'),
    'base_frame': ('', 'Frame of the grasps; z points up. Empty: as in params_file.'),
    'camera_frame': ('camera_optical_frame', 'Optical frame of the camera, for TF from base_from_camera.'),
    'image': ('image_raw', 'Topic of the camera image, Image or CompressedImage.'),
    'camera_info': ('camera_info', "Topic of the camera's intrinsics."),
    'rectified': ('', 'Whether the images are rectified: auto (by the names of topic and frame), yes or no. '
                      'Empty: as in params_file.'),
    'depth': ('depth', 'Topic of depth registered to the image; used if use_depth or depth_obstacles is true in '
                       'params_file.'),
    'execution_report': ('execution_report', 'Topic on which the robot reports the outcome of a pick: a '
                                             'DiagnosticArray, see posegrasp_ros/nodes/monitor_node.py; '
                                             "alternatively it calls the monitor's services begin_pick and "
                                             'end_pick.'),
    'ground_truth': ('ground_truth', "Topic of the object's true pose in the camera frame, if available."),
    'board': ('', 'File that posegrasp board wrote, of the printed board that the object stands on.'),
    'baselines': ('', 'Baselines file for comparison in the monitor. Empty: as in params_file.'),
    'target': ('', 'What a camera is calibrated with, as for posegrasp handeye --target.'),
    'mounting': ('eye-in-hand', 'eye-in-hand: the arm carries the camera; eye-to-hand: it carries the target.'),
    'tool_frame': ('tool0', 'Frame of the arm that carries camera or target.'),
    'out': ('', 'Run folder of the monitor. Empty: runs/<time> in the working directory of the launch.'),
    'use_sim_time': ('false', 'Use the time of /clock.'),
    'respawn': ('false', 'Restart a node whose process has died. false: the launch ends with an error that names '
                         'it.'),
    'rviz': ('false', 'Start rviz with the configuration of the package.'),
    'foxglove': ('false', 'Start foxglove_bridge, for this machine only; config/foxglove.json is the layout.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}
LAST_ANSWERS_S = 2.0
RESPAWN_AFTER_S = 2.0
# Time for a node to end before launch escalates; on a busy machine the monitor needs long for its report.
END_WITHIN_S = 60
GIVEN_TOPICS = ('image', 'camera_info', 'depth', 'ground_truth', 'execution_report')


class NodeDiedError(Exception):
    """A process that ended by itself and should not have."""


def declare(*names: str, **defaults: str) -> list[DeclareLaunchArgument]:
    """Launch arguments by name; ``defaults`` replace those of :data:`ARGUMENTS`."""
    return [DeclareLaunchArgument(name, default_value=defaults.get(name, ARGUMENTS[name][0]),
                                  description=ARGUMENTS[name][1]) for name in names]


def value(context: LaunchContext, name: str) -> str:
    """The value of an argument; empty when this launch file has no such argument."""
    return LaunchConfiguration(name, default='').perform(context)


def uses_sim_time(context: LaunchContext) -> bool:
    """Whether the nodes use the time of /clock."""
    return flag(context, 'use_sim_time')


def flag(context: LaunchContext, name: str) -> bool:
    """Parse an argument that is true or false; false when it is not given.

    :raises InvalidInputError: when it is neither
    """
    found = yaml.safe_load(value(context, name) or 'false')
    if not isinstance(found, bool):
        raise InvalidInputError(f'{name}: expected true or false, got {quoted(value(context, name))}')
    return found


def number_of(context: LaunchContext, name: str) -> float | list[float]:
    """Parse an argument that is a number, or a list of numbers, which becomes doubles for ROS.

    :raises InvalidInputError: when it is neither
    """
    found = yaml.safe_load(value(context, name) or '[]')
    numbers = found if isinstance(found, list) else [found]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise InvalidInputError(
            f'{name}: expected a number or a list of numbers, got {quoted(value(context, name))}')
    return [float(number) for number in found] if isinstance(found, list) else found


def names_of(context: LaunchContext, name: str) -> list[str]:
    """Parse an argument that is a list of names or paths; empty when it is not given.

    :raises InvalidInputError: when it is none
    """
    found = yaml.safe_load(value(context, name) or '[]')
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InvalidInputError(f'{name}: expected a list of names or paths such as [box, can], got '
                                f'{quoted(value(context, name))}')
    return found


def pipeline_node(context: LaunchContext, name: str, texts: tuple[str, ...] = (), numbers: tuple[str, ...] = (),
                  fixed: Mapping[str, Any] | None = None, clock: str = '') -> LifecycleNode:
    """A node of :mod:`posegrasp_ros.ros.graph`; it activates itself unless its parameter autostart is false.

    :param texts: arguments that become string parameters, if they are not empty
    :param numbers: arguments that become numbers or lists
    :param fixed: further parameters
    :param clock: topic of the clock; empty for /clock
    """
    given: dict[str, Any] = {text: ParameterValue(value(context, text), value_type=str)
                             for text in texts if value(context, text)}
    given |= {number: number_of(context, number) for number in numbers if value(context, number)}
    if models := names_of(context, 'models'):
        given['models'] = models
    given['use_sim_time'] = uses_sim_time(context)
    topics = dict(remappings(name))
    if clock:
        topics['/clock'] = clock
    topics |= {topic: value(context, topic) for topic in GIVEN_TOPICS if value(context, topic)}
    respawns = flag(context, 'respawn')
    return LifecycleNode(
        package='posegrasp_ros', executable=(NODES | BESIDE)[name][0], name=name,
        namespace=value(context, 'namespace'),
        parameters=[value(context, 'params_file'), {**given, **(fixed or {})}],
        remappings=list(topics.items()),
        arguments=['--ros-args', '--log-level', value(context, 'log_level') or 'info'], output='screen',
        sigterm_timeout=str(END_WITHIN_S), respawn=respawns, respawn_delay=RESPAWN_AFTER_S,
        on_exit=None if respawns else partial(report_death, name))


def report_death(name: str, event: ProcessExited, context: LaunchContext) -> None:
    """End the launch with an error that names the node when its process has died.

    :raises NodeDiedError: which the launch turns into its exit code
    """
    if event.returncode != 0 and not context.is_shutdown:
        raise NodeDiedError(f'{name} died with exit code {event.returncode}; respawn:=true restarts such nodes')


def camera_transform(context: LaunchContext, base_from_camera: list[float]) -> list[Action]:
    """Publish the camera's pose to TF; no action when the pose is not given."""
    if not base_from_camera:
        return []
    if 'tf2_ros' not in get_packages_with_prefixes():
        return [LogInfo(msg="tf2_ros is not installed: the camera's pose is not published to TF")]
    names = ('--x', '--y', '--z', '--qx', '--qy', '--qz', '--qw')
    frames = ['--frame-id', value(context, 'base_frame') or BASE_FRAME,
              '--child-frame-id', value(context, 'camera_frame') or 'camera_optical_frame']
    numbers = [text for name, number in zip(names, base_from_camera) for text in (name, str(number))]
    return [Node(package='tf2_ros', executable='static_transform_publisher', name='camera_pose',
                 namespace=value(context, 'namespace'), arguments=numbers + frames)]


def rviz(context: LaunchContext) -> list[Node]:
    """rviz, if requested."""
    if not flag(context, 'rviz'):
        return []
    if 'rviz2' not in get_packages_with_prefixes():
        raise InvalidInputError('rviz: expected rviz2 to be installed: apt install ros-$ROS_DISTRO-rviz2')
    arguments = ['-d', str(resource_path('rviz/posegrasp.rviz'))]
    if value(context, 'base_frame'):
        arguments += ['--fixed-frame', value(context, 'base_frame')]
    # rviz must use the same time as the nodes to find transforms at the stamps of their messages.
    return [Node(package='rviz2', executable='rviz2', name='rviz', namespace=value(context, 'namespace'),
                 parameters=[{'use_sim_time': uses_sim_time(context)}], arguments=arguments)]


def foxglove(context: LaunchContext) -> list[Action]:
    """The bridge to Foxglove, if requested; it listens on the loopback, for it lets anyone in."""
    if not flag(context, 'foxglove'):
        return []
    if 'foxglove_bridge' not in get_packages_with_prefixes():
        raise InvalidInputError('foxglove: expected foxglove_bridge to be installed: '
                                'apt install ros-$ROS_DISTRO-foxglove-bridge')
    return [Node(package='foxglove_bridge', executable='foxglove_bridge', name='foxglove_bridge',
                 namespace=value(context, 'namespace'),
                 parameters=[{'use_sim_time': uses_sim_time(context), 'address': '127.0.0.1'}]),
            LogInfo(msg='foxglove: open ws://localhost:8765 in Foxglove and import the layout '
                        f'{resource_path("config/foxglove.json")}')]


def end_with(action: ExecuteLocal, others: Sequence[Action]) -> RegisterEventHandler:
    """End other processes of this launch file shortly after one has ended; the monitor then writes its report.

    Only these: the launch file may be included in a larger one.

    :param action: of the process; where it fails, the launch ends with an error
    """
    def end(event: ProcessExited, context: LaunchContext) -> list[Action]:
        # After Ctrl-C the launch is already shutting down.
        if context.is_shutdown:
            return []
        if event.returncode != 0:
            raise NodeDiedError(f'{event.process_name} failed with exit code {event.returncode}')
        events = [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(other)))
                  for other in others if isinstance(other, ExecuteLocal)]
        # The last image may still be in processing.
        return [TimerAction(period=LAST_ANSWERS_S, actions=events)]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=end))


def large_messages() -> list[SetEnvironmentVariable]:
    """Configure Fast DDS for camera images between local processes, unless the user has configured it."""
    name = 'FASTDDS_DEFAULT_PROFILES_FILE'
    return [] if name in os.environ else [SetEnvironmentVariable(name, str(resource_path('config/fastdds.xml')))]
