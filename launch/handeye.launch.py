# SPDX-License-Identifier: Apache-2.0
"""Hand-eye calibration: the node that takes samples and computes on request, beside camera and arm."""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from posegrasp_ros.ros.launching import declare, pipeline_node


def start(context):
    """The node."""
    return [pipeline_node(context, 'handeye', texts=('target', 'mounting', 'base_frame', 'tool_frame',
                                                     'camera_frame', 'rectified', 'out'))]


def generate_launch_description():
    """Arguments and node."""
    return LaunchDescription([
        *declare('namespace', 'params_file', 'target', 'mounting', 'base_frame', 'tool_frame', 'camera_frame',
                 'image', 'camera_info', 'rectified', 'out', 'use_sim_time', 'respawn', 'log_level',
                 camera_frame='', base_frame='base_link', out='handeye'),
        OpaqueFunction(function=start),
    ])
