# SPDX-License-Identifier: Apache-2.0
"""examples/moveit_pick against a planner, MoveIt, a gripper and a monitor that are faked, over real topics."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='rclpy is not installed')
EXAMPLE = Path(__file__).resolve().parent.parent / 'examples/moveit_pick'
sys.path.append(str(EXAMPLE))
for package in ('moveit_msgs', 'grasping_msgs', 'control_msgs'):
    pytest.importorskip(f'{package}.action', reason=f'{package} is not installed (PyPI has none)')

import rclpy  # noqa: E402
from control_msgs.action import GripperCommand  # noqa: E402
from geometry_msgs.msg import PoseWithCovarianceStamped  # noqa: E402
from grasping_msgs.action import GraspPlanning  # noqa: E402
from moveit_msgs.action import ExecuteTrajectory, MoveGroup  # noqa: E402
from moveit_msgs.msg import CollisionObject, Grasp, MoveItErrorCodes  # noqa: E402
from moveit_msgs.srv import ApplyPlanningScene, GetCartesianPath  # noqa: E402
from moveit_requests import error_name  # noqa: E402
from rclpy.action import ActionServer, CancelResponse  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.executors import MultiThreadedExecutor  # noqa: E402
from settings import settings_of  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from posegrasp_ros.geometry.transforms import make_transform  # noqa: E402
from posegrasp_ros.ros import messages, qos  # noqa: E402
from posegrasp_ros.ros.collision_objects import SUPPORT  # noqa: E402
from posegrasp_ros.ros.node_processes import free_domain  # noqa: E402

STAMP = 7_000_000_000
HELD_AT, CLOSED_AT = 0.02, 0.0
PANDA = yaml.safe_load((EXAMPLE / 'panda.yaml').read_text())['moveit_pick']['ros__parameters']


def grasp(rank):
    """Straight down; each rank 10 cm further along x, so that the fakes can tell them apart."""
    down = np.diag([1.0, -1.0, -1.0])
    found = Grasp(id=f'{STAMP}_{rank}', grasp_quality=0.9 - rank / 10, max_contact_force=40.0)
    found.grasp_pose = messages.to_pose_stamped(messages.to_header(STAMP, 'panda_link0'),
                                                make_transform(down, (0.3 + rank / 10, 0.0, 0.2)))
    found.pre_grasp_posture = JointTrajectory(joint_names=['panda_finger_joint1'],
                                              points=[JointTrajectoryPoint(positions=[0.04])])
    found.pre_grasp_approach.direction.vector.z, found.pre_grasp_approach.desired_distance = -1.0, 0.1
    found.post_grasp_retreat.direction.vector.z, found.post_grasp_retreat.desired_distance = 1.0, 0.15
    return found


class Fakes:
    """Whom the example asks; what they were asked is in ``done``, what they answer in the other fields."""

    def __init__(self, domain, plans=True):
        self.domain, self.done, self.scene, self.ended = domain, [], {}, []
        self.grasps = [grasp(0), grasp(1)]
        self.planning = {}                    # rank -> error code
        self.fractions = {}                   # (rank, height of the end) -> share of the straight line
        self.execution = MoveItErrorCodes.SUCCESS
        self.grips = [HELD_AT, HELD_AT]       # where the gripper stops when it closes, one after the other
        self.picks = STAMP                    # image that the monitor means
        self.holds = threading.Event()        # motions last until then
        self.holds.set()
        self.node = node = rclpy.create_node('fakes')
        group = ReentrantCallbackGroup()
        if plans:
            self.objects = node.create_publisher(CollisionObject, 'grasp_planner/collision_object', qos.RESULT)
            ActionServer(node, GraspPlanning, 'grasp_planner/plan_grasps', self.plan_grasps, callback_group=group)
        for kind, name, execute in ((MoveGroup, 'move_action', self.plan),
                                    (ExecuteTrajectory, 'execute_trajectory', self.execute),
                                    (GripperCommand, PANDA['gripper'], self.grip)):
            ActionServer(node, kind, name, execute, cancel_callback=lambda _: CancelResponse.ACCEPT,
                         callback_group=group)
        for kind, name, answer in ((GetCartesianPath, 'compute_cartesian_path', self.line),
                                   (ApplyPlanningScene, 'apply_planning_scene', self.apply),
                                   (Trigger, 'monitor/begin_pick', self.begin),
                                   (SetBool, 'monitor/end_pick', self.end)):
            node.create_service(kind, name, answer, callback_group=group)
        self.executor = MultiThreadedExecutor(4)
        self.executor.add_node(node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()


    def plan_grasps(self, handle):
        self.done.append(('asked for', handle.request.object.name))
        header = messages.to_header(STAMP, 'panda_link0')
        for name in (SUPPORT, 'box') if self.grasps else ():
            each = CollisionObject(header=header, id=name, operation=CollisionObject.ADD)
            each.pose.orientation.w = 1.0
            self.objects.publish(each)
        (handle.succeed if self.grasps else handle.abort)()
        return GraspPlanning.Result(grasps=self.grasps)

    def plan(self, handle):
        request, result = handle.request.request, MoveGroup.Result()
        at, = request.goal_constraints[0].position_constraints
        where = at.constraint_region.primitive_poses[0].position
        rank = round((where.x - 0.3) * 10)
        assert handle.request.planning_options.plan_only and set(self.scene) == {SUPPORT, 'box'}
        assert (at.link_name, at.header.frame_id) == ('panda_link8', 'panda_link0')
        self.done.append(('planned', rank))
        result.error_code.val = self.planning.get(rank, MoveItErrorCodes.SUCCESS)
        if result.error_code.val == MoveItErrorCodes.SUCCESS:
            result.planned_trajectory.joint_trajectory = self.trajectory(where)
        (handle.succeed if result.error_code.val == MoveItErrorCodes.SUCCESS else handle.abort)()
        return result

    def line(self, request, response):
        end, = request.waypoints
        rank = round((end.position.x - 0.3) * 10)
        assert set(self.scene) == {SUPPORT} and request.avoid_collisions
        starts_at = request.start_state.joint_state.position[2]
        response.fraction = self.fractions.get((rank, round(end.position.z, 6)), 1.0)
        response.error_code.val = MoveItErrorCodes.SUCCESS
        response.solution.joint_trajectory = self.trajectory(end.position)
        self.done.append(('line', rank, round(starts_at, 6), round(end.position.z, 6)))
        return response

    def trajectory(self, end):
        """One whose first three joints are the tool's place."""
        return JointTrajectory(joint_names=PANDA['joints'], points=[
            JointTrajectoryPoint(positions=[end.x, end.y, end.z, 0.0, 0.0, 0.0, 0.0])])

    def execute(self, handle):
        points = handle.request.trajectory.joint_trajectory.points
        self.done.append(('moved to', round(points[-1].positions[2], 6)))
        while not self.holds.is_set():
            if handle.is_cancel_requested:
                self.done.append(('stopped',))
                handle.canceled()
                return ExecuteTrajectory.Result(error_code=MoveItErrorCodes(val=MoveItErrorCodes.PREEMPTED))
            time.sleep(0.01)
        (handle.succeed if self.execution == MoveItErrorCodes.SUCCESS else handle.abort)()
        return ExecuteTrajectory.Result(error_code=MoveItErrorCodes(val=self.execution))

    def grip(self, handle):
        command = handle.request.command
        closes = command.position == CLOSED_AT
        position = self.grips.pop(0) if closes else command.position
        self.done.append(('closed' if closes else 'opened', round(command.max_effort, 3)))
        handle.succeed()
        return GripperCommand.Result(position=position, stalled=position != command.position,
                                     reached_goal=position == command.position)

    def apply(self, request, response):
        for each in request.scene.world.collision_objects:
            if each.operation == CollisionObject.ADD:
                self.scene[each.id] = each
            else:
                del self.scene[each.id]
        for held in request.scene.robot_state.attached_collision_objects:
            self.done.append(('held', held.object.id, round(held.object.pose.position.z, 6), held.link_name))
        response.success = True
        return response

    def begin(self, _request, response):
        response.success, response.message = True, f'grasp {self.picks}_0, the best of the image with stamp ... ns'
        self.done.append(('begun',))
        return response

    def end(self, request, response):
        self.ended.append(request.data)
        response.success = True
        return response

    def did(self, *kinds):
        """What was done of these kinds, in order."""
        return [each for each in self.done if each[0] in kinds]

    def close(self):
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()


