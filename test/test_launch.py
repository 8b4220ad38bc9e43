# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.ros.graph import BESIDE, NODES
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path

FILES = sorted(resource_path('launch').glob('*.launch.py'))
HAS_LAUNCH = importlib.util.find_spec('launch_ros') is not None
HAS_ROS = importlib.util.find_spec('rclpy') is not None
needs_launch = pytest.mark.skipif(not HAS_LAUNCH, reason='launch and launch_ros are not installed (PyPI has none)')
needs_ros = pytest.mark.skipif(not HAS_ROS, reason='rclpy is not installed')


def is_indexed(package: str = 'posegrasp_ros') -> bool:
    """Whether ROS finds a package: built by colcon and sourced."""
    if not HAS_LAUNCH:
        return False
    from ament_index_python.packages import get_packages_with_prefixes
    return package in get_packages_with_prefixes()


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


@needs_launch
@pytest.mark.parametrize(('runs_s', 'interrupted'), [(0, False), (60, True)])
def test_a_launch_ends_once_with_its_process_or_before_it(monkeypatch, runs_s, interrupted):
    from launch import LaunchDescription, LaunchService
    from launch.actions import EmitEvent, ExecuteProcess, OpaqueFunction, RegisterEventHandler, TimerAction
    from launch.event_handlers import OnProcessStart, OnShutdown
    from launch.events import Shutdown

    from posegrasp_ros.ros import launching
    monkeypatch.setattr(launching, 'LAST_ANSWERS_S', 0.0)
    ends = []
    process, other = ExecuteProcess(cmd=['sleep', str(runs_s)]), ExecuteProcess(cmd=['sleep', '60'])
    interrupt = OnProcessStart(target_action=process, on_start=[TimerAction(
        period=0.2, actions=[EmitEvent(event=Shutdown())])])
    service = LaunchService()
    service.include_launch_description(LaunchDescription([
        RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: ends.append(True))),
        launching.end_with(process, [other]),
        *([RegisterEventHandler(interrupt)] if interrupted else []),
        OpaqueFunction(function=lambda _: [other, process]),
    ]))
    assert service.run() == 0
    assert len(ends) == 1


@needs_launch
@pytest.mark.skipif(not is_indexed('rviz2'), reason='rviz2 is not installed')
def test_rviz_has_the_nodes_time_and_base_frame():
    from launch.launch_context import LaunchContext
    from launch.substitutions import TextSubstitution

    from posegrasp_ros.ros.launching import rviz
    context = LaunchContext()
    context.launch_configurations.update(rviz='true', use_sim_time='true', base_frame='world')
    node, = rviz(context)
    node._perform_substitutions(context)
    assert parameters_of(node) == {'use_sim_time': True}
    command = [part.text for argument in node.cmd for part in argument if isinstance(part, TextSubstitution)]
    assert command[command.index('--fixed-frame') + 1] == 'world'


@needs_ros
@pytest.mark.parametrize('name', NODES | BESIDE)
def test_the_parameter_file_states_the_defaults(name):
    from dataclasses import asdict

    from posegrasp_ros.ros.lifecycle import LifecycleParameters
    module = importlib.import_module(f'posegrasp_ros.nodes.{(NODES | BESIDE)[name][0]}')
    node = next(value for value in vars(module).values()
                if hasattr(value, 'PARAMETERS') and value.__module__ == module.__name__)
    file = yaml.safe_load(resource_path('config/posegrasp.yaml').read_text())
    # What the file says that and why it is left out: empty lists, and where the simulator looks from.
    defaults = {key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(node.PARAMETERS()).items()
                if value != () and (name, key) != ('simulator', 'base_from_camera')}
    assert file[f'/**/{name}']['ros__parameters'] == defaults
    assert file['/**']['ros__parameters'] == asdict(LifecycleParameters())


def nodes_of(path: Path, **given: str) -> dict:
    """A launch file's nodes by name, with launch's context."""
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_context import LaunchContext
    from launch_ros.actions import LifecycleNode
    context = LaunchContext()
    context.launch_configurations.update(given)
    nodes = {}
    for entity in description_of(path).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, OpaqueFunction):
            for action in entity.execute(context):
                if isinstance(action, LifecycleNode):
                    action._perform_substitutions(context)
                    nodes[action.node_name.strip('/')] = action
    return nodes


def topics_of(node) -> dict[str, str]:
    return dict(node.expanded_remapping_rules)


def parameters_of(node) -> dict:
    """What the launch file itself gives a node."""
    path = node._Node__expanded_parameter_arguments[-1][0]
    # launch_ros writes lists as tuples.
    return next(iter(yaml.full_load(Path(path).read_text()).values()))['ros__parameters']


