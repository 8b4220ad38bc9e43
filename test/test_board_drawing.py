# SPDX-License-Identifier: Apache-2.0
"""The printed board: true to scale on paper, found by OpenCV on the page, with marks to join several sheets."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from board_views import PX_PER_MM, board_picture, box_board, pages_of, rastered

from posegrasp_ros.board.board_drawing import draw_board
from posegrasp_ros.board.board_layout import MARGIN_MM, PAPERS_MM, lay_out
from posegrasp_ros.board.charuco_pattern import PatternError, smallest_dictionary
from posegrasp_ros.board.footprint import footprint
from posegrasp_ros.board.instruction_page import draw_instructions
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.mesh_family import family_object

BOX = load_mesh(resource_path('models/box/mesh.obj'))


@pytest.mark.parametrize('paper', PAPERS_MM)
def test_the_page_has_the_paper_s_size_and_its_squares_are_to_scale(paper):
    layout = lay_out(footprint(BOX, 1), paper, 0.02)
    page, *others = pages_of(draw_board(layout, 'box').getpdfdata())
    assert not others and page.size_mm == pytest.approx(PAPERS_MM[paper], abs=0.01)
    black = page.rectangles[page.rectangles[:, 4] == 0]
    assert black[:, 2:4].max() == pytest.approx(20, abs=1e-3)
    pattern = layout.pattern
    assert (np.abs(black[:, 2] - 20) < 1e-3).sum() == len(pattern.black_squares())
    assert (np.abs(black[:, 2] - 15) < 1e-3).sum() == len(pattern.markers())
    assert black[:, 0].min() >= MARGIN_MM and (black[:, 0] + black[:, 2]).max() <= page.size_mm[0] - MARGIN_MM


def test_the_ruler_is_100_mm_long():
    pdf = draw_board(box_board()[0], 'box').getpdfdata().decode('latin-1')
    lengths = [abs(float(x1) - float(x0)) * 25.4 / 72
               for x0, y0, x1, y1 in re.findall(r'n ([\d.]+) ([\d.]+) m ([\d.]+) ([\d.]+) l S', pdf) if y0 == y1]
    assert max(lengths) == pytest.approx(100, abs=0.01)


def corners_on(picture, layout):
    """Numbers and places (N, 2) in mm from the lower left, of the corners that OpenCV finds on a picture."""
    grey = cv2.copyMakeBorder(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
                              100, 100, 100, 100, cv2.BORDER_CONSTANT, value=255)
    pixels, numbers, _, _ = layout.pattern.detector().detectBoard(grey)
    x, y = (pixels.reshape(-1, 2) + 0.5 - 100).T / (0.5 * PX_PER_MM)
    return numbers.ravel(), np.column_stack([x, picture.shape[0] / PX_PER_MM - y])


@pytest.mark.parametrize('sheets', [(1, 1), (2, 1), (1, 2)])
def test_opencv_finds_every_corner_where_the_pattern_says(sheets):
    layout = lay_out(footprint(BOX, 1), 'a4', 0.02, sheets)
    numbers, places_mm = corners_on(board_picture(layout), layout)
    usable = np.flatnonzero(layout.pattern.is_usable)
    assert set(usable) <= set(numbers)
    kept = layout.pattern.is_usable[numbers]
    np.testing.assert_allclose(places_mm[kept], 1000 * layout.pattern.corners_m[numbers[kept], :2], atol=0.05)


def test_the_outline_has_the_size_of_the_object_and_is_free_of_squares():
    layout = box_board()[0]
    assert layout.footprint.size_m == pytest.approx((0.06, 0.12))
    outline, = layout.footprint.outlines_m
    assert np.ptp(outline, axis=0) == pytest.approx((0.06, 0.12), abs=3e-4)
    page, = pages_of(draw_board(layout, 'box').getpdfdata())
    x, y = 1000 * layout.outline_centre_m + ((210 - 9 * 20) / 2, MARGIN_MM + 24)
    low, high = (np.rint((place - half) * PX_PER_MM).astype(int) for place, half in ((y, 60), (y, -60)))
    left, right = (np.rint((place - half) * PX_PER_MM).astype(int) for place, half in ((x, 30), (x, -30)))
    assert rastered(page)[::-1][low:high, left:right].min() == 255


def test_the_hole_of_a_handle_is_in_the_outline():
    assert len(footprint(family_object('mug').mesh, 1).outlines_m) == 2


@pytest.mark.parametrize('stable_pose', [1, 3, 5])
def test_the_object_stands_on_the_paper_in_the_pose_that_was_asked_for(stable_pose):
    standing = footprint(BOX, stable_pose)
    points = BOX.vertices @ standing.paper_from_object[:3, :3].T + standing.paper_from_object[:3, 3]
    assert points[:, 2].min() == pytest.approx(0, abs=1e-9)
    assert (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) == pytest.approx(0, abs=1e-9)
    assert np.linalg.det(standing.paper_from_object[:3, :3]) == pytest.approx(1)
    assert standing.turned().axis_along(np.array([0, 1.0, 0])) == standing.axis_along(np.array([1.0, 0, 0]))


def test_sheets_are_cut_where_the_next_one_begins():
    layout = lay_out(footprint(BOX, 1), 'a4', 0.025, (2, 1))
    pdf = draw_board(layout, 'box').getpdfdata()
    assert pdf.count(b'Cut along the dashed line') == 1 and b'sheet 2 of 2' in pdf
    first, second = pages_of(pdf)
    right_edge, left_edge = (first.rectangles[:, 0] + first.rectangles[:, 2]).max(), second.rectangles[:, 0].min()
    assert right_edge == pytest.approx((210 + 175) / 2) and left_edge == pytest.approx((210 - 175) / 2)


@pytest.mark.parametrize('sheets', [(1, 1), (2, 1)])
def test_the_last_page_says_how_to_use_the_board(sheets):
    layout = lay_out(footprint(BOX, 1), 'a4', None, sheets)
    canvas = draw_board(layout, 'box')
    draw_instructions(canvas, layout, BOX, 'box')
    pdf = canvas.getpdfdata()
    assert pdf.count(b'/Type /Page\n') == sheets[0] * sheets[1] + 1
    assert (b'edge on edge, tape' in pdf) == (sheets != (1, 1)) and pdf.count(b'Seen from the') == 4


def test_a_larger_object_gets_more_sheets():
    large = footprint(family_object('mug').mesh, 1)
    assert lay_out(large, 'a4').sheets[0] * lay_out(large, 'a4').sheets[1] > 1
    assert lay_out(footprint(BOX, 1), 'a4').sheets == (1, 1)


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(PatternError, match='expected at least 12 corners around an object of 120 x 60 mm on 1x1'):
        lay_out(footprint(BOX, 1), 'a4', 0.05, (1, 1))
    with pytest.raises(PatternError, match=r'--stable-pose: expected 1 to \d+, .* got 99'):
        footprint(BOX, 99)
    with pytest.raises(PatternError, match='expected at most 1000 markers'):
        smallest_dictionary(60, 60)