@pytest.fixture
def fakes(request):
    with free_domain() as domain:
        rclpy.init(domain_id=domain)
        fakes = Fakes(domain, plans=getattr(request, 'param', True))
        try:
            yield fakes
        finally:
            fakes.holds.set()
            fakes.close()
            rclpy.try_shutdown()


class Ended(NamedTuple):
    """The error that a pick ended with, as the log has it."""

    reason: str
    text: str

    def __str__(self):
        return self.text


@pytest.fixture
def attempt(fakes, tmp_path):
    """Pick once, in another process as on a robot; what was said, and the error."""
    def attempt(**changed):
        values = {'object': 'box_1', 'answer_s': 30.0, **changed}
        given = [text for name, value in values.items() for text in ('-p', f'{name}:={json.dumps(value)}')]
        process = start(fakes, tmp_path, '--params-file', EXAMPLE / 'panda.yaml', *given)
        said, _ = process.communicate(timeout=120)
        told = re.findall(r'\[(INFO|ERROR)\] \[[\d.]+\] \[moveit_pick\]: (.*)', said)
        errors = [Ended(*text.split(': ', 1)) for level, text in told if level == 'ERROR']
        assert process.returncode == (0 if not errors else 2 if errors[-1].reason == 'settings' else 1), said
        return [text for level, text in told if level == 'INFO'], errors[-1] if errors else None

    return attempt


