# SPDX-License-Identifier: Apache-2.0
"""The grasp planner with several models: plans for each object or for the target, the others are obstacles."""

from __future__ import annotations

import pytest
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from test_nodes_grasp_planner import BASE_FROM_OBJECT, pose

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode
from posegrasp_ros.ros import messages

# Box and can on the table, 25 cm apart.
ON_TABLE = {'box': [BASE_FROM_OBJECT], 'can': [make_transform(None, (0.05, 0.27, 0.05))]}


def send(harness, stamp_ns: int, found: dict[str, list], posed: tuple[str, ...] = ('box', 'can')) -> None:
    """What perception publishes of an image with both objects, in its order."""
    for name, instances in found.items():
        if instances and name in posed:
            harness.publisher(PoseWithCovarianceStamped, f'/{name}/pose').publish(
                pose(stamp_ns, 'base_link', instances[0]))
        harness.publisher(PoseArray, f'/{name}/poses').publish(
            messages.to_pose_array(messages.to_header(stamp_ns, 'base_link'), instances))


def test_each_object_is_planned_for_and_is_an_obstacle_to_the_other():
    with running(GraspPlannerNode, models=['box', 'can']) as harness:
        harness.start()
        reports = harness.reports()
        best = {name: harness.collect(PoseStamped, f'/grasp_planner/{name}/best_grasp') for name in ON_TABLE}
        paths = {name: harness.collect(Path, f'/grasp_planner/{name}/approach') for name in ON_TABLE}
        send(harness, 5, ON_TABLE)
        harness.spin_until(lambda: len(reports) == 2 and all(best.values()) and all(paths.values()))
    assert {(each.stamp_ns, each.object, each.ok, each.numbers['obstacles']) for each in reports} == {
        (5, 'box', True, 1.0), (5, 'can', True, 1.0)}
    for name, (instance,) in ON_TABLE.items():
        found = messages.transform_from(best[name][0].pose)[:3, 3]
        assert abs(found[1] - instance[1, 3]) < 0.1, 'the grasp is at its own object'


def test_only_the_target_is_planned_for_and_all_else_is_an_obstacle():
    with running(GraspPlannerNode, models=['box', 'can'], target='box') as harness:
        harness.start()
        reports = harness.reports()
        second_can = make_transform(None, (0.25, 0.27, 0.05))
        send(harness, 6, {'box': ON_TABLE['box'], 'can': [*ON_TABLE['can'], second_can]}, posed=('box',))
        harness.spin_until(lambda: reports)
        assert harness.probe.get_subscriptions_info_by_topic('/can/pose') == []
        assert harness.probe.get_publishers_info_by_topic('/grasp_planner/can/grasps') == []
    assert [(each.object, each.numbers['obstacles']) for each in reports] == [('box', 2.0)]


@pytest.mark.parametrize(('parameters', 'expected'), [
    ({'models': ['box', 'can'], 'target': 'mug'}, "parameter target: expected one of box, can, got 'mug'"),
    ({'model': 'box', 'target': 'can'}, "parameter target: expected one of box, got 'can'"),
    ({'models': ['box', 'can'], 'grasps': 'mine.yaml'}, 'parameter grasps: with several models'),
    ({'model': 'box', 'models': ['box', 'can']}, 'expected either model or models')])
def test_parameters_that_contradict_each_other_fail_configure(capfd, parameters, expected):
    with running(GraspPlannerNode, **parameters) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    lines = [line for line in capfd.readouterr().err.splitlines() if 'ERROR' in line]
    assert len(lines) == 1 and expected in lines[0]
