# SPDX-License-Identifier: Apache-2.0
"""The can: the mesh is right, all its sides look the same, its ends do not, and the paper is the mesh's print."""

import io

import numpy as np
import pytest
from PIL import Image

from posegrasp_ros.estimation.scripted import surface_points
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.training.product_can import ProductCanError, Wrap, main, make_product_can
from posegrasp_ros.training.product_can_steps import can_steps
from posegrasp_ros.training.product_print import PRINT_PX_PER_MM

DIAMETER_MM, HEIGHT_MM = 60, 110


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('can')
    make_product_can(folder)
    return folder


@pytest.fixture(scope='module')
def printed(folder):
    """Points of the surface, (N, 3) millimetres, and the colours there, (N, 3) red green blue."""
    mesh = load_mesh(folder / 'mesh.obj')
    rows, columns = np.mgrid[1:mesh.texture.shape[0]:2, 1:mesh.texture.shape[1]:2]
    points, _, on_surface = surface_points(mesh, np.column_stack([columns.ravel(), rows.ravel()]).astype(float))
    return 1000 * points[on_surface], mesh.texture[rows.ravel(), columns.ravel(), ::-1][on_surface].astype(float)


def page(folder) -> np.ndarray:
    """The JPEG in the PDF that Pillow wrote."""
    pdf = (folder / 'label.pdf').read_bytes()
    start = pdf.index(b'\xff\xd8\xff')
    return np.asarray(Image.open(io.BytesIO(pdf[start:pdf.index(b'endstream', start)])).convert('RGB'))


def test_mesh_is_a_closed_can_in_metres_about_the_origin(folder):
    mesh = load_mesh(folder / 'mesh.obj')
    assert mesh.extents == pytest.approx((0.06, 0.06, 0.11))
    assert mesh.centre == pytest.approx(np.zeros(3), abs=1e-9)
    assert mesh.solid.is_watertight
    # Positive: the normals point outwards. The inscribed polygon is a little smaller than the circle.
    assert mesh.solid.volume == pytest.approx(np.pi * 0.03**2 * 0.11, rel=2e-3)
    assert np.linalg.norm(mesh.vertices[:, :2], axis=1).max() == pytest.approx(0.03, abs=1e-6)


def test_all_sides_look_the_same(printed):
    """At one height of the side, or at one radius of an end, there is one colour."""
    points, colours = printed
    side = np.abs(np.abs(points[:, 2]) - HEIGHT_MM / 2) > 1e-3
    assert side.sum() > 50_000
    for _, same in groups(points[side, 2].round(3), colours[side]):
        assert (same == same[0]).all()
    for sign in (-1, 1):
        end = points[:, 2] * sign > HEIGHT_MM / 2 - 1e-3
        assert end.sum() > 5_000
        radii = np.linalg.norm(points[end, :2], axis=1)
        # Ring edges are pixels wide; between them a ring has one colour, whatever the angle.
        spread = [np.ptp(same, axis=0).max() for _, same in groups(radii.round(0), colours[end])]
        assert np.median(spread) == 0


def side_rings(printed) -> np.ndarray:
    """(N, 3) the side's colours from the lower end to the upper, evenly spaced."""
    points, colours = printed
    side = np.abs(np.abs(points[:, 2]) - HEIGHT_MM / 2) > 1e-3
    return np.array([same[0] for _, same in groups(points[side, 2].round(3), colours[side])])


def groups(keys: np.ndarray, values: np.ndarray):
    """Each key with its values."""
    order = np.argsort(keys, kind='stable')
    found, starts = np.unique(keys[order], return_index=True)
    return zip(found, np.split(values[order], starts[1:]))


def test_upside_down_looks_different(printed):
    """From the side, at every height but a few; and from the ends."""
    points, colours = printed
    rings = side_rings(printed)
    assert np.mean(np.abs(rings - rings[::-1]).max(axis=1) > 40) > 0.8
    ends = [colours[points[:, 2] * sign > HEIGHT_MM / 2 - 1e-3].mean(axis=0) for sign in (-1, 1)]
    assert np.abs(ends[0] - ends[1]).max() > 80


