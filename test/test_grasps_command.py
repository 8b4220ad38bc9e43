# SPDX-License-Identifier: Apache-2.0
"""``posegrasp grasps``: a file that loads, and one clear line where there can be none."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from posegrasp_ros.cli.main import main
from posegrasp_ros.geometry.mesh import save_mesh
from posegrasp_ros.grasping.generation.stable_poses import is_y_up, stable_poses
from posegrasp_ros.grasping.grasp_set import GraspSet, load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.simulation.mesh_family import family_object


@pytest.fixture
def mesh_file(tmp_path):
    return lambda name: save_mesh(family_object(name).mesh, tmp_path / name)


def refused(capsys, *arguments) -> str:
    """The one line that a refused command prints."""
    assert main(['grasps', *map(str, arguments)]) == 2
    line, = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize('gripper', ['franka_hand', 'robotiq_2f_85'])
def test_written_set_loads_and_the_same_seed_gives_the_same_file(mesh_file, tmp_path, capsys, gripper):
    mesh = mesh_file('l_bracket')
    for name in ('a.yaml', 'b.yaml'):
        out = tmp_path / 'new folder' / name
        assert main(['grasps', str(mesh), '--gripper', gripper, '--out', str(out), '--count', '25']) == 0
        assert f'{out}: 25 grasps for {gripper}, ' in capsys.readouterr().out
    assert (out.parent / 'a.yaml').read_text() == out.read_text()
    grasps = load_grasps(out, load_gripper(gripper)).grasps
    assert len(grasps) == 25
    assert np.all(np.diff([grasp.confidence for grasp in grasps]) <= 0)


def test_a_resting_pose_without_a_grasp_is_named(tmp_path, capsys):
    """Blades of 2 mm, which fingers cannot grip from above; a block and a ball have grasps however they lie."""
    blades = [trimesh.creation.box((0.16, 0.012, 0.002), trimesh.transformations.translation_matrix((0, 0, z))
                                   @ trimesh.transformations.rotation_matrix(turn, (0, 0, 1)))
              for z, turn in ((0.0, 0.25), (0.002, -0.25))]
    trimesh.util.concatenate(blades).export(tmp_path / 'scissors.stl')
    trimesh.creation.box((0.06, 0.05, 0.04)).export(tmp_path / 'block.stl')
    trimesh.creation.icosphere(3, 0.03).export(tmp_path / 'ball.stl')
    for name, warned in (('scissors', True), ('block', False), ('ball', False)):
        mesh, grasps = tmp_path / f'{name}.stl', tmp_path / 'grasps.yaml'
        assert main(['grasps', str(mesh), '--out', str(grasps), '--count', '40']) == 0
        out = capsys.readouterr().out
        assert ('it is 4 mm high and has no grasp that keeps franka_hand 3 mm off the table' in out) is warned


def test_object_wider_than_the_opening_is_refused(mesh_file, capsys):
    line = refused(capsys, mesh_file('too_wide'))
    assert 'too_wide: found no opposite surfaces that franka_hand can span (the closest are 100 mm apart)' in line
    assert 'use a wider gripper' in line


@pytest.mark.parametrize('solid, expected', [
    (trimesh.creation.box((120, 60, 45)), 'expected a size in metres between 0.005 and 2, got 120; is it in '
                                          'millimetres (0.12 m, scale by 0.001)'),
    (trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]]), 'give the surface a thickness'),
])
def test_mesh_in_millimetres_or_without_volume_is_refused(tmp_path, capsys, solid, expected):
    solid.export(tmp_path / 'mesh.stl')
    assert expected in refused(capsys, tmp_path / 'mesh.stl')


def test_wrong_gripper_and_wrong_folder_are_refused_before_any_work(mesh_file, tmp_path, capsys):
    assert 'expected a file or one of franka_hand' in refused(capsys, mesh_file('plate'), '--gripper', 'hand')
    (tmp_path / 'file').write_text('')
    assert str(tmp_path / 'file') in refused(capsys, mesh_file('plate'), '--out', tmp_path / 'file' / 'g.yaml')


@pytest.mark.parametrize(('turn_deg', 'expected'), [(0, False), (-90, True)])
def test_a_mesh_that_stands_on_its_y_axis_is_said_to_be_y_up(turn_deg, expected):
    turned = family_object('bottle').mesh
    turn = trimesh.transformations.rotation_matrix(np.radians(turn_deg), (1, 0, 0))
    turned = replace(turned, vertices=trimesh.transform_points(turned.vertices, turn))
    poses = stable_poses(turned, GraspSet([], 'object', 'hand'), load_gripper())
    assert is_y_up(poses) == expected and is_y_up([]) is False


def test_help_teaches(capsys):
    assert main(['grasps', '--help']) == 0
    said = capsys.readouterr().out
    assert '--gripper robotiq_2f_85' in said
    assert 'metres' in said and 'isaac_grasp' in said and 'None' not in said
