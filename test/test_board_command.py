# SPDX-License-Identifier: Apache-2.0
"""The commands board and truth: files, lines and exit codes."""

from __future__ import annotations

import numpy as np
import pytest
from board_views import BOX, Bend, board_picture, box_board, photograph

from posegrasp_ros.board.board_file import load_board, save_board
from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.ground_truth_file import WRITTEN_COLUMNS, read_ground_truth
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import invert, look_at, rotation_angle

CAMERA = Camera(640, 480, np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), np.array([-0.2, 0.05, 0, 0, 0]))
STEP_NS = 100_000_000


def views(board):
    """Three camera_from_board that look at the object."""
    eyes = [(0.25, -0.2, 0.35), (-0.1, -0.3, 0.4), (0.05, 0.1, 0.5)]
    return [invert(look_at(board.outline_centre + eye, board.outline_centre)) for eye in eyes]


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """A bag of the box on its board, with two images without the board, and the board's file."""
    folder = tmp_path_factory.mktemp('board')
    layout, board = box_board(measured_mm=100.0)
    picture, flat = board_picture(layout), Bend(np.zeros(2), np.zeros((1, 4)))
    extents = BOX.vertices.min(axis=0), BOX.vertices.max(axis=0)
    images = [photograph(picture, board, flat, CAMERA, view, board.placed_object, extents, None)
              for view in views(board)]
    save_board(folder / 'board.yaml', board)
    with BagWriter(folder / 'bag') as bag:
        without = [np.full_like(images[0], grey) for grey in (90, 91)]
        for number, image in enumerate([*images, *without], start=1):
            bag.write(BagFrame(number * STEP_NS, image, CAMERA))
    with BagWriter(folder / 'empty') as bag:
        bag.write(BagFrame(STEP_NS, np.full_like(images[0], 90), CAMERA))
    return folder


def test_truth_writes_poses_and_covariances_and_counts_what_it_leaves_out(recording, tmp_path, capsys, caplog):
    out = tmp_path / 'truth.csv'
    assert main(['truth', str(recording / 'bag'), '--board', str(recording / 'board.yaml'),
                 '--out', str(out)]) == 0
    assert f'{out}: poses of box in 3 of 5 images' in capsys.readouterr().out
    assert '2 of 5 images left out: no_board: no marker of the board was found' in caplog.text
    board = load_board(recording / 'board.yaml')
    rows = list(read_ground_truth(out))
    assert [(stamp, frame) for stamp, frame, _ in rows] == [(number * STEP_NS, '') for number in (1, 2, 3)]
    for (_, _, truth), camera_from_board in zip(rows, views(board)):
        expected = camera_from_board @ board.placed_object
        assert np.linalg.norm(truth.pose[:3, 3] - expected[:3, 3]) < 5e-4
        assert rotation_angle(truth.pose[:3, :3].T @ expected[:3, :3]) < 2e-3
        assert np.linalg.eigvalsh(truth.covariance).min() > 0
        assert 1e-3 < np.sqrt(np.trace(truth.covariance[:3, :3])) < 3e-3
    assert out.read_text().splitlines()[0].split(',') == list(WRITTEN_COLUMNS)


def test_an_unmeasured_print_is_said_aloud_and_a_wrong_one_refused(recording, tmp_path, capsys):
    text = (recording / 'board.yaml').read_text()
    assert 'measured_ruler_mm: 100\n' in text
    board, arguments = tmp_path / 'board.yaml', ['truth', str(recording / 'bag'), '--out', str(tmp_path / 'a.csv')]
    board.write_text(text.replace('mm: 100\n', 'mm: null\n'))
    assert main([*arguments, '--board', str(board)]) == 0
    assert 'the printed ruler was not measured' in capsys.readouterr().err
    board.write_text(text.replace('mm: 100\n', 'mm: 94.1\n'))
    assert main([*arguments, '--board', str(board)]) == 2
    assert 'measured_ruler_mm: expected 100 mm within 3 %, got 94.1' in capsys.readouterr().err


def test_a_recording_without_the_board_says_so(recording, tmp_path, capsys):
    out = tmp_path / 'truth.csv'
    assert main(['truth', str(recording / 'empty'), '--board', str(recording / 'board.yaml'),
                 '--out', str(out)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'expected the board of box in its images, found no pose of it in 1: no_board' in said
    assert not out.exists()


def test_photographs_are_no_recording(recording, tmp_path, capsys):
    import cv2
    cv2.imwrite(str(tmp_path / 'one.png'), np.zeros((48, 64, 3), np.uint8))
    assert main(['truth', str(tmp_path), '--board', str(recording / 'board.yaml')]) == 2
    assert 'expected a recording, whose images have stamps' in capsys.readouterr().err


def test_board_writes_the_drawing_and_its_file(tmp_path, capsys):
    out = tmp_path / 'new' / 'mine.pdf'
    assert main(['board', 'box', '--out', str(out), '--paper', 'letter', '--stable-pose', '2']) == 0
    said = capsys.readouterr().out
    assert out.read_bytes().startswith(b'%PDF') and 'enter measured_ruler_mm' in said and 'pose 2 of those' in said
    board = load_board(out.with_suffix('.yaml'))
    assert board.object == 'box' and board.paper == 'letter' and not board.is_measured
    assert board.mesh_sha256 == BOX.sha256.hex() and board.stable_pose == 2


@pytest.mark.parametrize(('arguments', 'said'), [
    (['box', '--tiles', '2'], '--tiles: expected COLUMNSxROWS'),
    (['box', '--square-mm', '2'], '--square-mm: expected a length from 8 to 200 mm'),
    (['box', '--paper', 'a3'], '--paper: expected one of a4, letter'),
    (['box', '--stable-pose', '40'], '--stable-pose: expected 1 to'),
    (['nothing.obj'], 'object nothing.obj: expected a model folder, a mesh file'),
])
def test_what_cannot_be_drawn_is_refused(arguments, said, tmp_path, capsys):
    assert main(['board', *arguments, '--out', str(tmp_path / 'board.pdf')]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())
