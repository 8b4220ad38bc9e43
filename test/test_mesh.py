# SPDX-License-Identifier: Apache-2.0
"""Meshes are read with their texture, and files that are none are refused."""

import os
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from posegrasp_ros.estimation.scripted import surface_points
from posegrasp_ros.geometry.mesh import Mesh, MeshError, load_mesh, save_mesh
from posegrasp_ros.geometry.mesh_units import stated_unit_m
from posegrasp_ros.geometry.mesh_winding import against_neighbours
from posegrasp_ros.runtime.resources import resource_path

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


def write_parts(path, *visuals):
    """Boxes side by side in one file."""
    parts = [trimesh.creation.box((0.1, 0.06, 0.04)) for _ in visuals]
    for place, (part, visual) in enumerate(zip(parts, visuals)):
        part.apply_translation((0.2 * place, 0, 0))
        part.visual = visual
    path.write_bytes(trimesh.Scene(parts).export(file_type='glb'))


def test_parts_with_vertex_colours_and_plain_ones_keep_both(tmp_path):
    red = trimesh.visual.ColorVisuals(vertex_colors=[[255, 0, 0, 255]] * 8)
    green = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(baseColorFactor=[0, 255, 0, 255]))
    write_parts(tmp_path / 'parts.glb', red, green)
    mesh = load_mesh(tmp_path / 'parts.glb')
    middles = mesh.uv[mesh.faces].mean(axis=1) * mesh.texture.shape[0]
    colours = mesh.texture[(mesh.texture.shape[0] - middles[:, 1]).astype(int), middles[:, 0].astype(int)]
    is_green = mesh.vertices[mesh.faces].mean(axis=1)[:, 0] > 0.1
    assert (colours[~is_green] == (0, 0, 255)).all() and (colours[is_green] == (0, 255, 0)).all()


def test_parts_with_vertex_colours_and_a_texture_are_refused(tmp_path):
    red = trimesh.visual.ColorVisuals(vertex_colors=[[255, 0, 0, 255]] * 8)
    green = trimesh.visual.TextureVisuals(uv=np.zeros((8, 2)), material=trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.new('RGB', (4, 4), (0, 255, 0))))
    write_parts(tmp_path / 'parts.glb', red, green)
    with pytest.raises(MeshError, match='some with a texture and some with colours'):
        load_mesh(tmp_path / 'parts.glb')


def test_a_texture_of_16_bits_is_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 20000, np.uint16)).save(tmp_path / 'deep.png')
    (tmp_path / 'sheet.mtl').write_text('newmtl print\nmap_Kd deep.png\n')
    (tmp_path / 'sheet.obj').write_text(
        'mtllib sheet.mtl\nusemtl print\nv 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n')
    with pytest.raises(MeshError, match='texture: expected 8 bits a colour, got I;16'):
        load_mesh(tmp_path / 'sheet.obj')


@pytest.mark.parametrize(('off_m', 'is_told'), [(0.2, False), (1.5, True)])
def test_an_origin_far_from_the_mesh_is_told(tmp_path, caplog, off_m, is_told):
    box = trimesh.creation.box((0.1, 0.06, 0.04))
    box.apply_translation((off_m, 0, 0))
    box.export(tmp_path / 'box.stl')
    load_mesh(tmp_path / 'box.stl')
    assert ('the origin lies 1.5 m from the middle of the mesh' in caplog.text) == is_told


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


@pytest.mark.parametrize(('size', 'units'), [
    ((100, 60, 40), ['millimetres (0.1 m, scale by 0.001)', 'centimetres (1 m, scale by 0.01)']),
    ((12, 6, 4.5), ['centimetres (0.12 m', 'millimetres (0.012 m', 'inches (0.305 m']),
    ((4.7, 2.4, 1.8), ['inches (0.119 m', 'centimetres (0.047 m']),
])
def test_a_mesh_in_other_units_is_refused_with_those_that_fit_likeliest_first(tmp_path, size, units):
    write_box(tmp_path / 'box.obj', size=size)
    with pytest.raises(MeshError, match=r'between 0\.005 and 2, got') as refusal:
        load_mesh(tmp_path / 'box.obj')
    places = [str(refusal.value).find(unit) for unit in units]
    assert -1 not in places and places == sorted(places)


