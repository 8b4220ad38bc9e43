# SPDX-License-Identifier: Apache-2.0
"""One pick: ros2 launch examples/moveit_pick/moveit_pick.launch.py robot:=panda object:=box"""

import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

HERE = Path(__file__).resolve().parent


def pick(context: LaunchContext) -> list[Node]:
    robot, wanted, demo = (LaunchConfiguration(name).perform(context) for name in ('robot', 'object', 'demo'))
    file = robot if robot.endswith('.yaml') else str(HERE / f'{robot}.yaml')
    if not Path(file).is_file():
        known = ', '.join(sorted(path.stem for path in HERE.glob('*.yaml')))
        raise FileNotFoundError(f'robot: expected {known} or a parameter file, got {robot!r}: no file {file}')
    given = {'object': ParameterValue(wanted, value_type=str)}
    if demo == 'true':
        given |= {'check_grip': False, 'monitor': ParameterValue('', value_type=str)}
    # Time to stop the arm before launch escalates.
    return [Node(executable=sys.executable, arguments=[str(HERE / 'moveit_pick.py')], name='moveit_pick',
                 output='screen', parameters=[file, given], sigterm_timeout='15')]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([
        DeclareLaunchArgument('robot', default_value='panda', description='panda, ur5e, or a parameter file.'),
        DeclareLaunchArgument('object', default_value='', description='Class or instance; empty: any.'),
        DeclareLaunchArgument('demo', default_value='false', choices=['true', 'false'],
                              description='The gripper is faked and there is no monitor.'),
        OpaqueFunction(function=pick)])
