# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter
from ros_harness import running

from posegrasp_ros.geometry.transforms import look_at
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode, GraspPlannerParameters
from posegrasp_ros.nodes.monitor_node import MonitorParameters
from posegrasp_ros.nodes.perception_node import PerceptionParameters
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode, LifecycleParameters
from posegrasp_ros.ros.parameters import (
    ParameterError,
    parameter,
    pose_parameter,
    pose_values,
    read_parameters,
)


@dataclass(frozen=True)
class Example:
    count: int = parameter(3, 'How many.', minimum=1, maximum=9)
    share: float = parameter(0.5, 'How much.', minimum=0.0, maximum=1.0)
    kind: str = parameter('plain', 'Which one.', choices=('plain', 'fancy'))
    numbers: tuple[float, ...] = parameter((), 'Some numbers.')


class ExampleNode(AutostartLifecycleNode):
    PARAMETERS = Example

    def __init__(self, **options):
        super().__init__('example', **options)


def test_defaults_hold_without_anything_given():
    with running(ExampleNode) as harness:
        assert read_parameters(harness.node, Example) == Example()


def test_what_is_given_is_read_in_its_type():
    with running(ExampleNode, count=5, share=0.25, kind='fancy', numbers=[1.0, 2.0]) as harness:
        assert read_parameters(harness.node, Example) == Example(5, 0.25, 'fancy', (1.0, 2.0))


def test_the_description_tells_type_range_and_choices():
    with running(ExampleNode) as harness:
        count, kind, numbers = (harness.node.describe_parameter(name) for name in ('count', 'kind', 'numbers'))
    assert count.description == 'How many.'
    assert (count.integer_range[0].from_value, count.integer_range[0].to_value) == (1, 9)
    assert kind.additional_constraints == 'one of: plain, fancy'
    assert numbers.type == ParameterType.PARAMETER_DOUBLE_ARRAY


def test_the_service_answers_with_every_parameter_an_empty_list_too():
    """As `ros2 param dump` asks; rclpy answers with nothing where one has no value."""
    with running(GraspPlannerNode) as harness:
        client = harness.probe.create_client(GetParameters, '/grasp_planner/get_parameters')
        harness.spin_until(client.service_is_ready)
        names = [item.name for item in (*fields(GraspPlannerParameters), *fields(LifecycleParameters))]
        answer = client.call_async(GetParameters.Request(names=names))
        harness.spin_until(answer.done)
    values = dict(zip(names, answer.result().values))
    assert len(values) == len(names)
    assert values['obstacle_boxes'].type == ParameterType.PARAMETER_DOUBLE_ARRAY
    assert list(values['obstacle_boxes'].double_array_value) == []
    assert values['lift_m'].double_value > 0


@pytest.mark.parametrize('given', [{'count': 10}, {'count': 'many'}, {'share': 1.5}, {'numbers': ['one']}])
def test_a_value_of_wrong_type_or_out_of_range_is_refused(given):
    name = next(iter(given))
    with pytest.raises(ParameterError, match=f'parameter {name}: '), running(ExampleNode, **given):
        pass


@pytest.mark.parametrize('given', [{'numbers': [1.0, float('nan')]}, {'numbers': [float('inf')]}])
def test_numbers_of_a_list_have_to_be_finite(given):
    with running(ExampleNode, **given) as harness, pytest.raises(ParameterError, match='expected finite numbers'):
        read_parameters(harness.node, Example)


def test_a_text_that_is_no_choice_is_refused():
    with running(ExampleNode, kind='odd') as harness, pytest.raises(ParameterError, match='plain, fancy'):
        read_parameters(harness.node, Example)


def test_a_parameter_set_later_counts_from_the_next_configure_on():
    with running(ExampleNode) as harness:
        harness.start()
        harness.node.set_parameters([Parameter('count', value=7)])
        assert harness.node.parameters.count == 3
        harness.node.trigger_deactivate()
        harness.node.trigger_cleanup()
        harness.start()
        assert harness.node.parameters.count == 7


def test_a_pose_comes_back():
    pose = look_at((0.4, 0.1, 0.5), (0, 0, 0))
    np.testing.assert_allclose(pose_parameter('camera', pose_values(pose)), pose, atol=1e-12)
    assert pose_parameter('camera', ()) is None


@pytest.mark.parametrize('parameters', [
    LifecycleParameters, PerceptionParameters, GraspPlannerParameters, MonitorParameters])
def test_every_parameter_is_described(parameters):
    for item in parameters.__dataclass_fields__.values():
        assert item.metadata['description'].endswith('.'), item.name