def test_a_pick_plans_the_whole_way_then_moves_closes_lifts_and_tells_the_monitor(fakes, attempt):
    said, error = attempt()
    assert error is None and fakes.ended == [True]
    assert fakes.done == [
        ('asked for', 'box_1'), ('begun',), ('opened', 40.0), ('planned', 0), ('line', 0, 0.3, 0.2),
        ('line', 0, 0.2, 0.35), ('moved to', 0.3), ('moved to', 0.2), ('closed', 40.0), ('moved to', 0.35),
        ('closed', 40.0), ('held', 'box', 0.15, 'panda_link8')]
    assert said == ['2 grasps, the best with probability of success 0.90', f'grasp {STAMP}_0']


@pytest.mark.parametrize('change', [
    {'planning': {0: MoveItErrorCodes.PLANNING_FAILED}}, {'fractions': {(0, 0.2): 0.4}},
    {'fractions': {(0, 0.35): 0.0}}])
def test_where_the_best_grasp_is_not_reachable_the_second_is_and_nothing_moved_before(fakes, attempt, change):
    vars(fakes).update(change)
    said, error = attempt()
    assert error is None and fakes.ended == [True]
    assert [each[1] for each in fakes.did('planned')] == [0, 1]
    first = fakes.done.index(('moved to', 0.3))
    assert ('planned', 1) in fakes.done[:first] and f'grasp {STAMP}_1' in said
    assert f'not reachable: {STAMP}_0: ' in said[1]


def test_where_move_group_aborts_for_all_the_pick_fails_with_each_reason_and_nothing_has_moved(fakes, attempt):
    fakes.planning = {0: MoveItErrorCodes.PLANNING_FAILED, 1: MoveItErrorCodes.GOAL_IN_COLLISION}
    _, error = attempt()
    assert error.reason == 'unreachable' and 'none of 2 grasps is reachable' in str(error)
    assert 'PLANNING_FAILED' in str(error) and 'GOAL_IN_COLLISION' in str(error)
    assert not fakes.did('moved to', 'closed') and fakes.ended == [False]


def test_where_the_planner_has_no_grasp_nothing_moves_and_no_pick_begins(fakes, attempt):
    fakes.grasps = []
    _, error = attempt()
    assert error.reason == 'no_grasp' and 'no grasp of box_1' in str(error)
    assert fakes.done == [('asked for', 'box_1')] and fakes.ended == []


@pytest.mark.parametrize(('grips', 'reason', 'moves'), [
    ([CLOSED_AT], 'missed', 2), ([HELD_AT, 0.0005], 'slipped', 3)])
def test_a_gripper_that_holds_nothing_is_told_as_failed(fakes, attempt, grips, reason, moves):
    fakes.grips = list(grips)
    _, error = attempt()
    assert error.reason == reason and 'closed it is at 0' in str(error)
    assert len(fakes.did('moved to')) == moves and fakes.ended == [False] and not fakes.did('held')


def test_a_faked_gripper_is_not_checked_where_that_is_said(fakes, attempt):
    fakes.grips = [CLOSED_AT, CLOSED_AT]
    assert attempt(check_grip=False)[1] is None and fakes.ended == [True]


def test_a_motion_that_fails_ends_the_pick(fakes, attempt):
    fakes.execution = MoveItErrorCodes.CONTROL_FAILED
    _, error = attempt()
    assert (error.reason, str(error)) == ('motion', 'to the pose before the grasp: CONTROL_FAILED')
    assert len(fakes.did('moved to')) == 1 and fakes.ended == [False]


def test_a_motion_that_lasts_too_long_is_stopped(fakes, attempt):
    fakes.holds.clear()
    _, error = attempt(motion_s=1.0)
    assert error.reason == 'no_result' and 'action execute_trajectory: no result within 1 s' in str(error)
    assert 'has ended' in str(error) and fakes.did('stopped') and fakes.ended == [False]


def test_a_monitor_that_means_another_image_ends_the_pick_before_anything_moves(fakes, attempt):
    fakes.picks = STAMP + 1
    _, error = attempt(answer_s=8.0)
    assert error.reason == 'monitor' and f'does not mean {STAMP}_0' in str(error)
    assert 'continuous: true' in str(error) and not fakes.did('opened', 'moved to') and fakes.ended == []


