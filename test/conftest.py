# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: ROS kept to this machine, and a model folder that needs no trained network."""

from __future__ import annotations

import posegrasp_ros
import posegrasp_ros.cli  # before numpy, whose OpenBLAS it tells how many threads to take

# isort: split
import hashlib
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml
from hand_made_bags import frames

from posegrasp_ros.board.board_file import save_board
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import GraspSet
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.ros.node_processes import node_environment
from posegrasp_ros.runtime import interrupt
from posegrasp_ros.runtime.resources import resource_path

# Before anything imports rclpy. Each test that uses ROS takes a domain of its own, never that of a running robot.
os.environ.pop('ROS_DOMAIN_ID', None)
os.environ |= {name: value for name, value in node_environment(0).items() if name != 'ROS_DOMAIN_ID'}

HAS_ROS = importlib.util.find_spec('rclpy') is not None
NEED_ROS = ['test_nodes_*.py', 'test_messages.py', 'test_markers.py', 'test_parameters.py', 'test_lifecycle.py',
            'test_system.py', 'test_intrinsics.py', 'test_moveit_grasps.py']
collect_ignore_glob = [] if HAS_ROS else NEED_ROS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--installed', action='store_true', help='test an install, and never a checkout by mistake')


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test the checkout where an install is asked for."""
    package, checkout = Path(posegrasp_ros.__file__).parent, Path(__file__).resolve().parent.parent
    if config.getoption('--installed') and package.resolve().parent == checkout:
        raise pytest.UsageError(f'--installed: expected posegrasp_ros from an install, found {package}: run from '
                                'another folder, without PYTHONPATH and in an environment with the wheel')


def pytest_report_header() -> list[str]:
    """Say aloud what is tested and what is left out."""
    left_out = [] if HAS_ROS else [f'rclpy is not installed: {", ".join(NEED_ROS)} are left out']
    return [f'posegrasp_ros: {Path(posegrasp_ros.__file__).parent}', *left_out]


@pytest.fixture(autouse=True)
def interrupts_as_before(monkeypatch):
    """Each test finds signals as a new process does, also after one in which Ctrl-C ended something."""
    handlers = [(number, signal.getsignal(number)) for number in interrupt.SIGNALS]
    monkeypatch.setattr(sys, 'unraisablehook', sys.unraisablehook)
    monkeypatch.setattr(interrupt, '_is_ending', None)
    yield
    for number, handler in handlers:
        signal.signal(number, handler)


@pytest.fixture(scope='session')
def scripted_model(tmp_path_factory) -> Path:
    """The shipped box with a card that is right but for its network, which is none: for scripted estimators."""
    folder = tmp_path_factory.mktemp('model') / 'box'
    folder.mkdir()
    for name in ('mesh.obj', 'mesh.mtl', 'texture.png', 'grasps.yaml'):
        shutil.copy(resource_path('models/box') / name, folder / name)
    (folder / 'none.onnx').write_bytes(b'not a network')
    write_card(folder)
    return folder


@pytest.fixture(scope='session')
def box_grasps() -> GraspSet:
    """300 grasps of a plain box of the shipped one's size."""
    solid = trimesh.creation.box((0.12, 0.06, 0.045))
    mesh = Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))
    return sample_grasps(mesh, load_gripper(), np.random.default_rng(0), count=300)


@pytest.fixture
def bag(tmp_path) -> Path:
    """A recording of five whole frames."""
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(5):
            writer.write(frame)
    return tmp_path / 'bag'


@pytest.fixture
def added_metric():
    """Adds a metric to the catalogue for the time of the test."""
    from posegrasp_ros.metrics import catalogue

    added = []

    def add(metric) -> None:
        catalogue.register_metric(metric)
        added.append(metric.name)

    yield add
    for name in added:
        catalogue.unregister_metric(name)


def simulated_frames(mesh, count: int, seed: int, image_size: tuple[int, int] = (640, 480)) -> list:
    """One frame of each of ``count`` random scenes."""
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        with World(mesh, None, sample_scene(rng, mesh), image_size=image_size) as world:
            frames.append(world.frame())
    return frames


def write_card(folder: Path, **changes) -> None:
    """Write a model.yaml that fits the folder, with top-level fields changed."""
    sha256 = hashlib.sha256((folder / 'none.onnx').read_bytes()).hexdigest()

    def network(family: str, **parameters: float) -> dict:
        return {'file': 'none.onnx', 'sha256': sha256, 'decoder': {'family': family, **parameters},
                'input': {'name': 'image', 'size': [128, 128], 'colour': 'rgb', 'mean': [0.5] * 3,
                          'std': [0.5] * 3}}

    card = {
        'format': 'posegrasp.model/1', 'name': 'box',
        'object': {'mesh': 'mesh.obj', 'diameter_m': round(load_mesh(folder / 'mesh.obj').diameter, 4),
                   'symmetries_discrete': [], 'symmetries_continuous': []},
        'detector': network('centre_heatmap', stride=8, threshold=0.1),
        'network': network('object_coordinates', margin=1.15),
        'mean_pose': {'position_m': [0.0, 0.0, 0.6], 'quaternion_xyzw': [0.0, 0.0, 0.0, 1.0]},
        'score': {}, 'covariance_scale': {'translation': 1.0, 'rotation': 1.0}, 'provenance': {}, 'measured': {},
    }
    (folder / 'model.yaml').write_text(yaml.safe_dump({**card, **changes}))


@pytest.fixture
def ros2_launch(tmp_path):
    """Start launch files; none outlives the test."""
    from launched import Launched

    from posegrasp_ros.ros.node_processes import free_domain

    running: list[Launched] = []
    with free_domain() as domain:
        def start(*arguments: str) -> Launched:
            running.append(Launched(tmp_path, domain, arguments))
            return running[-1]

        yield start
        for each in running:
            if each.process.poll() is None:
                os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait(10)


@pytest.fixture
def beside(tmp_path, scripted_model):
    """Arguments of a launch file that has no camera."""
    from board_views import box_board

    save_board(tmp_path / 'board.yaml', box_board(measured_mm=100.0)[1])
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write(BagFrame(1_000_000_000, np.zeros((48, 64, 3), np.uint8),
                           Camera(64, 48, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]))))
    model = f'model:={scripted_model}'
    return {'pipeline': (model, 'estimator:=mean_pose', f'out:={tmp_path / "run"}'),
            'board': (f'board:={tmp_path / "board.yaml"}',),
            'handeye': (f'target:={tmp_path / "board.yaml"}', f'out:={tmp_path / "handeye"}')}
