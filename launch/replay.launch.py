# SPDX-License-Identifier: Apache-2.0
"""From a bag: plays it and runs perception, grasp planner and monitor on it, in the bag's time."""

from dataclasses import asdict

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

from posegrasp_ros.datasets.bag_reader import BagReader, BagTopics
from posegrasp_ros.ros.launching import (
    camera_transform,
    declare,
    end_with,
    foxglove,
    large_messages,
    number_of,
    pipeline_node,
    rviz,
    value,
)

LOOK_EVERY_S = 1.0


def start(context):
    """The nodes, and the player once all are active; the launch ends with the bag."""
    context.launch_configurations.update(topics_of(context))
    # The nodes need a moment to find the player; the delay is in seconds.
    player = ExecuteProcess(cmd=['ros2', 'bag', 'play', value(context, 'bag'), '--clock', '--delay', '2',
                                 '--rate', value(context, 'rate')], output='screen')
    others = [
        pipeline_node(context, 'perception', texts=('model', 'estimator', 'rectified')),
        pipeline_node(context, 'grasp_planner', texts=('model', 'gripper', 'base_frame', 'urdf', 'tip_frame',
                                                       'handeye', 'corrections', 'rectified'),
                      numbers=('base_from_camera',)),
        pipeline_node(context, 'monitor', texts=('model', 'gripper', 'baselines', 'out', 'estimator')),
        *camera_transform(context, number_of(context, 'base_from_camera')),
        *rviz(context),
        *foxglove(context),
    ]
    return [*others, end_with(player, others), OpaqueFunction(function=play, args=[player])]


def play(context, player, states=None, answers=()):
    """The player once all nodes are active, else another look.

    They are asked, for the event of a transition is lost where it comes before the launch has found the node.

    :param states: clients of the services that tell it
    :param answers: to the questions of the last look
    """
    namespace = value(context, 'namespace').strip('/')
    states = states or [
        get_ros_node(context).create_client(GetState, f'/{namespace}/{name}/get_state'.replace('//', '/'))
        for name in ('perception', 'grasp_planner', 'monitor')]
    active = [answer for answer in answers
              if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE]
    if len(active) == len(states):
        return [player]
    answers = [state.call_async(GetState.Request()) for state in states if state.service_is_ready()]
    again = OpaqueFunction(function=play, args=[player, states, answers])
    return [TimerAction(period=LOOK_EVERY_S, actions=[again])]


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
        *declare('namespace', 'params_file', 'model', 'models', 'gripper', 'urdf', 'tip_frame', 'estimator',
                 'base_from_camera', 'handeye', 'corrections', 'base_frame', 'camera_frame', 'image',
                 'camera_info', 'rectified',
                 'depth', 'ground_truth', 'execution_report', 'baselines', 'out', 'use_sim_time', 'respawn',
                 'rviz', 'foxglove', 'log_level',
                 image='', camera_info='', depth='', ground_truth='', use_sim_time='true'),
        *large_messages(),
        OpaqueFunction(function=start),
    ])
