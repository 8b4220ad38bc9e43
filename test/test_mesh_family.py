# SPDX-License-Identifier: Apache-2.0
"""The mesh family: closed solids of sensible size, with convex parts that fill them."""

import numpy as np
import pytest

from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.mesh_family import FAMILY, family_object, main


@pytest.mark.parametrize('name', FAMILY)
def test_object_is_closed_and_faces_outward(name):
    solid = family_object(name).mesh.solid
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert 1e-6 < solid.volume < 2e-3
    assert 0.01 < solid.extents.max() < 0.2


@pytest.mark.parametrize('name', FAMILY)
def test_convex_parts_fill_what_the_mesh_encloses(name):
    """Chords of round walls are the only difference: a point well inside is in a part, one outside in none."""
    made = family_object(name)
    solid, rng = made.mesh.solid, np.random.default_rng(0)
    points = rng.uniform(solid.bounds[0] - 0.005, solid.bounds[1] + 0.005, (1500, 3))
    ways = rng.normal(size=(8, 3))
    near = np.concatenate([points + 0.0008 * way / np.linalg.norm(way) for way in ways])
    inside = solid.contains(near).reshape(8, -1)
    in_parts = np.zeros(len(points), dtype=bool)
    for part in made.convex_parts:
        assert part.is_convex
        reach = (part.face_normals * part.triangles[:, 0]).sum(axis=1)
        in_parts |= (part.face_normals @ points.T <= reach[:, None] + 1e-9).all(axis=0)
    assert in_parts[inside.all(axis=0)].mean() > 0.999
    assert in_parts[~inside.any(axis=0)].mean() < 0.01


def test_unknown_object_lists_what_there_is():
    with pytest.raises(InvalidInputError, match=r"object 'cup': expected one of mug, plate, l_bracket"):
        family_object('cup')


def test_script_writes_meshes_that_load(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(FAMILY)
    for name in FAMILY:
        np.testing.assert_allclose(load_mesh(tmp_path / name / 'mesh.obj').extents,
                                   family_object(name).mesh.extents, atol=1e-5)
