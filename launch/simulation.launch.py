# SPDX-License-Identifier: Apache-2.0
"""In simulation: all four nodes; the simulator is camera and robot."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.ros.launching import (
    camera_transform,
    declare,
    end_with,
    foxglove,
    large_messages,
    pipeline_node,
    rviz,
    value,
)
from posegrasp_ros.ros.parameters import pose_values
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA


def start(context):
    """The nodes; the launch ends with the last pick.

    A simulation in a namespace has a clock and frames of its own, so that several may run in one domain.
    """
    camera, frames = list(pose_values(DEFAULT_BASE_FROM_CAMERA)), context.launch_configurations
    prefix = value(context, 'namespace').strip('/')
    clock = f'/{prefix}/clock' if prefix else ''
    if prefix:
        frames['base_frame'] = frames['base_frame'] or f'{prefix}/{BASE_FRAME}'
        frames['camera_frame'] = frames['camera_frame'] or f'{prefix}/camera_optical_frame'
    frames['camera_frame'] = frames['camera_frame'] or 'camera_optical_frame'
    simulator = pipeline_node(context, 'simulator', texts=('model', 'gripper', 'camera_frame'),
                              numbers=('picks', 'seed'),
                              fixed={'base_from_camera': camera, 'wait_for_monitor': True, 'use_sim_time': False},
                              clock=clock)
    others = [
        pipeline_node(context, 'perception', texts=('model', 'estimator'),
                      fixed={'frame_prefix': f'{prefix}/' if prefix else ''}, clock=clock),
        pipeline_node(context, 'grasp_planner', texts=('model', 'gripper', 'base_frame'),
                      fixed={'base_from_camera': camera}, clock=clock),
        pipeline_node(context, 'monitor', texts=('model', 'gripper', 'baselines', 'out', 'estimator'),
                      numbers=('seed',), clock=clock),
        *camera_transform(context, camera),
        *rviz(context),
        *foxglove(context),
    ]
    return [*others, simulator, end_with(simulator, others)]


def generate_launch_description():
    """Arguments and nodes."""
    return LaunchDescription([
        *declare('namespace', 'params_file', 'model', 'models', 'gripper', 'estimator', 'base_frame',
                 'camera_frame', 'baselines', 'out', 'use_sim_time', 'respawn', 'rviz', 'foxglove', 'log_level',
                 use_sim_time='true', camera_frame=''),
        DeclareLaunchArgument('picks', default_value='20', description='How many picks to try; 0: until stopped.'),
        DeclareLaunchArgument('seed', default_value='1', description='The same seed gives the same scenes.'),
        *large_messages(),
        OpaqueFunction(function=start),
    ])
