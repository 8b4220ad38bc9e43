"""In simulation: all four nodes; the simulator is camera and robot."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from posegrasp_ros.ros.launching import (
    camera_transform,
    declare,
    end_with,
    large_messages,
    pipeline_node,
    rviz,
)
from posegrasp_ros.ros.parameters import pose_values
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA


def start(context):
    """The nodes; the launch ends with the last pick."""
    camera = list(pose_values(DEFAULT_BASE_FROM_CAMERA))
    simulator = pipeline_node(context, 'simulator', texts=('model', 'gripper', 'camera_frame'),
                              numbers=('picks', 'seed'),
                              fixed={'base_from_camera': camera, 'wait_for_monitor': True, 'use_sim_time': False})
    return [
        pipeline_node(context, 'perception', texts=('model', 'estimator')),
        pipeline_node(context, 'grasp_planner', texts=('model', 'gripper', 'base_frame'),
                      fixed={'base_from_camera': camera}),
        pipeline_node(context, 'monitor', texts=('model', 'gripper', 'baselines', 'out', 'estimator'),
                      numbers=('seed',)),
        simulator,
        end_with(simulator),
        *camera_transform(context, camera),
        *rviz(context),
    ]


def generate_launch_description():
    """Arguments and nodes."""
    return LaunchDescription([
        *declare('namespace', 'params_file', 'model', 'models', 'gripper', 'estimator', 'base_frame',
                 'camera_frame', 'baselines', 'out', 'use_sim_time', 'rviz', 'log_level', use_sim_time='true'),
        DeclareLaunchArgument('picks', default_value='20', description='How many picks to try; 0: until stopped.'),
        DeclareLaunchArgument('seed', default_value='1', description='The same seed gives the same scenes.'),
        *large_messages(),
        OpaqueFunction(function=start),
    ])
