# SPDX-License-Identifier: Apache-2.0
"""The action ``~/plan_grasps`` (grasping_msgs/action/GraspPlanning), where grasping_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup

from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.moveit_grasps import MoveitMessages, moveit_messages, to_moveit_grasp
from posegrasp_ros.ros.optional import import_optional
from posegrasp_ros.ros.plan_requests import CANCELED, PlanRequest
from posegrasp_ros.ros.qos import REQUESTS
from posegrasp_ros.runtime.errors import escaped

Ask = Callable[[str], PlanRequest]


def plan_grasps_action(node: AutostartLifecycleNode, ask: Ask, cancel: Callable[[PlanRequest], None],
                       end_effector: Callable[[], EndEffector]) -> PlanGraspsAction | None:
    """The action; None, and a line in the log, where grasping_msgs or moveit_msgs is not installed."""
    grasping, moveit = import_optional('grasping_msgs.action'), moveit_messages()
    if grasping is None or moveit is None:
        node.say_once('grasping_msgs is not installed: the action ~/plan_grasps is not served, the service ~/plan '
                      'is')
        return None
    return PlanGraspsAction(node, grasping.GraspPlanning, moveit, ask, cancel, end_effector)


class PlanGraspsAction:
    """Serves goals for as long as the node exists; while it is not active, goals are rejected.

    The action has no field for a reason: what ends a goal without grasps is in the log.

    :param ask: makes a request for the object or the instance of a name
    :param cancel: ends a request
    :param end_effector: of the planned grasps
    """

    def __init__(self, node: AutostartLifecycleNode, action: type, types: MoveitMessages, ask: Ask,
                 cancel: Callable[[PlanRequest], None], end_effector: Callable[[], EndEffector]):
        self._node, self._action = node, cast(Any, action)
        self._types, self._ask, self._cancel, self._end_effector = types, ask, cancel, end_effector
        self._requests: dict[bytes, PlanRequest] = {}
        self._canceled: set[bytes] = set()
        # While a goal waits, its callback group is busy: the poses that it waits for are in another.
        self._server = ActionServer(
            node, action, '~/plan_grasps', self._execute, goal_callback=self._on_goal,
            cancel_callback=self._on_cancel, callback_group=ReentrantCallbackGroup(),
            goal_service_qos_profile=REQUESTS, result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS)

    def _on_goal(self, _goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT if self._node.is_active else GoalResponse.REJECT

    def _on_cancel(self, handle: Any) -> CancelResponse:
        key = bytes(handle.goal_id.uuid)
        self._canceled.add(key)
        if key in self._requests:
            self._cancel(self._requests[key])
        return CancelResponse.ACCEPT

    async def _execute(self, handle: Any) -> Any:
        """Wait for the plan; each goal ends in one result."""
        key, wanted, result = bytes(handle.goal_id.uuid), handle.request.object.name, self._action.Result()
        request = self._requests[key] = self._ask(wanted)
        if key in self._canceled:
            self._cancel(request)
        try:
            reply = await request.answered()
        finally:
            self._requests.pop(key, None)
            self._canceled.discard(key)
        self._node.get_logger().info(escaped(f'plan_grasps for {wanted or "any object"}: {reply.text}'))
        if reply.plan and reply.header and not reply.reason:
            result.grasps = [to_moveit_grasp(self._types, reply.header, self._end_effector(), grasp, rank)
                             for rank, grasp in enumerate(reply.plan.grasps)]
        if handle.is_cancel_requested:
            handle.canceled()
        elif reply.reason == CANCELED or not result.grasps:
            handle.abort()
        else:
            handle.succeed()
        return result
