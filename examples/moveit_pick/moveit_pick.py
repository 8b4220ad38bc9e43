# SPDX-License-Identifier: Apache-2.0
"""Picks an object with MoveIt 2: of the planner's grasps the first that the arm can do; the monitor is told.

    cd examples/moveit_pick
    python moveit_pick.py --ros-args --params-file panda.yaml -p object:=box

Ends with 0 when the object was lifted, 1 when not, 2 when the robot is not described, 130 after Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from monitor import Monitor
from moveit_msgs.msg import CollisionObject, Grasp
from rclpy.signals import SignalHandlerOptions
from robot import Motions, Robot
from servers import Servers
from settings import Settings, settings_of
from way import PickError, Way, holds, way_of

Say = Callable[[str], Any]


def pick(robot: Robot, monitor: Monitor, chosen: Settings, say: Say) -> None:
    """One pick; it begins for the monitor when there are grasps, and ends there however it ends.

    :raises PickError: when the object is not lifted
    """
    grasps = robot.grasps()
    say(f'{len(grasps)} grasps, the best with probability of success {grasps[0].grasp_quality:.2f}')
    target = robot.add_to_scene(grasps[0])
    monitor.begin(grasps[0].id)
    try:
        way, motions = first_reachable(robot, grasps, target, chosen, say)
        carry_out(robot, way, motions, chosen, say)
    except Exception:
        monitor.end(False)
        raise
    monitor.end(True)
    robot.attach(target, way.lifted[:3, 3] - way.at_grasp[:3, 3])


def first_reachable(robot: Robot, grasps: Sequence[Grasp], target: CollisionObject, chosen: Settings,
                    say: Say) -> tuple[Way, Motions]:
    """The best grasp whose whole way MoveIt can plan; until then only the gripper moves."""
    failures = []
    for grasp in grasps:
        way = way_of(grasp, chosen.tool_from_gripper_base)
        robot.grip(way.open_at, way.force_n)
        try:
            return way, robot.plan(way, target)
        except PickError as error:
            if error.reason != 'unreachable':
                raise
            failures.append(f'{grasp.id}: {error}')
            say(f'not reachable: {failures[-1]}')
    raise PickError('unreachable', f'none of {len(grasps)} grasps is reachable: {"; ".join(failures)}')


def carry_out(robot: Robot, way: Way, motions: Motions, chosen: Settings, say: Say) -> None:
    """Approach, close, lift; what closed on nothing, or closes further once lifted, holds nothing."""
    say(f'grasp {way.grasp_id}')
    robot.move(motions.to_before, 'to the pose before the grasp')
    robot.move(motions.to_grasp, 'to the grasp')
    check_grip(robot.grip(chosen.gripper_closed, way.force_n), chosen, 'missed', 'the gripper closed on nothing')
    robot.move(motions.to_lifted, 'to lift it')
    check_grip(robot.grip(chosen.gripper_closed, way.force_n), chosen, 'slipped', 'lost on the way up')


def check_grip(position: float, chosen: Settings, reason: str, text: str) -> None:
    if chosen.check_grip and not holds(position, chosen.gripper_closed, chosen.gripper_empty_within):
        raise PickError(reason, f'{text}: the gripper is at {position:g}, closed it is at '
                                f'{chosen.gripper_closed:g}')


def main(arguments: list[str] | None = None) -> int:
    # rclpy's own handlers would end the connection before the arm is stopped.
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('moveit_pick')
    log = node.get_logger()
    try:
        chosen = settings_of(node)
        servers = Servers(node, chosen.answer_s)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, servers.interrupt)
        monitor = Monitor(node, servers, chosen.monitor)
        try:
            pick(Robot(node, servers, chosen), monitor, chosen, log.info)
        except KeyboardInterrupt:
            log.warning(f'interrupted: {servers.stop()}')
            monitor.end(False)
            return 130
    except PickError as error:
        log.error(f'{error.reason}: {error}')
        return 2 if error.reason == 'settings' else 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    print('lifted')
    return 0


if __name__ == '__main__':
    sys.exit(main())
