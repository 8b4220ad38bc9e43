# SPDX-License-Identifier: Apache-2.0
"""Ground truth from a printed board: the node that finds the object on it, beside the pipeline."""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from posegrasp_ros.ros.launching import declare, pipeline_node


def start(context):
    """The node."""
    return [pipeline_node(context, 'board', texts=('board', 'rectified', 'camera_frame'))]


def generate_launch_description():
    """Arguments and node."""
    return LaunchDescription([
        *declare('namespace', 'params_file', 'board', 'camera_frame', 'image', 'camera_info', 'rectified',
                 'ground_truth', 'use_sim_time', 'respawn', 'log_level', camera_frame=''),
        OpaqueFunction(function=start),
    ])
