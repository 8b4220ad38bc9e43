# SPDX-License-Identifier: Apache-2.0
"""One pick: ros2 launch examples/moveit_pick/moveit_pick.launch.py robot:=panda object:=box"""

import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

HERE = Path(__file__).resolve().parent


def generate_launch_description() -> LaunchDescription:
    robot = LaunchConfiguration('robot')
    # panda and ur5e are files of this folder, anything else is a path.
    file = PythonExpression(['"', robot, '" if "', robot, f'".endswith(".yaml") else "{HERE}/', robot, '.yaml"'])
    wanted = ParameterValue(LaunchConfiguration('object'), value_type=str)
    monitor = ParameterValue(LaunchConfiguration('monitor'), value_type=str)
    check_grip = ParameterValue(LaunchConfiguration('check_grip'), value_type=bool)
    return LaunchDescription([
        DeclareLaunchArgument('robot', default_value='panda', description='panda, ur5e, or a parameter file.'),
        DeclareLaunchArgument('object', default_value='', description='Class or instance; empty: any.'),
        DeclareLaunchArgument('monitor', default_value='monitor', description='Its node; empty: it is not told.'),
        DeclareLaunchArgument('check_grip', default_value='true', description='false where the gripper is faked.'),
        # Time to stop the arm before launch escalates.
        Node(executable=sys.executable, arguments=[str(HERE / 'moveit_pick.py')], name='moveit_pick',
             output='screen', parameters=[file, {'object': wanted, 'monitor': monitor, 'check_grip': check_grip}],
             sigterm_timeout='15')])
