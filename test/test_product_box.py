# SPDX-License-Identifier: Apache-2.0
"""The product box: the mesh is right, its print is unambiguous, and the printed net folds to the same box."""

import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.training.product_box import (
    FACES,
    Net,
    ProductBoxError,
    draw_faces,
    main,
    make_product_box,
)
from posegrasp_ros.training.product_box_steps import box_steps
from posegrasp_ros.training.product_print import MARGIN_MM, PRINT_PX_PER_MM

SIZE_M = np.array([0.12, 0.06, 0.045])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('box')
    make_product_box(folder)
    return folder


@pytest.fixture(scope='module')
def prints():
    return draw_faces(SIZE_M * 1000, seed=7)


def coarse(picture: Image.Image, size=(12, 6)) -> np.ndarray:
    """What a camera sees from far away: a few colours."""
    return np.asarray(picture.resize(size, Image.Resampling.BOX), dtype=float)


def sample(mesh, points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(N, 3) rgb of the texture at surface points on the side with this outward normal."""
    colours = np.zeros((len(points), 3))
    corners, uvs = mesh.vertices[mesh.faces], mesh.uv[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for triangle in np.flatnonzero(normals @ normal > 0.9 * np.linalg.norm(normals, axis=1)):
        edges = np.column_stack([corners[triangle, 1] - corners[triangle, 0],
                                 corners[triangle, 2] - corners[triangle, 0]])
        st = np.linalg.lstsq(edges, (points - corners[triangle, 0]).T, rcond=None)[0].T
        inside = (st >= -1e-9).all(axis=1) & (st.sum(axis=1) <= 1 + 1e-9)
        uv = uvs[triangle, 0] + st @ (uvs[triangle, 1:] - uvs[triangle, 0])
        rows = ((1 - uv[:, 1]) * mesh.texture.shape[0]).astype(int)
        columns = (uv[:, 0] * mesh.texture.shape[1]).astype(int)
        colours[inside] = mesh.texture[rows[inside], columns[inside], ::-1]
    return colours


def seen_from_outside(mesh, face, size=(24, 12)) -> np.ndarray:
    """The face's colours on a grid, as someone sees them who looks at it with ``face.up`` upwards."""
    right, up = np.array(face.right), np.array(face.up)
    across, down = np.meshgrid(*((np.arange(count) + 0.5) / count - 0.5 for count in size))
    points = (np.cross(right, up) / 2 + across[..., None] * right - down[..., None] * up) * mesh.extents
    return sample(mesh, points.reshape(-1, 3), np.cross(right, up)).reshape(size[1], size[0], 3)


def test_mesh_is_a_closed_box_in_metres_about_the_origin(folder):
    mesh = load_mesh(folder / 'mesh.obj')
    assert mesh.extents == pytest.approx(SIZE_M)
    assert mesh.centre == pytest.approx(np.zeros(3), abs=1e-12)
    assert mesh.solid.is_watertight
    assert mesh.solid.volume == pytest.approx(SIZE_M.prod())  # positive: the normals point outwards


@pytest.mark.parametrize('name', FACES)
def test_artwork_reads_properly_on_the_mesh(folder, prints, name):
    seen = seen_from_outside(load_mesh(folder / 'mesh.obj'), FACES[name])
    height, width = seen.shape[:2]
    drawn = np.asarray(prints[name])
    rows = ((np.arange(height) + 0.5) / height * drawn.shape[0]).astype(int)
    columns = ((np.arange(width) + 0.5) / width * drawn.shape[1]).astype(int)
    expected = drawn[np.ix_(rows, columns)].astype(float)
    assert np.median(np.abs(seen - expected)) < 4
    assert np.abs(seen - expected).mean() < 0.3 * np.abs(seen[:, ::-1] - expected).mean()


def test_no_face_or_half_turn_looks_like_another(prints):
    views = [coarse(picture.rotate(turn)) for picture in prints.values() for turn in (0, 180)]
    for first, second in itertools.combinations(views, 2):
        assert np.abs(first - second).mean() > 30


def test_same_seed_gives_the_same_files_and_another_seed_another_print(folder, tmp_path):
    make_product_box(tmp_path / 'again', seed=7)
    make_product_box(tmp_path / 'other', seed=8)
    for name in ('mesh.obj', 'mesh.mtl', 'texture.png', 'label.pdf', 'label_letter.pdf'):
        assert (tmp_path / 'again' / name).read_bytes() == (folder / name).read_bytes(), name
    assert (tmp_path / 'other' / 'texture.png').read_bytes() != (folder / 'texture.png').read_bytes()


@pytest.mark.parametrize(('name', 'paper_mm'), [('label.pdf', (210, 297)), ('label_letter.pdf', (215.9, 279.4))])
def test_labels_are_a_page_at_true_scale_and_one_with_the_steps(folder, name, paper_mm):
    pdf = (folder / name).read_bytes()
    boxes = re.findall(rb'/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]', pdf)
    assert b'/Count 2' in pdf
    assert np.array(boxes, dtype=float) / 72 * 25.4 == pytest.approx(np.tile(paper_mm, (len(boxes), 1)), abs=0.1)
    assert pdf_picture(pdf).size == tuple(round(length * PRINT_PX_PER_MM) for length in paper_mm)


@pytest.mark.parametrize('name', ['label.pdf', 'label_letter.pdf'])
def test_the_line_to_measure_is_100_mm_long(folder, name):
    page = np.asarray(pdf_picture((folder / name).read_bytes()).convert('L'))
    left = round((MARGIN_MM + 3) * PRINT_PX_PER_MM)
    lengths = [np.flatnonzero(row[left - 20:left + 1300] > 100) for row in page[-600:]]
    # The ruler is the only row of the lower part that is black from the margin on without a gap.
    unbroken = [row[row > 20][0] - 20 for row in lengths if len(row[row > 20]) and row[row > 20][0] > 1000]
    assert unbroken and np.max(unbroken) / PRINT_PX_PER_MM == pytest.approx(100, abs=0.3)


def test_the_weight_is_that_of_simulated_picks():
    texts = [step.text for step in box_steps(SIZE_M * 1000, [], 1000 * 400 * SIZE_M.prod())]
    assert len(texts) == 6 and '130 g' in texts[4]


def test_a_net_too_high_for_letter_is_drawn_for_a4_alone(tmp_path):
    make_product_box(tmp_path, (0.1, 0.07, 0.05))
    assert {path.name for path in tmp_path.glob('*.pdf')} == {'label.pdf'}


def pdf_picture(pdf: bytes) -> Image.Image:
    """The JPEG in a PDF that Pillow wrote."""
    start = pdf.index(b'\xff\xd8\xff')
    return Image.open(io.BytesIO(pdf[start:pdf.index(b'endstream', start)])).convert('RGB')


def test_paper_net_is_the_unfolded_mesh(folder):
    """Each face, lifted off the printed page along its fold, carries what the mesh carries there."""
    mesh, page = load_mesh(folder / 'mesh.obj'), np.asarray(pdf_picture((folder / 'label.pdf').read_bytes()))
    for name, (left, top, width, height, up) in Net(SIZE_M * 1000).places.items():
        normal = np.cross(FACES[name].right, FACES[name].up)
        right = np.cross(up, normal)
        x, y = np.meshgrid(np.linspace(2, width - 2, 20), np.linspace(2, height - 2, 20))
        points = (normal * SIZE_M / 2 + (x[..., None] - width / 2) / 1000 * right
                  - (y[..., None] - height / 2) / 1000 * np.array(up))
        printed = page[((top + y) * PRINT_PX_PER_MM).astype(int), ((left + x) * PRINT_PX_PER_MM).astype(int)]
        on_mesh = sample(mesh, points.reshape(-1, 3), normal)
        assert np.median(np.abs(printed.reshape(-1, 3) - on_mesh)) < 6, name


def test_neighbours_on_paper_share_their_edge_on_the_box():
    places = Net(SIZE_M * 1000).places
    axes = {name: (np.cross(place[4], np.cross(FACES[name].right, FACES[name].up)), np.array(place[4]))
            for name, place in places.items()}
    normals = {name: np.cross(*axes[name]) for name in places}
    for above, below in [('top', 'front'), ('front', 'bottom'), ('bottom', 'back')]:
        # Folded back by a quarter turn, the way down on the upper face is the lower face's outward normal.
        assert (-axes[above][1] == normals[below]).all()
        assert (axes[above][0] == axes[below][0]).all()
    assert (-axes['top'][0] == normals['left']).all()
    assert (axes['top'][1] == axes['left'][1]).all()


@pytest.mark.parametrize('size', [(0.12, 0.06), (0.12, 0.06, 0.0), (120, 60, 45), (0.06, 0.12, float('nan'))])
def test_impossible_sizes_are_refused(tmp_path, size):
    with pytest.raises(ProductBoxError, match='expected three lengths between'):
        make_product_box(tmp_path, size)


def test_box_too_large_for_the_page_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(ProductBoxError, match='does not fit on A4'):
        make_product_box(tmp_path / 'box', (0.19, 0.1, 0.1))
    assert not (tmp_path / 'box').exists()


def test_command_line(tmp_path, capsys):
    assert main(['--out', str(tmp_path / 'small'), '--size', '0.09', '0.05', '0.03']) == 0
    assert load_mesh(tmp_path / 'small' / 'mesh.obj').extents == pytest.approx([0.09, 0.05, 0.03])
    assert main(['--out', str(tmp_path / 'huge'), '--size', '3', '3', '3']) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_shipped_box_is_what_the_script_makes(folder, request):
    shipped = request.config.rootpath / 'models' / 'box'
    for name in ('mesh.obj', 'mesh.mtl'):
        assert (shipped / name).read_text() == (folder / name).read_text()
    ours, theirs = (np.asarray(Image.open(place / 'texture.png'), dtype=int) for place in (folder, shipped))
    # The font's outlines may differ by a shade between versions of FreeType.
    assert np.abs(ours - theirs).mean() < 1
