# SPDX-License-Identifier: Apache-2.0
"""How the four nodes are connected: names and remappings, for the launch files, the demo and the tests."""

from __future__ import annotations

# Node name -> (executable, {topic in the node: topic in the graph}). All names are relative, so a namespace works.
NODES: dict[str, tuple[str, dict[str, str]]] = {
    'perception': ('perception_node', {'image': 'image_raw'}),
    'grasp_planner': ('grasp_planner_node', {
        'pose': 'perception/pose', 'poses': 'perception/poses', 'detections': 'perception/detections'}),
    'simulator': ('simulator_node', {
        'approach': 'grasp_planner/approach',
        'gripper': 'grasp_planner/gripper',
        'perception_report': 'perception/report',
        'planning_report': 'grasp_planner/report',
    }),
    'monitor': ('monitor_node', {
        'pose': 'perception/pose',
        'perception_report': 'perception/report',
        'planning_report': 'grasp_planner/report',
        'execution_report': 'simulator/report',
    }),
}

# Which a launch file starts beside them, where it is asked to.
BESIDE: dict[str, tuple[str, dict[str, str]]] = {
    'board': ('board_node', {'image': 'image_raw'}), 'handeye': ('handeye_node', {'image': 'image_raw'})}


def remappings(name: str) -> list[tuple[str, str]]:
    """The remappings of a node, as launch_ros takes them."""
    return list((NODES | BESIDE)[name][1].items())
