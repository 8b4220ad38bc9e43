# SPDX-License-Identifier: Apache-2.0
"""A mounted camera as ROS takes it: a launch file with a static transform, and a joint for the URDF."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from transforms3d.euler import mat2euler

from posegrasp_ros.handeye.calibration_file import MountedCamera

LAUNCH = '''"""Publishes where {camera!r} is mounted; written by posegrasp handeye."""

from launch import LaunchDescription
from launch_ros.actions import Node


def generate_launch_description():
    return LaunchDescription([Node(
        package='tf2_ros', executable='static_transform_publisher', name='camera_mount',
        arguments=[{arguments}])])
'''


def launch_file(camera: MountedCamera) -> str:
    """Python launch file with a static_transform_publisher."""
    pose = camera.parent_from_camera
    values = [*pose.position_m, *pose.quaternion_xyzw]
    names = ('--x', '--y', '--z', '--qx', '--qy', '--qz', '--qw')
    parts = [f"'{name}', '{value:.9f}'" for name, value in zip(names, values)]
    parts += [f"'--frame-id', {camera.parent_frame!r}", f"'--child-frame-id', {camera.camera_frame!r}"]
    return LAUNCH.format(camera=camera.camera_frame, arguments=',\n                   '.join(parts))


def urdf_joint(camera: MountedCamera) -> str:
    """A fixed joint and the camera's link, to be pasted into a URDF or xacro."""
    pose = camera.parent_from_camera
    rpy = mat2euler(pose.transform[:3, :3], 'sxyz')
    xyz, turns = (' '.join(f'{value:.9f}' for value in each) for each in (pose.position_m, rpy))
    link, joint = quoteattr(camera.camera_frame), quoteattr(f'{camera.camera_frame}_mount')
    parent = quoteattr(camera.parent_frame)
    return (f'<link name={link}/>\n<joint name={joint} type="fixed">\n  <parent link={parent}/>\n'
            f'  <child link={link}/>\n  <origin xyz="{xyz}" rpy="{turns}"/>\n</joint>\n')
