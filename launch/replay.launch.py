"""From a bag: plays it and runs perception, grasp planner and monitor on it, in the bag's time."""

from dataclasses import asdict

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch_ros.ros_adapters import get_ros_node

from posegrasp_ros.bags.reader import BagReader, BagTopics
from posegrasp_ros.ros.launching import (
    camera_transform,
    declare,
    end_with,
    large_messages,
    number_of,
    pipeline_node,
    rviz,
    value,
)

LOOK_EVERY_S = 0.5


def start(context):
    """The nodes, and the player once perception listens; the launch ends with the bag."""
    context.launch_configurations.update(topics_of(context))
    # The nodes need a moment to find the player; the delay is in seconds.
    player = ExecuteProcess(cmd=['ros2', 'bag', 'play', value(context, 'bag'), '--clock', '--delay', '2',
                                 '--rate', value(context, 'rate')], output='screen')
    return [
        pipeline_node(context, 'perception', texts=('model', 'estimator', 'rectified')),
        pipeline_node(context, 'grasp_planner', texts=('model', 'gripper', 'base_frame', 'urdf', 'tip_frame',
                                                       'rectified'), numbers=('base_from_camera',)),
        pipeline_node(context, 'monitor', texts=('model', 'gripper', 'baselines', 'out', 'estimator')),
        end_with(player),
        OpaqueFunction(function=play, args=[player]),
        *camera_transform(context, number_of(context, 'base_from_camera')),
        *rviz(context),
    ]


def play(context, player):
    """The player, or another look for whom it plays to.

    Perception loads the networks, and compiles on the first run: it takes the longest of the three by far. Its
    subscription tells that it is active: the event of that transition is lost where it comes before the launch has
    found the node.
    """
    listeners = get_ros_node(context).get_subscriptions_info_by_topic(value(context, 'image'))
    if any(listener.node_name == 'perception' for listener in listeners):
        return [player]
    return [TimerAction(period=LOOK_EVERY_S, actions=[OpaqueFunction(function=play, args=[player])])]


def topics_of(context):
    """The recording's topics: those that were asked for, the rest guessed as ``posegrasp evaluate`` does."""
    asked = {name: value(context, name) or None for name in ('image', 'camera_info', 'depth', 'ground_truth')}
    found = asdict(BagReader(value(context, 'bag'), BagTopics(**asked)).topics)
    return {name: found[name] for name in asked if found[name]}


def generate_launch_description():
    """Arguments and nodes."""
    return LaunchDescription([
        DeclareLaunchArgument('bag', description='rosbag2 folder or file to play.'),
        DeclareLaunchArgument('rate', default_value='1.0', description='How much faster than recorded.'),
        # Empty: guessed from the recording, but for depth.
        *declare('namespace', 'params_file', 'model', 'gripper', 'urdf', 'tip_frame', 'estimator',
                 'base_from_camera', 'base_frame', 'camera_frame', 'image', 'camera_info', 'rectified', 'depth',
                 'ground_truth', 'execution_report', 'baselines', 'out', 'use_sim_time', 'rviz', 'log_level',
                 image='', camera_info='', depth='', ground_truth='', use_sim_time='true'),
        *large_messages(),
        OpaqueFunction(function=start),
    ])