@needs_launch
def test_replay_finds_the_topics_of_what_record_writes(tmp_path):
    write_scene(tmp_path / 'scenes')
    nodes = nodes_of(resource_path('launch/replay.launch.py'), bag=str(tmp_path / 'scenes'))
    perception, monitor = topics_of(nodes['perception']), topics_of(nodes['monitor'])
    assert perception['image'] == '/camera/image_raw/compressed'
    assert perception['camera_info'] == monitor['camera_info'] == '/camera/camera_info'
    assert perception['ground_truth'] == monitor['ground_truth'] == '/ground_truth'


@needs_launch
def test_replay_takes_the_topics_that_are_given_and_refuses_one_that_is_not_there(tmp_path):
    write_scene(tmp_path / 'scenes')
    with pytest.raises(BagError, match='/elsewhere: no such topic; found /camera'):
        nodes_of(resource_path('launch/replay.launch.py'), bag=str(tmp_path / 'scenes'), image='/elsewhere')


def write_scene(path: Path) -> None:
    camera = Camera.from_field_of_view(64, 48, 1.0)
    with BagWriter(path) as writer:
        writer.write(BagFrame(1, np.zeros((48, 64, 3), np.uint8), camera, np.eye(4)))


@needs_launch
@pytest.mark.parametrize(('given', 'expected'), [({}, 'execution_report'), (
    {'execution_report': '/robot/picked'}, '/robot/picked')])
def test_a_robot_can_connect_its_pick_outcome(given, expected):
    nodes = nodes_of(resource_path('launch/pipeline.launch.py'), **given)
    assert topics_of(nodes['monitor'])['execution_report'] == expected


@needs_launch
@pytest.mark.parametrize(('given', 'expected'), [({}, 'depth'), ({'depth': '/camera/depth/image_raw'},
                                                                 '/camera/depth/image_raw')])
def test_a_depth_camera_can_be_connected(given, expected):
    nodes = nodes_of(resource_path('launch/pipeline.launch.py'), **given)
    assert topics_of(nodes['perception'])['depth'] == expected


@needs_launch
def test_the_simulators_outcome_stays_connected():
    nodes = nodes_of(resource_path('launch/simulation.launch.py'), estimator='oracle', seed='7')
    assert topics_of(nodes['monitor'])['execution_report'] == 'simulator/report'
    stated = parameters_of(nodes['monitor'])
    assert (stated['estimator'], stated['seed']) == ('oracle', 7)


@needs_launch
def test_whole_numbers_will_do_for_the_cameras_pose():
    nodes = nodes_of(resource_path('launch/pipeline.launch.py'), base_from_camera='[0, 0, 1, 0, 0, 0, 1]')
    pose = parameters_of(nodes['grasp_planner'])['base_from_camera']
    assert list(pose) == [0, 0, 1, 0, 0, 0, 1] and {type(number) for number in pose} == {float}


@needs_launch
def test_a_camera_pose_that_is_no_list_of_numbers_is_named():
    with pytest.raises(InvalidInputError,
                       match=r"base_from_camera: expected .* list of numbers, got '\[up, down\]'"):
        nodes_of(resource_path('launch/pipeline.launch.py'), base_from_camera='[up, down]')


@needs_launch
@pytest.mark.skipif(is_indexed('foxglove_bridge'), reason='foxglove_bridge is installed')
def test_a_bridge_to_foxglove_that_is_not_installed_is_asked_for_in_one_line():
    with pytest.raises(InvalidInputError, match='foxglove: expected foxglove_bridge to be installed: apt install'):
        nodes_of(resource_path('launch/pipeline.launch.py'), foxglove='true')


def topics_in_rviz() -> set[str]:
    config = yaml.safe_load(resource_path('rviz/posegrasp.rviz').read_text())
    return {display['Topic']['Value'] for display in config['Visualization Manager']['Displays']
            if 'Topic' in display}


def topics_in_foxglove() -> set[str]:
    """Those of the layout's live panels."""
    panels = json.loads(resource_path('config/foxglove.json').read_text())['configById']
    topics = {topic for name in ('3D!live', 'Image!live') for topic in panels[name].get('topics', {})}
    topics |= {panels['Image!live']['imageMode']['imageTopic'], panels['RawMessages!verdict']['topicPath']}
    return {topic.removeprefix('/') for topic in topics}


@needs_ros
@pytest.mark.parametrize('shown', [topics_in_rviz(), topics_in_foxglove()], ids=['rviz', 'foxglove'])
def test_viewers_show_topics_that_the_nodes_publish(shown):
    from posegrasp_ros.ros import grasp_topics, object_topics
    for topic in shown:
        name, private = topic.split('/', 1)
        node = importlib.import_module(f'posegrasp_ros.nodes.{NODES[name][0]}').__file__
        source = ''.join(Path(file).read_text() for file in (node, object_topics.__file__, grasp_topics.__file__))
        assert f"'~/{private}'" in source, topic
    assert len(shown) >= 5
