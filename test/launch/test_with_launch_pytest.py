# SPDX-License-Identifier: Apache-2.0
"""Each launch file, included in a larger one: its nodes become active, and all processes end clean with it."""

from __future__ import annotations

import time

import pytest
from launched import why_not

pytest.importorskip('launch_pytest', reason='launch_pytest is not installed (PyPI has none)')
if why_not():
    pytest.skip(why_not(), allow_module_level=True)

import launch_pytest
import rclpy
from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_pytest.actions import ReadyToTest
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

from posegrasp_ros.ros.node_processes import free_domain
from posegrasp_ros.runtime.resources import resource_path

pytestmark = pytest.mark.launch_file
PIPELINE = ('perception', 'grasp_planner', 'monitor')
NODES_OF = {'pipeline': PIPELINE, 'simulation': (*PIPELINE, 'simulator'), 'replay': PIPELINE,
            'board': ('board',), 'handeye': ('handeye',)}
NEEDS_BAG = pytest.mark.skipif('ros2bag' not in get_packages_with_prefixes(),
                               reason='ros2bag, which plays the recording, is not installed')
LIMIT_S = 90.0


@pytest.fixture
def domain(monkeypatch):
    """An exclusive ROS domain, also for what the launch itself has of ROS."""
    with free_domain() as number:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(number))
        yield number


@pytest.fixture
def exits() -> dict[str, int]:
    """Exit codes by process, once they have ended."""
    return {}


@launch_pytest.fixture
def included(name, namespace, domain, beside, scripted_model, tmp_path, exits):
    """A launch file as another one includes it."""
    given = {'simulation': (f'model:={scripted_model}', 'estimator:=oracle', 'picks:=0',
                            f'out:={tmp_path / "run"}'),
             'replay': (f'bag:={tmp_path / "bag"}', *beside['pipeline']), **beside}[name]
    file = PythonLaunchDescriptionSource(str(resource_path(f'launch/{name}.launch.py')))
    arguments = [tuple(each.split(':=', 1)) for each in (*given, f'namespace:={namespace}')]

    def note(event, context):
        exits[event.process_name] = event.returncode

    return LaunchDescription([RegisterEventHandler(OnProcessExit(on_exit=note)),
                              IncludeLaunchDescription(file, launch_arguments=arguments), ReadyToTest()])


def wait_until_active(nodes: list[str], domain: int) -> None:
    """Ask each node for its state until all are active."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    try:
        asking = rclpy.create_node('asking', context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(asking)
        waiting = {name: asking.create_client(GetState, f'{name}/get_state') for name in nodes}
        until_s = time.monotonic() + LIMIT_S
        while waiting:
            assert time.monotonic() < until_s, f'not active: {sorted(waiting)}'
            for name, client in list(waiting.items()):
                answer = client.call_async(GetState.Request())
                executor.spin_until_future_complete(answer, timeout_sec=1.0)
                if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                    del waiting[name]
        asking.destroy_node()
    finally:
        context.try_shutdown()


@pytest.mark.launch(fixture=included)
@pytest.mark.parametrize('namespace', ['', 'cell'])
@pytest.mark.parametrize('name', [pytest.param(name, marks=NEEDS_BAG if name == 'replay' else ())
                                  for name in sorted(NODES_OF)])
def test_the_nodes_become_active_and_end_with_the_launch(name, namespace, domain, exits):
    wait_until_active([f'/{namespace}/{node}'.replace('//', '/') for node in NODES_OF[name]], domain)
    assert exits == {}
    yield
    started = {process.rsplit('-', 1)[0] for process in exits}
    assert started >= {f'{node}_node' for node in NODES_OF[name]}
    assert set(exits.values()) == {0}, exits
