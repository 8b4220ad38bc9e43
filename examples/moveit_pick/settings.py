# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: what differs from robot to robot (panda.yaml, ur5e.yaml), and what to pick."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields

from rclpy.node import Node
from rclpy.parameter import Parameter
from way import PickError

TYPES = {'str': Parameter.Type.STRING, 'float': Parameter.Type.DOUBLE, 'bool': Parameter.Type.BOOL,
         'list[str]': Parameter.Type.STRING_ARRAY, 'list[float]': Parameter.Type.DOUBLE_ARRAY}


@dataclass(frozen=True)
class Settings:
    """Those without a default have to be given."""

    group: str                            # MoveIt's planning group
    tool: str                             # the group's last link, whose pose is planned
    joints: list[str]                     # of the group, for a check of what MoveIt plans
    base_frame: str                       # of the grasps: the planner's base_frame
    tool_from_gripper_base: list[float]   # x, y, z, qx, qy, qz, qw of the planner's gripper base in the tool
    touch_links: list[str]                # links that may touch the object once it is held
    gripper: str                          # action of type control_msgs/action/GripperCommand
    gripper_closed: float                 # position of the gripper with nothing between the fingers
    gripper_empty_within: float           # closed as far as that, less this, it holds nothing
    check_grip: bool = True               # false where the gripper is faked, as in MoveIt's demo
    object: str = ''                      # class or instance such as box_1; empty: any
    plan_grasps: str = 'grasp_planner/plan_grasps'
    collision_object: str = 'grasp_planner/collision_object'
    monitor: str = 'monitor'              # which has begin_pick and end_pick; empty: it is not told
    speed: float = 0.2                    # share of the joints' greatest speeds and accelerations
    planning_s: float = 5.0               # for each motion
    answer_s: float = 15.0                # longest wait for any answer but a motion's
    motion_s: float = 60.0                # longest motion


def settings_of(node: Node) -> Settings:
    """Declare the parameters and read them.

    :raises PickError: when one that has no default is not given
    """
    values = {}
    for each in fields(Settings):
        default = TYPES[str(each.type)] if each.default is MISSING else each.default
        values[each.name] = node.declare_parameter(each.name, default).value
        if values[each.name] is None:
            raise PickError('settings', f'parameter {each.name}: expected a value for this robot, got none: give '
                                        'panda.yaml, ur5e.yaml or a file like them with --params-file')
    return Settings(**values)
