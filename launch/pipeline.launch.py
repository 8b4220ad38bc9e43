# SPDX-License-Identifier: Apache-2.0
"""On a robot: perception, grasp planner and monitor, fed by a camera."""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from posegrasp_ros.ros.launching import camera_transform, declare, foxglove, number_of, pipeline_node, rviz


def start(context):
    """The nodes; the camera's pose goes into TF where it is given here."""
    return [
        pipeline_node(context, 'perception', texts=('model', 'estimator', 'rectified')),
        pipeline_node(context, 'grasp_planner', texts=('model', 'gripper', 'base_frame', 'urdf', 'tip_frame',
                                                       'handeye', 'corrections', 'rectified'),
                      numbers=('base_from_camera',)),
        pipeline_node(context, 'monitor', texts=('model', 'gripper', 'baselines', 'out', 'estimator')),
        *camera_transform(context, number_of(context, 'base_from_camera')),
        *rviz(context),
        *foxglove(context),
    ]


def generate_launch_description():
    """Arguments and nodes."""
    return LaunchDescription([
        *declare('namespace', 'params_file', 'model', 'models', 'gripper', 'urdf', 'tip_frame', 'estimator',
                 'base_from_camera', 'handeye', 'corrections', 'base_frame', 'camera_frame', 'image',
                 'camera_info', 'rectified',
                 'depth', 'ground_truth', 'execution_report', 'baselines', 'out', 'use_sim_time', 'respawn',
                 'rviz', 'foxglove', 'log_level'),
        OpaqueFunction(function=start),
    ])
