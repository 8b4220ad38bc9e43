# SPDX-License-Identifier: Apache-2.0
"""config/diagnostics_aggregator.yaml takes what the nodes publish on /diagnostics, and nothing else.

Matching and the parameters are those of GenericAnalyzer in ros/diagnostics, which is C++ and not installed here.
"""

from __future__ import annotations

import re

import pytest
import yaml

pytest.importorskip('diagnostic_msgs', reason='ROS messages are not installed')

from builtin_interfaces.msg import Time

from posegrasp_ros.monitoring.callback_failures import TASK
from posegrasp_ros.monitoring.liveness import OK, Health
from posegrasp_ros.ros.graph import BESIDE, NODES
from posegrasp_ros.ros.messages import to_diagnostics
from posegrasp_ros.runtime.resources import resource_path

TYPES = {'type': str, 'path': str, 'regex': list, 'startswith': list, 'contains': list, 'expected': list,
         'timeout': float, 'discard_stale': bool, 'num_items': int}
WAYS = {'regex', 'startswith', 'contains', 'expected'}


@pytest.fixture(scope='module')
def analyzers() -> dict[str, dict]:
    parameters = yaml.safe_load(resource_path('config/diagnostics_aggregator.yaml').read_text())['/**']
    return {name: given for name, given in parameters['ros__parameters'].items() if isinstance(given, dict)}


def matches(analyzer: dict, name: str) -> bool:
    """As GenericAnalyzer::match."""
    return (any(re.fullmatch(each, name) for each in analyzer.get('regex', ()))
            or name in analyzer.get('expected', ())
            or any(name.startswith(each) for each in analyzer.get('startswith', ()))
            or any(each in name for each in analyzer.get('contains', ())))


def test_every_analyzer_has_what_the_aggregator_reads_and_nothing_else(analyzers):
    for given in analyzers.values():
        assert given['type'] == 'diagnostic_aggregator/GenericAnalyzer' and given['path'] and WAYS & set(given)
        assert all(isinstance(value, TYPES[key]) for key, value in given.items())
    assert len({given['path'] for given in analyzers.values()}) == len(analyzers)


@pytest.mark.parametrize('namespace', ['/', '/cell/', '/cell/left/'])
@pytest.mark.parametrize('node', sorted(NODES | BESIDE))
def test_each_node_is_in_one_analyzer_in_any_namespace(analyzers, namespace, node):
    message = to_diagnostics(Time(), f'{namespace}{node}'.lstrip('/'), [Health(TASK, OK, '', {})])
    taken_by = [name for name, given in analyzers.items() if matches(given, message.status[0].name)]
    assert len(taken_by) == 1
    assert analyzers[taken_by[0]].get('discard_stale', False) == (node in BESIDE or node == 'simulator')


@pytest.mark.parametrize('name', ['cpu_monitor: CPU Information', 'ntp_monitor: NTP offset from host to pool',
                                  'cell/robot_monitor: arm', 'my_perception: camera', 'switchboard: ports'])
def test_other_nodes_are_left_alone(analyzers, name):
    assert not any(matches(given, name) for given in analyzers.values())
