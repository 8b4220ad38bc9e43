# SPDX-License-Identifier: Apache-2.0
"""board.yaml: what is written is read, and what cannot be used is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from board_views import box_board

from posegrasp_ros.board.board_file import BoardError, load_board, save_board, scale_warning


@pytest.fixture
def path(tmp_path):
    save_board(tmp_path / 'board.yaml', box_board()[1])
    return tmp_path / 'board.yaml'


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_what_is_written_is_read(path):
    board, again = box_board()[1], load_board(path)
    assert again.object == 'box' and again.mesh_sha256 == board.mesh_sha256
    assert again.pattern == board.pattern and again.sigmas == board.sigmas and not again.is_measured
    np.testing.assert_allclose(again.placed_object, board.placed_object, atol=1e-8)
    np.testing.assert_allclose(again.outline_centre, board.outline_centre, atol=1e-8)


def test_the_object_stands_in_the_middle_of_what_is_left_out(path):
    board = load_board(path)
    pattern, (x, y, z) = board.pattern, board.placed_object[:3, 3]
    column, row, columns, rows = pattern.blank
    assert x == pytest.approx((column + columns / 2) * pattern.square_m)
    assert y == pytest.approx((pattern.rows - row - rows / 2) * pattern.square_m)
    assert z == pytest.approx(0.0225)  # half of the box's height of 45 mm


def test_the_ruler_scales_pattern_and_outline_but_not_the_height(path):
    plain, larger = load_board(path), load_board(changed(path, 'ruler_mm: null', 'ruler_mm: 101.0'))
    assert larger.pattern.square_m == pytest.approx(1.01 * plain.pattern.square_m)
    np.testing.assert_allclose(larger.placed_object[:3, 3], plain.placed_object[:3, 3] * (1.01, 1.01, 1.0))
    assert larger.scale_sigma == pytest.approx(0.002) and plain.scale_sigma == pytest.approx(0.01)


def test_a_print_that_nobody_measured_is_warned_of_in_one_line(path):
    assert 'measured_ruler_mm' in scale_warning(path, load_board(path))
    assert scale_warning(path, load_board(changed(path, 'ruler_mm: null', 'ruler_mm: 100'))) == ''


@pytest.mark.parametrize(('old', 'new', 'said'), [
    ('board/1', 'board/2', r'format: expected posegrasp.board/1'),
    ('measured_ruler_mm: null', 'measured_ruler_mm: 96.0', 'expected 100 mm within 3 %, got 96'),
    ('measured_ruler_mm: null', 'measured_ruler_mm: 103.1', 'expected 100 mm within 3 %, got 103.1'),
    ('measured_ruler_mm: null', 'measured_ruler_mm: .nan', 'measured_ruler_mm: expected'),
    ('measured_ruler_mm: null', 'measured_ruler_mm: long', "measured_ruler_mm: expected .* got 'long'"),
    ('paper: a4', 'paper: a3', "paper: expected a4 or letter, got 'a3'"),
    ('squares: [9, 12]', 'squares: [9]', 'squares: '),
    ('squares: [9, 12]', 'squares: [9, 2]', 'squares: 3 to 200 each way'),
    ('sheets: [1, 1]', 'sheets: [2, 1]', 'squares: a whole number on each of 2 x 1 sheets'),
    ('blank: [2, 2,', 'blank: [7, 2,', 'blank: column, row, columns and rows within 9 x 12'),
    ('DICT_4X4_100', 'DICT_4X4_50', 'dictionary: one with a marker for each of 54'),
    ('DICT_4X4_100', 'DICT_9X9', 'dictionary: expected DICT_4X4_50 or'),
    ('marker_m: 0.015', 'marker_m: 0.025', 'marker_m: less than square_m'),
    ('position_mm: 1', 'position_mm: -1', 'sigmas.position_mm: expected'),
    ('position_mm: 1', 'positions_mm: 1', 'sigmas.positions_mm: expected no field but'),
    ("mesh_sha256: '", "mesh_sha256: 'x", 'mesh_sha256: '),
])
def test_what_cannot_be_used_is_refused_in_one_line(path, old, new, said):
    with pytest.raises(BoardError, match=said) as refused:
        load_board(changed(path, old, new))
    assert str(refused.value).startswith(str(path)) and '\n' not in str(refused.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / 'other.yaml').write_text('format: posegrasp.model/1\n')
    with pytest.raises(BoardError, match=r'as posegrasp board writes it, got .posegrasp\.model/1'):
        load_board(tmp_path / 'other.yaml')