def test_what_is_a_metre_wide_is_read_with_a_warning(tmp_path, caplog):
    write_box(tmp_path / 'box.obj', size=(1.5, 1.0, 0.7))
    assert load_mesh(tmp_path / 'box.obj').extents == pytest.approx((1.5, 1.0, 0.7))
    assert 'read in metres, narrowest side 0.7 m; is it in inches (0.0381 m' in caplog.text


@pytest.mark.parametrize(('stated', 'unit_m'), [
    ('meters', 1.0), ('millimeter', 0.001), ('centimeter', 0.01), ('inch', 0.0254),
    ('0.01 * meters', 0.01)])
def test_a_stated_unit_is_known(stated, unit_m):
    box = trimesh.creation.box((1, 1, 1))
    box.units = stated
    assert stated_unit_m(box) == pytest.approx(unit_m)
    assert stated_unit_m(trimesh.creation.box((1, 1, 1))) is None


@pytest.mark.parametrize('stated', ['0.0 * meters', 'nan * meters', 'paces'])
def test_a_stated_unit_that_is_no_length_is_refused(stated):
    box = trimesh.creation.box((1, 1, 1))
    box.units = stated
    with pytest.raises(ValueError, match=r'states .* expected'):
        stated_unit_m(box)


@pytest.mark.parametrize(('suffix', 'package'), [('3mf', 'lxml'), ('dae', 'collada')])
def test_lengths_are_in_the_unit_that_the_file_states(tmp_path, suffix, package):
    pytest.importorskip(package)
    content = trimesh.creation.box((100, 60, 40)).export(file_type=suffix)
    content = content.replace(b'<up_axis>', b'<unit meter="0.001" name="millimeter"/><up_axis>')
    (tmp_path / f'box.{suffix}').write_bytes(content)
    assert load_mesh(tmp_path / f'box.{suffix}').extents == pytest.approx((0.1, 0.06, 0.04))


def test_a_gltf_in_millimetres_is_refused_by_what_it_states(tmp_path):
    trimesh.creation.box((100, 60, 40)).export(tmp_path / 'box.glb')
    with pytest.raises(MeshError, match=r'got 100, in the unit of 1 m that it states; is it in millimetres'):
        load_mesh(tmp_path / 'box.glb')


def test_specks_are_refused(tmp_path):
    write_box(tmp_path / 'box.obj', size=(1e-4, 1e-4, 1e-4))
    with pytest.raises(MeshError, match=r'between 0\.005 and 2, got 0\.0001$'):
        load_mesh(tmp_path / 'box.obj')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MeshError, match=r'nothing\.obj: no such file'):
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


@pytest.mark.parametrize('turned', [(0, 5, 6), range(12)])
def test_triangles_that_face_inward_are_turned(tmp_path, turned):
    """Renderers do not show them, and an object would have holes, or nothing but its inside."""
    box = trimesh.creation.box((0.1, 0.06, 0.04))
    box.faces[list(turned)] = box.faces[list(turned)][:, ::-1]
    box.export(tmp_path / 'box.stl')
    mesh = load_mesh(tmp_path / 'box.stl')
    assert mesh.merged.volume == pytest.approx(0.1 * 0.06 * 0.04, rel=1e-5)
    assert mesh.merged.is_winding_consistent


def test_a_text_stl_of_older_tools_is_read(tmp_path):
    text = trimesh.creation.box((0.1, 0.06, 0.04)).export(file_type='stl_ascii')
    (tmp_path / 'box.stl').write_bytes(text.replace('solid', 'solid caf\xe9', 1).encode('latin-1'))
    assert load_mesh(tmp_path / 'box.stl').extents == pytest.approx((0.1, 0.06, 0.04))


@pytest.mark.parametrize('make', [os.mkfifo, Path.mkdir])
def test_what_is_no_regular_file_is_said(tmp_path, make):
    make(tmp_path / 'box.obj')
    with pytest.raises(MeshError, match=r'box\.obj: expected a file, found a (pipe|folder)'):
        load_mesh(tmp_path / 'box.obj')


