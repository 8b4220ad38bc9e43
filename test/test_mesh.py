"""Meshes are read with their texture, and files that are none are refused."""

import numpy as np
import pytest
from PIL import Image

from posegrasp_ros.mesh import MeshError, load_mesh

CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def write_box(path, size=(0.1, 0.06, 0.04), head='', colours=None) -> None:
    """An untextured OBJ box with one corner in the origin."""
    lines = [head] + ['v {} {} {}'.format(*np.multiply(corner, size))
                      + (' {} {} {}'.format(*colours[number]) if colours is not None else '')
                      for number, corner in enumerate(CORNERS)]
    lines += ['f ' + ' '.join(str(index + 1) for index in quad) for quad in QUADS]
    path.write_text('\n'.join(lines) + '\n')


def test_measures_are_those_of_the_box(tmp_path):
    write_box(tmp_path / 'box.obj')
    mesh = load_mesh(tmp_path / 'box.obj')
    assert mesh.extents == pytest.approx((0.1, 0.06, 0.04))
    assert mesh.centre == pytest.approx((0.05, 0.03, 0.02))
    assert mesh.diameter == pytest.approx(np.linalg.norm((0.1, 0.06, 0.04)))
    assert mesh.radius == pytest.approx(mesh.diameter / 2)
    assert mesh.solid.is_watertight
    assert mesh.solid.volume == pytest.approx(0.1 * 0.06 * 0.04)


def test_texture_is_blue_green_red_with_v_up(tmp_path):
    """The upper row of the picture is at v = 1, and its red reads as (0, 0, 255)."""
    picture = np.zeros((2, 1, 3), np.uint8)
    picture[0] = 255, 0, 0
    Image.fromarray(picture).save(tmp_path / 'picture.png')
    (tmp_path / 'sheet.mtl').write_text('newmtl print\nmap_Kd picture.png\n')
    (tmp_path / 'sheet.obj').write_text(
        'mtllib sheet.mtl\nusemtl print\nv 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n')
    mesh = load_mesh(tmp_path / 'sheet.obj')
    assert mesh.texture[:, 0].tolist() == [[0, 0, 255], [0, 0, 0]]
    highest = mesh.vertices[:, 1].argmax()
    assert mesh.uv[highest].tolist() == [0, 1]


def test_a_mesh_without_texture_has_one_plain_colour(tmp_path):
    write_box(tmp_path / 'box.obj', colours=[(1.0, 0.5, 0.0)] * 8)
    mesh = load_mesh(tmp_path / 'box.obj')
    assert mesh.uv is None
    assert mesh.texture.shape == (1, 1, 3)
    assert mesh.texture.dtype == np.uint8
    assert mesh.texture[0, 0].astype(int) == pytest.approx((0, 127, 255), abs=1)


def test_a_material_colour_is_read(tmp_path):
    (tmp_path / 'box.mtl').write_text('newmtl paint\nKd 0.0 0.0 1.0\n')
    write_box(tmp_path / 'box.obj', head='mtllib box.mtl\nusemtl paint')
    assert load_mesh(tmp_path / 'box.obj').texture[0, 0].tolist() == [255, 0, 0]


def test_seams_of_the_texture_do_not_open_the_solid(tmp_path):
    """A texture needs a vertex twice where two charts meet; the solid has it once."""
    size, lines = np.array((0.1, 0.06, 0.04)), []
    for quad in QUADS:
        lines += ['v {} {} {}'.format(*np.multiply(CORNERS[index], size)) for index in quad]
    lines += ['f {} {} {} {}'.format(*range(first, first + 4)) for first in range(1, 25, 4)]
    (tmp_path / 'box.obj').write_text('\n'.join(lines))
    mesh = load_mesh(tmp_path / 'box.obj')
    assert len(mesh.vertices) == 24
    assert len(mesh.solid.vertices) == 8
    assert mesh.solid.is_watertight


def test_millimetres_are_recognised(tmp_path):
    write_box(tmp_path / 'box.obj', size=(100, 60, 40))
    with pytest.raises(MeshError, match=r'between 0.005 and 2, got 100 \(millimetres\? scale it by 0.001\)'):
        load_mesh(tmp_path / 'box.obj')


def test_specks_are_refused(tmp_path):
    write_box(tmp_path / 'box.obj', size=(1e-4, 1e-4, 1e-4))
    with pytest.raises(MeshError, match=r'between 0\.005 and 2, got 0\.0001$'):
        load_mesh(tmp_path / 'box.obj')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MeshError, match=r'nothing\.obj: no such mesh file'):
        load_mesh(tmp_path / 'nothing.obj')


@pytest.mark.parametrize('name, content', [
    ('noise.stl', b'\x00\x01 this is no mesh'),
    ('noise.ply', b'not a ply at all'),
    ('noise.glb', b'\xff' * 64),
    ('photo.png', b'\x89PNG\r\n'),
    ('empty.obj', b''),
    ('points.obj', b'v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\n'),
])
def test_what_is_no_mesh_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=name) as refusal:
        load_mesh(tmp_path / name)
    assert '\n' not in str(refusal.value)


def test_vertices_that_are_no_numbers_are_refused(tmp_path):
    (tmp_path / 'broken.obj').write_text('v 0 0 0\nv nan 0 0\nv 0 0.1 0\nf 1 2 3\n')
    with pytest.raises(MeshError, match='expected finite vertices'):
        load_mesh(tmp_path / 'broken.obj')