@pytest.mark.parametrize(('changed', 'said'), [
    ({'gripper': 'none/gripper_cmd', 'answer_s': 8.0}, 'action none/gripper_cmd: nobody serves it within 8 s'),
    ({'monitor': 'none', 'answer_s': 8.0}, 'service none/begin_pick: nobody serves it within 8 s'),
    ({'base_frame': 'base_link'}, 'grasps are in panda_link0, expected base_link'),
    ({'joints': ['elbow']}, 'parameter joints: MoveIt plans panda_joint1'),
    ({'collision_object': 'elsewhere', 'answer_s': 8.0},
     'topic elsewhere: the planner does not publish it within')])
def test_what_is_missing_or_wrong_is_named(fakes, attempt, changed, said):
    _, error = attempt(**changed)
    assert said in str(error) and not fakes.did('moved to')


def test_without_a_monitor_nobody_is_told(fakes, attempt):
    assert attempt(monitor='')[1] is None and fakes.ended == [] and not fakes.did('begun')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_arm_and_tells_the_monitor(fakes, number, tmp_path):
    fakes.holds.clear()
    process = start(fakes, tmp_path, '--params-file', EXAMPLE / 'panda.yaml', '-p', 'object:=box')
    until_s = time.monotonic() + 30
    while not fakes.did('moved to') and time.monotonic() < until_s and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130 and 'the goal that was under way has ended' in said, said
    assert fakes.did('moved to', 'stopped') == [('moved to', 0.3), ('stopped',)] and fakes.ended == [False]


@pytest.mark.parametrize(('arguments', 'code', 'said'), [
    ((), 2, 'parameter group: expected a value for this robot, got none'),
    (('--params-file', EXAMPLE / 'panda.yaml', '-p', 'object:=box'), 0, 'lifted')])
def test_the_program_ends_with_a_code_that_tells_how_it_went(fakes, tmp_path, arguments, code, said):
    process = start(fakes, tmp_path, *arguments)
    found, _ = process.communicate(timeout=60)
    assert process.returncode == code and said in found, found


def start(fakes, folder, *arguments):
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE / 'moveit_pick.py'), '--ros-args', *map(str, arguments)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(fakes.domain), 'ROS_LOG_DIR': str(folder)})


@pytest.mark.parametrize('fakes', [False], indirect=True)
def test_with_the_real_planner_the_tool_goes_where_the_box_is(fakes, attempt, tmp_path):
    planner = subprocess.Popen(
        [sys.executable, '-m', 'posegrasp_ros.nodes.scripts', 'grasp_planner_node', '--ros-args', '-p',
         'base_frame:=panda_link0', '-p', 'continuous:=false', '-p', 'request_timeout_s:=60.0'],
        env={**os.environ, 'ROS_DOMAIN_ID': str(fakes.domain), 'ROS_LOG_DIR': str(tmp_path)})
    poses = fakes.node.create_publisher(PoseWithCovarianceStamped, 'pose', 10)
    message = PoseWithCovarianceStamped()
    message.header.frame_id = 'panda_link0'
    message.pose.pose.position.x, message.pose.pose.position.z = 0.45, 0.0225

    def see():
        message.header.stamp = fakes.node.get_clock().now().to_msg()
        poses.publish(message)

    fakes.node.create_timer(0.1, see)
    try:
        said, error = attempt(object='box', monitor='', answer_s=60.0)
    finally:
        planner.send_signal(signal.SIGINT)
        planner.wait(20)
    assert error is None, (said, error)
    (_, before_m), (_, grasp_m), (_, lifted_m) = fakes.did('moved to')
    # The flange is a hand and its fingers, 10 cm, from the box, which is 4.5 cm high.
    assert 0.05 < grasp_m < 0.2 and grasp_m < before_m and lifted_m == pytest.approx(grasp_m + 0.1, abs=1e-5)
    assert fakes.did('held')[0][1] == 'box'


@pytest.mark.parametrize('robot', ['panda', 'ur5e'])
def test_the_files_of_the_robots_give_all_that_has_no_default(fakes, robot):
    arguments = ['--ros-args', '--params-file', str(EXAMPLE / f'{robot}.yaml')]
    node = rclpy.create_node('moveit_pick', cli_args=arguments)
    chosen = settings_of(node)
    node.destroy_node()
    assert len(chosen.tool_from_gripper_base) == 7 and chosen.joints and chosen.gripper.endswith('/gripper_cmd')
    assert abs(np.linalg.norm(chosen.tool_from_gripper_base[3:]) - 1) < 1e-9


def test_errors_of_moveit_have_their_names():
    assert error_name(MoveItErrorCodes(val=-31, message='too far')) == 'NO_IK_SOLUTION: too far'
    assert error_name(SimpleNamespace(val=-999)) == 'error -999'