def test_meshes_and_textures_have_a_size_that_is_read(tmp_path, monkeypatch):
    box = trimesh.creation.box((0.1, 0.06, 0.04))
    box.visual = trimesh.visual.TextureVisuals(np.zeros((8, 2)), image=Image.new('RGB', (40, 30)))
    box.export(tmp_path / 'box.glb')
    monkeypatch.setenv('POSEGRASP_MAX_MEGAPIXELS', '0.001')
    with pytest.raises(MeshError, match=r'expected at most 0\.001 megapixels, got 40x30'):
        load_mesh(tmp_path / 'box.glb')
    monkeypatch.setenv('POSEGRASP_MAX_MESH_MB', '0.1')
    with zipfile.ZipFile(tmp_path / 'box.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('box.obj', '\n' * 200_000)
    with pytest.raises(MeshError, match=r'at most 0\.1 MB, got 0\.2; .* POSEGRASP_MAX_MESH_MB'):
        load_mesh(tmp_path / 'box.zip')


def test_vertices_that_are_no_numbers_are_refused(tmp_path):
    (tmp_path / 'broken.obj').write_text('v 0 0 0\nv nan 0 0\nv 0 0.1 0\nf 1 2 3\n')
    with pytest.raises(MeshError, match='expected finite vertices'):
        load_mesh(tmp_path / 'broken.obj')


def gradient(points: np.ndarray) -> np.ndarray:
    """(N, 3) red green blue in 0 to 1 that run linearly through a box of 0.1 x 0.06 x 0.04 m."""
    return 0.1 + 0.8 * np.asarray(points) / (0.1, 0.06, 0.04)


def coloured_ball(path, subdivisions: int) -> trimesh.Trimesh:
    """A ball of vertex colours that run linearly in x, y and z."""
    ball = trimesh.creation.icosphere(subdivisions, radius=0.05)
    rgb = (ball.vertices / 0.05 * 100 + 128).round().astype(np.uint8)
    ball.visual = trimesh.visual.ColorVisuals(ball, vertex_colors=rgb)
    ball.export(path)
    return ball


def colours_at_random_points(mesh, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Points all over the surface and the texture there, (N, 3) blue green red, as a bilinear lookup reads it."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet((0.5, 0.5, 0.5), count)  # many near corners and edges
    faces = mesh.faces[rng.integers(len(mesh.faces), size=count)]
    points = np.einsum('nk,nkd->nd', weights, mesh.vertices[faces])
    u, v = np.einsum('nk,nkd->nd', weights, mesh.uv[faces]).T
    height, width = mesh.texture.shape[:2]
    x, y = (u * width - 0.5).astype(np.float32), ((1 - v) * height - 0.5).astype(np.float32)
    return points, cv2.remap(mesh.texture, x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0].astype(float)


def test_vertex_colours_of_an_obj_run_over_the_faces_without_seams(tmp_path):
    write_box(tmp_path / 'box.obj', colours=gradient(np.multiply(CORNERS, (0.1, 0.06, 0.04))))
    mesh = load_mesh(tmp_path / 'box.obj')
    points, found = colours_at_random_points(mesh)
    assert np.abs(found - 255 * gradient(points)[:, ::-1]).max() < 2.5
    assert mesh.solid.is_watertight
    assert len(mesh.solid.vertices) == 8


@pytest.mark.parametrize('suffix', ['ply', 'glb'])
@pytest.mark.parametrize('subdivisions, patch_px', [(2, 16), (5, 8)])
def test_vertex_colours_of_other_formats(tmp_path, suffix, subdivisions, patch_px):
    coloured_ball(tmp_path / f'ball.{suffix}', subdivisions)
    mesh = load_mesh(tmp_path / f'ball.{suffix}')
    points, found = colours_at_random_points(mesh)
    assert np.abs(found[:, ::-1] - (points / 0.05 * 100 + 128)).max() < 2.5
    assert max(mesh.texture.shape) <= 1024


def test_a_dense_mesh_has_one_colour_a_face_on_a_small_texture(tmp_path):
    coloured_ball(tmp_path / 'ball.ply', 6)
    mesh = load_mesh(tmp_path / 'ball.ply')
    assert len(mesh.faces) == 81920
    assert max(mesh.texture.shape) <= 1024
    points, found = colours_at_random_points(mesh)
    assert np.abs(found[:, ::-1] - (points / 0.05 * 100 + 128)).max() < 4


def test_seen_from_afar_vertex_colours_mix_with_those_beside_them(tmp_path):
    """A mipmap four times smaller still has each point's colour nearly: neighbours there are neighbours here."""
    coloured_ball(tmp_path / 'ball.ply', 5)
    mesh = load_mesh(tmp_path / 'ball.ply')
    smaller = cv2.resize(mesh.texture, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
    points, found = colours_at_random_points(Mesh(mesh.vertices, mesh.faces, mesh.uv, smaller))
    assert np.median(np.abs(found[:, ::-1] - (points / 0.05 * 100 + 128))) < 6


def test_face_colours_stay_on_their_faces(tmp_path):
    box = trimesh.creation.box((0.1, 0.06, 0.04))
    rgb = np.random.default_rng(1).integers(0, 256, (12, 3)).astype(np.uint8)
    box.visual = trimesh.visual.ColorVisuals(box, face_colors=rgb)
    box.export(tmp_path / 'box.ply')
    mesh = load_mesh(tmp_path / 'box.ply')
    centres, of_face = mesh.vertices[mesh.faces].mean(axis=1), mesh.uv[mesh.faces]
    for face, centre in enumerate(box.triangles_center):
        here = int(np.argmin(np.linalg.norm(centres - centre, axis=1)))
        for u, v in np.vstack([of_face[here], of_face[here].mean(axis=0)]):
            pixel = mesh.texture[int((1 - v) * mesh.texture.shape[0]), int(u * mesh.texture.shape[1])]
            assert pixel[::-1].tolist() == rgb[face].tolist()


def test_baked_colours_survive_saving(tmp_path):
    coloured_ball(tmp_path / 'ball.ply', 3)
    mesh = load_mesh(tmp_path / 'ball.ply')
    again = load_mesh(save_mesh(mesh, tmp_path / 'saved'))
    points, found = colours_at_random_points(again)
    assert np.abs(found[:, ::-1] - (points / 0.05 * 100 + 128)).max() < 2.5
    assert (again.texture == mesh.texture).all()


def test_baked_colours_are_found_on_the_surface(tmp_path):
    """Each pixel of the texture has the colour of the place on the mesh that it is printed on."""
    coloured_ball(tmp_path / 'ball.ply', 3)
    mesh = load_mesh(tmp_path / 'ball.ply')
    ys, xs = np.mgrid[:mesh.texture.shape[0]:5, :mesh.texture.shape[1]:5]
    pixels = np.column_stack([xs.ravel(), ys.ravel()]).astype(float)
    points, _, on_surface = surface_points(mesh, pixels)
    assert on_surface.sum() > 100
    found = mesh.texture[ys.ravel(), xs.ravel()][on_surface].astype(float)
    assert np.abs(found[:, ::-1] - (points[on_surface] / 0.05 * 100 + 128)).max() < 8


@pytest.fixture
def textured(tmp_path):
    """A copy of the shipped box: mesh.obj names mesh.mtl, which names texture.png."""
    return shutil.copytree(resource_path('models/box'), tmp_path / 'box')


@pytest.mark.parametrize('missing', ['mesh.mtl', 'texture.png'])
def test_a_missing_material_or_texture_is_refused_by_name(textured, missing):
    (textured / missing).unlink()
    with pytest.raises(MeshError, match=f'names a file that cannot be used.*{missing}.*no such file'):
        load_mesh(textured / 'mesh.obj')


def test_names_in_another_case_and_paths_of_another_system_are_found(textured):
    expected = load_mesh(textured / 'mesh.obj').texture
    (textured / 'texture.png').rename(textured / 'Texture.PNG')
    (textured / 'mesh.mtl').write_text('newmtl print\nmap_Kd C:\\tools\\out\\texture.png\n')
    np.testing.assert_array_equal(load_mesh(textured / 'mesh.obj').texture, expected)


def test_a_pipe_or_a_huge_image_is_no_texture(textured):
    (textured / 'texture.png').unlink()
    os.mkfifo(textured / 'texture.png')
    with pytest.raises(MeshError, match=r'texture\.png'):
        load_mesh(textured / 'mesh.obj')
    (textured / 'texture.png').unlink()
    Image.new('1', (9000, 9000)).save(textured / 'texture.png')
    with pytest.raises(MeshError, match='at most 50 megapixels, got 9000x9000'):
        load_mesh(textured / 'mesh.obj')


def test_text_that_is_not_utf_8_is_read(textured):
    text = (textured / 'mesh.obj').read_bytes()
    (textured / 'mesh.obj').write_bytes('# Gehäuse\n'.encode('latin-1') + text)
    assert load_mesh(textured / 'mesh.obj').texture.shape[0] > 1


def test_triangles_of_vertices_that_are_not_there_are_refused(tmp_path):
    (tmp_path / 'm.obj').write_text('v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 9\n')
    with pytest.raises(MeshError):
        load_mesh(tmp_path / 'm.obj')


TETRAHEDRON = 'v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nvt 0 0\nvt 1 0\nf 1 3 2\nf 1 2 4\nf 1 4 3\n'


@pytest.mark.parametrize(('face', 'found'), [
    ('0 2 3', 'vertex 0; expected 1 to 4'), ('2 3 5', 'vertex 5; expected 1 to 4'),
    ('-5 2 3', 'vertex -5; expected 1 to 4'), ('2/1 3/2 4/0', 'texture coordinate 0; expected 1 to 2'),
    ('2/1/1 3/2/1 4/3/1', 'texture coordinate 3; expected 1 to 2'),
    ('2 3 99999999999999999999', 'vertex 99999999999999999999; expected 1 to 4')])
def test_an_obj_whose_faces_name_what_is_not_there_is_refused(tmp_path, face, found):
    (tmp_path / 'thing.obj').write_text(f'{TETRAHEDRON}f {face}\n')
    with pytest.raises(MeshError, match=f'thing.obj: .*line 10: a face names {found}'):
        load_mesh(tmp_path / 'thing.obj')


def test_obj_faces_may_count_backwards(tmp_path):
    (tmp_path / 'thing.obj').write_text(f'{TETRAHEDRON}f -3/-2/7 -2//7 -1/2\n')
    assert len(load_mesh(tmp_path / 'thing.obj').faces) == 4


@pytest.mark.parametrize(('damage', 'expected'), [
    (lambda whole: whole[:300], 'expected 684 bytes for the 12 triangles .* found 300'),
    (lambda whole: whole + b'x', 'expected 684 bytes for the 12 triangles .* found 685'),
    (lambda whole: whole[:80] + (120).to_bytes(4, 'little') + whole[84:], 'expected 6084 bytes .* 684'),
    (lambda whole: whole[:50], 'a binary header of 84 bytes, found 50')])
def test_a_damaged_binary_stl_is_refused_with_what_was_found(tmp_path, damage, expected):
    whole = trimesh.creation.box((0.1, 0.06, 0.04)).export(file_type='stl')
    (tmp_path / 'box.stl').write_bytes(damage(whole))
    with pytest.raises(MeshError, match=expected):
        load_mesh(tmp_path / 'box.stl')


def test_triangles_wound_against_their_neighbours_are_turned_piece_by_piece():
    """A piece that is whole stays as it is; of the other only the few are turned that are wrong."""
    piece = trimesh.creation.icosphere(subdivisions=2)
    faces = np.concatenate([piece.faces, piece.faces + len(piece.vertices)])
    wrong = np.zeros(len(faces), bool)
    wrong[np.random.default_rng(0).choice(len(piece.faces), 100, replace=False)] = True
    given = np.where(wrong[:, None], faces[:, ::-1], faces)
    np.testing.assert_array_equal(against_neighbours(given), wrong)
    assert not against_neighbours(faces[:, ::-1]).any()


def test_a_strip_without_an_inside_is_left_as_it_is():
    around = np.arange(8)
    strip = np.stack([2 * around + place for place in (0, 1, 2, 1, 3, 2)], axis=1)
    moebius = np.where(strip == 16, 1, np.where(strip == 17, 0, strip)).reshape(-1, 3)
    assert not against_neighbours(moebius).any()