def test_no_stretch_of_the_side_looks_like_another(printed):
    """Shifting the print along the axis by 5 to 60 mm never brings it near itself: the height is unambiguous."""
    rings = side_rings(printed)
    per_mm = len(rings) / HEIGHT_MM
    for shift_mm in range(5, 61):
        shift = round(shift_mm * per_mm)
        assert np.abs(rings[shift:] - rings[:-shift]).mean() > 25


def test_paper_is_the_print_of_the_mesh(folder, printed):
    points, colours = printed
    paper, wrap = page(folder), Wrap(DIAMETER_MM, HEIGHT_MM)
    side = np.abs(np.abs(points[:, 2]) - HEIGHT_MM / 2) > 1
    angle = np.arctan2(points[side, 1], points[side, 0]) % (2 * np.pi)
    # The strip stands on end: the can's top is to its left.
    x = wrap.strip[0] + HEIGHT_MM / 2 - points[side, 2]
    y = wrap.strip[1] + np.clip(angle / (2 * np.pi) * wrap.length_mm, 1, wrap.length_mm - 1)
    found = paper[(y * PRINT_PX_PER_MM).astype(int), (x * PRINT_PX_PER_MM).astype(int)]
    assert np.median(np.abs(found - colours[side])) < 6
    for name, sign in (('top', 1), ('bottom', -1)):
        end = (points[:, 2] * sign > HEIGHT_MM / 2 - 1e-3) & (np.linalg.norm(points[:, :2], axis=1) < 29)
        left, top = wrap.discs[name]
        x, y = left + 30 + points[end, 0], top + 30 - sign * points[end, 1]
        found = paper[(y * PRINT_PX_PER_MM).astype(int), (x * PRINT_PX_PER_MM).astype(int)]
        assert np.median(np.abs(found - colours[end])) < 6, name


def test_label_has_the_true_circumference(folder):
    wrap, paper = Wrap(DIAMETER_MM, HEIGHT_MM), page(folder)
    column = paper[:, round((wrap.strip[0] + 20) * PRINT_PX_PER_MM)].astype(int)
    coral = np.flatnonzero(np.abs(column - (236, 82, 58)).max(axis=1) < 40)
    assert (coral[-1] - coral[0]) / PRINT_PX_PER_MM == pytest.approx(np.pi * DIAMETER_MM, abs=0.5)


def test_the_steps_tell_what_a_can_of_the_shops_would_mean():
    ours, sold = (can_steps(diameter, height, 124.0)[2].text for diameter, height in ((60, 110), (66, 115)))
    # At 60/66 of its distance a can of 60 mm looks as large as one of 66 mm.
    assert '66 x 115 mm' in ours and '9% too near' in ours
    assert 'empty drinks can of 330 ml' in sold


@pytest.mark.parametrize('size', [(0.06, 0.0), (60, 110), (float('nan'), 0.1)])
def test_impossible_sizes_are_refused(tmp_path, size):
    with pytest.raises(ProductCanError, match=r'expected a length between 0\.02 and 0\.2 m'):
        make_product_can(tmp_path, *size)


def test_can_too_large_for_the_page_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(ProductCanError, match='does not fit on A4'):
        make_product_can(tmp_path / 'can', 0.1, 0.11)
    assert not (tmp_path / 'can').exists()


def test_command_line(tmp_path, capsys):
    assert main(['--out', str(tmp_path / 'small'), '--size', '0.05', '0.08']) == 0
    assert load_mesh(tmp_path / 'small' / 'mesh.obj').extents == pytest.approx([0.05, 0.05, 0.08])
    assert main(['--out', str(tmp_path / 'huge'), '--size', '3', '3']) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_shipped_can_is_what_the_script_makes(folder, request):
    shipped = request.config.rootpath / 'models' / 'can'
    for name in ('mesh.obj', 'mesh.mtl'):
        assert (shipped / name).read_text() == (folder / name).read_text()
    ours, theirs = (np.asarray(Image.open(place / 'texture.png'), dtype=int) for place in (folder, shipped))
    assert (ours == theirs).all()
