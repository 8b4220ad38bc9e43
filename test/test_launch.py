from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

from posegrasp_ros.graph import NODES
from posegrasp_ros.resources import resource_path

FILES = sorted(resource_path('launch').glob('*.launch.py'))
HAS_LAUNCH = importlib.util.find_spec('launch_ros') is not None
HAS_ROS = importlib.util.find_spec('rclpy') is not None
needs_launch = pytest.mark.skipif(not HAS_LAUNCH, reason='launch and launch_ros are not installed (PyPI has none)')
needs_ros = pytest.mark.skipif(not HAS_ROS, reason='rclpy is not installed')


def is_indexed() -> bool:
    """Whether ROS finds the package: built by colcon and sourced."""
    if not HAS_LAUNCH:
        return False
    from ament_index_python.packages import get_packages_with_prefixes
    return 'posegrasp_ros' in get_packages_with_prefixes()


def description_of(path: Path):
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    return PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())


@needs_launch
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_argument_is_described(path):
    arguments = description_of(path).get_launch_arguments()
    assert len(arguments) > 5
    for argument in arguments:
        assert argument.description.endswith('.'), argument.name
    assert [argument.name for argument in arguments if argument.default_value is None] == (
        ['bag'] if 'replay' in path.stem else [])


@needs_launch
@pytest.mark.skipif(not is_indexed(), reason='posegrasp_ros is not built by colcon and sourced')
@pytest.mark.parametrize('namespace', ['', 'cell'])
def test_the_simulation_launch_picks_and_ends(scripted_model, tmp_path, namespace):
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    given = {'model': str(scripted_model), 'estimator': 'oracle', 'picks': '2', 'namespace': namespace,
             'out': str(tmp_path / 'run')}
    service = LaunchService()
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(resource_path('launch/simulation.launch.py'))),
        launch_arguments=given.items())]))
    assert service.run() == 0
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert summary['stages']['execution']['inputs'] == 2


@needs_ros
@pytest.mark.parametrize('name', NODES)
def test_the_parameter_file_states_the_defaults(name):
    from dataclasses import asdict
    module = importlib.import_module(f'posegrasp_ros.nodes.{NODES[name][0]}')
    node = next(value for value in vars(module).values()
                if hasattr(value, 'PARAMETERS') and value.__module__ == module.__name__)
    stated = yaml.safe_load(resource_path('config/posegrasp.yaml').read_text())[f'/**/{name}']['ros__parameters']
    defaults = asdict(node.PARAMETERS())
    assert {key: defaults.get(key) for key in stated} == stated


@needs_ros
def test_rviz_shows_topics_that_the_nodes_publish():
    config = yaml.safe_load(resource_path('rviz/posegrasp.rviz').read_text())
    shown = {display['Topic']['Value'] for display in config['Visualization Manager']['Displays']
             if 'Topic' in display}
    for topic in shown:
        name, private = topic.split('/')
        source = Path(sys.modules[f'posegrasp_ros.nodes.{NODES[name][0]}'].__file__).read_text()
        assert f"'~/{private}'" in source, topic
    assert len(shown) >= 5
