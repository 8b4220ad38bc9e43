# SPDX-License-Identifier: Apache-2.0
"""What the grasp planner node takes, and what it makes of it: planner, arm, surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.node import Node

from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.faults.correction_file import read_corrections
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.geometry.transforms import transform_from_pose
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.plan import PlannerOptions
from posegrasp_ros.grasping.planning.planning_scene import (
    LEAST_SLOPE,
    BoxObstacle,
    Scene,
    SphereObstacle,
)
from posegrasp_ros.grasping.planning.reach import Reach, ReachSphere
from posegrasp_ros.grasping.planning.reach_urdf import UrdfReach
from posegrasp_ros.handeye.calibration_file import MountedCamera, load_mounted_camera
from posegrasp_ros.ros.parameter_checks import are_models, is_file, is_gripper, is_model
from posegrasp_ros.ros.parameters import ParameterError, parameter, pose_parameter
from posegrasp_ros.ros.urdf_source import check_urdf, package_folders, scratch_folder, urdf_file
from posegrasp_ros.sensing.depth_buffer import SLOP_MS

BOX = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw', 'side along x', 'along y', 'along z')
SPHERE = ('x', 'y', 'z', 'radius')
DEFAULTS = PlannerOptions()


@dataclass(frozen=True)
class GraspPlannerParameters:
    """Parameters of the grasp planner node; they count from the next configure on."""

    model: str = parameter(
        '', 'Folder with model.yaml. Empty: the box that comes with the package.', check=is_model)
    models: tuple[str, ...] = parameter(
        (), 'Several such folders, as for perception, in place of model: each object has topics below ~/NAME/, '
        'and the others are obstacles.', check=are_models)
    target: str = parameter('', 'Name of the object to plan for, as on its card. Empty: all of them.')
    gripper: str = parameter(
        '', 'Gripper file, or one of franka_hand, robotiq_2f_85, robotiq_2f_140. Empty: franka_hand.',
        check=is_gripper)
    grasps: str = parameter('', "Grasp set in isaac_grasp YAML. Empty: the model's grasps.yaml.", check=is_file)
    base_frame: str = parameter(BASE_FRAME, 'Frame of the grasps; z points up.')
    base_from_camera: tuple[float, ...] = parameter(
        (), 'Pose of the camera in the base frame: x, y, z, qx, qy, qz, qw, metres. Empty: from TF.')
    handeye: str = parameter(
        '', 'handeye.yaml of posegrasp handeye, in place of base_from_camera: its covariance is added to that of '
        "the pose in the base frame. Eye-in-hand: the tool's pose comes from TF.", check=load_mounted_camera)
    corrections: str = parameter(
        '', 'corrections.yaml of a run of posegrasp evaluate, applied to incoming poses; not to their stamps. '
        'Empty: none.', check=read_corrections)
    camera_frame: str = parameter(
        '', 'Frame whose pose base_from_camera is; poses in other frames are transformed with TF. Empty: the '
        'frame of the first pose.')
    continuous: bool = parameter(
        True, 'Plan for every pose. false: only on request, through ~/plan and ~/plan_grasps.')
    request_timeout_s: float = parameter(
        5.0, 'How long ~/plan and ~/plan_grasps wait for a pose newer than the request with a grasp.', minimum=0.1,
        maximum=600.0)
    published_grasps: int = parameter(20, 'Maximum number of grasps to publish and draw.', minimum=1, maximum=1000)
    equal_success_probability: float = parameter(
        DEFAULTS.equal_success, 'Grasps whose probabilities of success, and whose scores, differ by no more count '
        'as equally good: with urdf and joint_states the one with the shortest joint travel comes first.',
        minimum=0.0, maximum=1.0)
    min_success_probability: float = parameter(
        DEFAULTS.min_success_probability, 'If every grasp is below it, there is no answer: pose_too_uncertain.',
        minimum=0.0, maximum=1.0)
    pre_grasp_distance_m: float = parameter(
        DEFAULTS.pre_grasp_distance_m, 'Length of the straight last part of the approach.', minimum=0.0,
        maximum=1.0)
    lift_m: float = parameter(DEFAULTS.lift_m, 'Straight up after closing.', minimum=0.0, maximum=1.0)
    max_approach_angle_rad: float = parameter(
        float(DEFAULTS.max_approach_angle_rad), 'Angle of the approach direction from straight down.', minimum=0.0,
        maximum=3.15)
    min_clearance_m: float = parameter(
        DEFAULTS.min_clearance_m, 'Minimum distance from support and obstacles, along the whole path.',
        minimum=0.0, maximum=0.2)
    support_plane: bool = parameter(True, 'Whether the object stands on a plane that the gripper must not touch.')
    support_height_m: float = parameter(
        0.0, 'Height of the plane in the base frame, above or below its origin.', minimum=-9.0, maximum=9.0)
    support_normal: tuple[float, ...] = parameter(
        (0.0, 0.0, 1.0), 'Direction out of the plane in the base frame, for a tilted one; objects are still '
        'lifted along z.')
    obstacle_boxes: tuple[float, ...] = parameter(
        (), 'Boxes in the base frame, ten numbers each: centre x, y, z, qx, qy, qz, qw, then sides; metres.')
    obstacle_spheres: tuple[float, ...] = parameter(
        (), 'Spheres in the base frame, four numbers each: x, y, z, radius, metres.')
    other_instances: bool = parameter(True, 'Avoid the other objects on the topic `poses`.')
    depth_obstacles: bool = parameter(
        False, 'Avoid what the topic `depth` shows, an Image registered to the camera image.')
    rectified: str = parameter(
        'auto', 'Whether the depth images are rectified, so that P of camera_info is used instead of K and D. '
        'auto: from the names of topic and frame.', choices=RECTIFIED)
    depth_slop_ms: float = parameter(
        SLOP_MS, 'How far apart the stamps of pose and depth may be.', minimum=0.0, maximum=1000.0)
    urdf: str = parameter(
        '', 'URDF of the arm, for inverse kinematics by Pinocchio: a file, package://NAME/file, either also xacro '
        'where that is installed, or robot_description, the topic. Empty: reach_max_m is used.', check=check_urdf)
    tip_frame: str = parameter('', "Frame of the URDF that is the gripper's base.")
    srdf: str = parameter(
        '', 'SRDF of the arm, whose disable_collisions name links that may touch. Empty: those that a joint '
        'connects, and those that touch in the neutral posture or in all.', check=is_file)
    joint_states_max_age_s: float = parameter(
        1.0, 'Positions on the topic joint_states that are older are ignored.', minimum=0.01, maximum=3600.0)
    base_from_root: tuple[float, ...] = parameter(
        (), "Pose of the URDF's root in the base frame: x, y, z, qx, qy, qz, qw, metres. Empty: the same place.")
    reach_max_m: float = parameter(
        0.0, 'How far the arm reaches from reach_shoulder. 0: any distance.', minimum=0.0, maximum=20.0)
    reach_min_m: float = parameter(
        0.0, 'Distance from reach_shoulder below which the arm cannot reach.', minimum=0.0, maximum=20.0)
    reach_shoulder: tuple[float, ...] = parameter((0.0, 0.0, 0.0), 'Its position in the base frame, metres.')


def mounted_camera_of(chosen: GraspPlannerParameters) -> MountedCamera | None:
    """The calibrated camera; None without one.

    :raises InvalidInputError: when its file cannot be used, or it is not the only statement of where the camera is
    """
    if not chosen.handeye:
        return None
    if chosen.base_from_camera:
        raise ParameterError('parameter handeye: expected without base_from_camera: both say where the camera is')
    mounted = load_mounted_camera(chosen.handeye)
    robot_frame = mounted.parent_frame if mounted.mounting == 'eye-to-hand' else mounted.held_frame
    if robot_frame != chosen.base_frame:
        raise ParameterError(f'parameter handeye: {chosen.handeye}: expected a calibration in the base frame '
                             f'{chosen.base_frame!r}, got {robot_frame!r}')
    return mounted


def planner_options(chosen: GraspPlannerParameters) -> PlannerOptions:
    """What the planner may do."""
    return PlannerOptions(
        pre_grasp_distance_m=chosen.pre_grasp_distance_m, lift_m=chosen.lift_m,
        max_approach_angle_rad=chosen.max_approach_angle_rad, min_clearance_m=chosen.min_clearance_m,
        min_success_probability=chosen.min_success_probability, enough_reachable=chosen.published_grasps,
        equal_success=chosen.equal_success_probability)


def reach_of(node: Node, chosen: GraspPlannerParameters, gripper: EndEffector) -> Reach | None:
    """The arm: by its URDF, else by its length; None when neither is given.

    :raises InvalidInputError: when Pinocchio is missing, or a parameter cannot be
    """
    if chosen.urdf:
        if not chosen.tip_frame:
            raise ParameterError('parameter tip_frame: with urdf given, expected the frame that is the '
                                 "gripper's base, got nothing")
        try:
            with scratch_folder() as folder:
                return UrdfReach(
                    urdf_file(node, chosen.urdf, Path(folder)), chosen.tip_frame, gripper.gripper_base_from_tcp,
                    pose_parameter('base_from_root', chosen.base_from_root), package_folders(),
                    gripper.boxes(gripper.max_opening_m), chosen.srdf)
        except (ReachError, ParameterError) as error:
            raise ParameterError(f'parameter urdf or tip_frame: {error}') from error
    if chosen.reach_max_m == 0.0:
        return None
    shoulder, = _rows('reach_shoulder', chosen.reach_shoulder or (0.0, 0.0, 0.0), ('x', 'y', 'z'), most=1)
    if chosen.reach_min_m >= chosen.reach_max_m:
        raise ParameterError(f'parameter reach_min_m: expected less than reach_max_m, {chosen.reach_max_m:g}, got '
                             f'{chosen.reach_min_m:g}')
    return ReachSphere(chosen.reach_max_m, chosen.reach_min_m, shoulder)


def fixed_scene(chosen: GraspPlannerParameters) -> Scene:
    """Support and obstacles that the parameters name.

    :raises ParameterError: when an obstacle cannot be
    """
    boxes = [_box(index, row) for index, row in enumerate(_rows('obstacle_boxes', chosen.obstacle_boxes, BOX))]
    spheres = []
    for index, row in enumerate(_rows('obstacle_spheres', chosen.obstacle_spheres, SPHERE)):
        if row[3] <= 0:
            raise ParameterError(f'parameter obstacle_spheres: sphere {index}: expected a radius above 0, got '
                                 f'{row[3]:g}')
        spheres.append(SphereObstacle(row[:3], float(row[3])))
    return Scene(chosen.support_height_m if chosen.support_plane else None, boxes, spheres,
                 support_normal=_support_normal(chosen))


def _support_normal(chosen: GraspPlannerParameters) -> np.ndarray | None:
    """(3,) of length 1; None where it is up."""
    normal, = _rows('support_normal', chosen.support_normal or (0.0, 0.0, 1.0), ('x', 'y', 'z'), most=1)
    length = np.linalg.norm(normal)
    if not normal[2] >= LEAST_SLOPE * length > 0:
        raise ParameterError('parameter support_normal: expected a direction at most 80 degrees from z, got '
                             f'{normal.tolist()}')
    return normal / length if np.any(normal[:2]) else None


def _box(index: int, row: np.ndarray) -> BoxObstacle:
    where = f'parameter obstacle_boxes: box {index}'
    if abs(np.linalg.norm(row[3:7]) - 1) > 1e-2:
        raise ParameterError(f'{where}: expected a quaternion qx, qy, qz, qw of length 1, got {row[3:7].tolist()}')
    if (row[7:] <= 0).any():
        raise ParameterError(f'{where}: expected sides above 0, got {row[7:].tolist()}')
    return BoxObstacle(transform_from_pose(row[:3], row[3:7]), row[7:] / 2)


def _rows(name: str, values: Sequence[float], of_one: Sequence[str], most: int | None = None) -> np.ndarray:
    """(N, len(of_one)) from a flat list."""
    each = len(of_one)
    numbers = np.array(values, dtype=float)
    if numbers.size % each or (most and numbers.size != most * each) or not np.isfinite(numbers).all():
        raise ParameterError(f'parameter {name}: expected {each} finite numbers{" each" if most is None else ""} '
                             f'({", ".join(of_one)}), got {numbers.size}: {list(values)}')
    return numbers.reshape(-1, each)
