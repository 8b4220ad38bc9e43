# SPDX-License-Identifier: Apache-2.0
"""posegrasp watch --label: poses from clicks and refinement, frame after frame, saved as ground truth."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from chromium import empty_page, needs_chromium

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.datasets.ground_truth_file import GroundTruthError, ground_truth_lines, read_ground_truth
from posegrasp_ros.datasets.label_file import LabelFile, labelling, read_labels
from posegrasp_ros.datasets.photographs import Photograph
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    make_transform,
    perturb,
    rotation_angle,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.simulation.sequence import SequencePlan, record_sequence, sequence_frames
from posegrasp_ros.watch.clicked_pose import clicked_pose
from posegrasp_ros.watch.label_desk import VIEW_PX, LabelDesk
from posegrasp_ros.watch.label_motion import expected_pose
from posegrasp_ros.watch.label_session import LabelSession, labelled_source
from posegrasp_ros.watch.mesh_view import MeshView, placed_alone
from posegrasp_ros.watch.stepped_frames import KEPT, SteppedFrames
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_source import Watchable, WatchSource, open_watch_source

HAS_AIOHTTP = importlib.util.find_spec('aiohttp') is not None
needs_aiohttp = pytest.mark.skipif(not HAS_AIOHTTP, reason="aiohttp is not installed: pip install '.[watch]'")
MM, DEG = 1e-3, float(np.radians(1))
FISHEYE = Camera(640, 480, np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), np.array([0.02, -0.01, 0, 0]),
                 'equidistant')
POSE = make_transform(rotation_from_vector([0.7, -0.5, 0.3]), (0.05, -0.03, 0.4))


@pytest.fixture(scope='module')
def card(scripted_model):
    return load_model_card(scripted_model)


@pytest.fixture(scope='module')
def recording(card, tmp_path_factory) -> Path:
    """Six frames of a moving camera, with their true poses."""
    out = tmp_path_factory.mktemp('labelled') / 'moving'
    record_sequence(out, sequence_frames(card.mesh, SequencePlan(0.2, 30.0), seed=6), 6, progress=False)
    return out


@pytest.fixture(scope='module')
def truths(recording) -> list[np.ndarray]:
    return [frame.camera_from_object for frame in read_frames(recording)]


def stepped(path: Path, card) -> SteppedFrames:
    return SteppedFrames(open_watch_source(str(path), ImageCamera(None, 1.0), SourceOptions(),
                                           card.mesh.diameter))


@pytest.fixture
def begin(recording, card, tmp_path):
    """Begin a session, or go on with one."""
    frames = stepped(recording, card)

    def started(out: Path = tmp_path / 'truth.csv') -> LabelSession:
        return LabelSession(card, frames, LabelFile(out, labelled_source(card, frames), frames.stamps_ns))

    return started


def error(pose: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Metres and radians."""
    return float(np.linalg.norm(pose[:3, 3] - truth[:3, 3])), float(rotation_angle(pose[:3, :3].T @ truth[:3, :3]))


def shown_points(mesh: Mesh, pose: np.ndarray, camera: Camera, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) of the surface far apart that an image shows, and their pixels (N, 2)."""
    view = MeshView.in_image(mesh, pose, camera)
    rows, columns = np.nonzero(view.owner >= 0)
    angles = np.arange(count) * 2 * np.pi / count
    places = [int(np.argmax(columns * np.cos(angle) + rows * np.sin(angle))) for angle in angles]
    pixels = np.column_stack([columns, rows])[places].astype(float)
    return np.array([view.point_at(pixel) for pixel in pixels]), pixels


@pytest.mark.parametrize('camera', [Camera.from_field_of_view(640, 480, 1.0), FISHEYE])
def test_a_pixel_of_a_view_shows_the_point_that_projects_to_it(card, camera):
    points, pixels = shown_points(card.mesh, POSE, camera)
    # a long edge is straight in the view, and bent by the lens
    off = np.linalg.norm(camera.project(transform_points(POSE, points)) - pixels, axis=1)
    assert off.max() < (0.01 if not camera.is_distorted else 1.5)
    assert MeshView.in_image(card.mesh, POSE, camera).point_at(np.array([0.0, 0.0])) is None
    assert MeshView.in_image(card.mesh, POSE, camera).point_at(np.array([-5.0, 1e5])) is None


def test_a_view_shows_the_nearest_surface():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.05)
    mesh = Mesh(np.array(ball.vertices), np.array(ball.faces), None, np.full((1, 1, 3), 200, np.uint8))
    alone = MeshView.alone(mesh, np.eye(3), 1.0, 101)
    np.testing.assert_allclose(alone.point_at(np.array([50.0, 50.0])), (0, 0, -0.05), atol=1e-3)
    assert (alone.owner >= 0).mean() == pytest.approx(np.pi / 4 * 0.9**2, rel=0.03)
    camera = Camera.from_field_of_view(101, 101, 1.0)
    seen = MeshView.in_image(mesh, make_transform(translation=(0, 0, 0.3)), camera)
    np.testing.assert_allclose(seen.point_at(np.array([50.0, 50.0])), (0, 0, -0.05), atol=1e-3)
    behind = MeshView.in_image(mesh, make_transform(translation=(0, 0, -0.3)), camera)
    assert (behind.owner < 0).all() and behind.outlines() == []


@pytest.mark.parametrize('camera', [Camera.from_field_of_view(640, 480, 1.0), FISHEYE])
@pytest.mark.parametrize('count', [4, 8])
def test_clicks_on_corners_give_the_pose(card, camera, count):
    corners = np.unique(card.mesh.vertices.round(6), axis=0)[[0, 3, 5, 6, 1, 2, 4, 7][:count]]
    solved = clicked_pose(corners, camera.project(transform_points(POSE, corners)), camera)
    position, rotation = error(solved.camera_from_object, POSE)
    assert position < 0.1 * MM and rotation < 0.05 * DEG and solved.residual_px < 0.01


def test_points_of_one_face_give_the_pose(card):
    camera = Camera.from_field_of_view(640, 480, 1.0)
    vertices = np.unique(card.mesh.vertices.round(6), axis=0)
    face = vertices[vertices[:, 2] > 0]
    assert len(face) == 4
    solved = clicked_pose(face, camera.project(transform_points(POSE, face)), camera)
    assert error(solved.camera_from_object, POSE)[0] < 0.1 * MM


def test_the_covariance_of_clicks_is_that_of_their_errors(card):
    """Squared distances in standard deviations have a mean of 6 where clicks err by what is assumed of them."""
    camera, rng = Camera.from_field_of_view(640, 480, 1.0), np.random.default_rng(0)
    corners = np.unique(card.mesh.vertices.round(6), axis=0)
    pixels, squared = camera.project(transform_points(POSE, corners)), []
    for _ in range(200):
        solved = clicked_pose(corners, pixels + rng.normal(0, 1.5, pixels.shape), camera)
        found = solved.camera_from_object
        step = np.concatenate([found[:3, 3] - POSE[:3, 3], vector_from_rotation(found[:3, :3] @ POSE[:3, :3].T)])
        squared.append(step @ np.linalg.solve(solved.covariance, step))
    assert 4.0 < np.mean(squared) < 6.6  # never smaller than of 1.5 px, where they happen to fit better


@pytest.mark.parametrize('points, said', [
    (np.eye(3), 'expected 4 pairs at least, got 3'),
    (np.outer([0.0, 0.01, 0.02, 0.05], [1.0, 1.0, 0.0]), 'on a line'), (np.zeros((4, 3)), 'on a line')])
def test_points_that_tell_no_pose_are_refused(points, said):
    with pytest.raises(WatchError, match=said):
        clicked_pose(points, np.zeros((len(points), 2)) + 50, Camera.from_field_of_view(640, 480, 1.0))


@pytest.mark.parametrize('spread_px', [0, 1, 5, 20])
def test_clicks_in_one_place_are_refused_or_solved(card, spread_px):
    corners = np.unique(card.mesh.vertices.round(6), axis=0)[:6]
    rng, camera = np.random.default_rng(spread_px), Camera.from_field_of_view(640, 480, 1.0)
    for _ in range(50):
        try:
            solved = clicked_pose(corners, 200 + rng.uniform(-spread_px, spread_px, (6, 2)), camera)
            assert np.isfinite(solved.camera_from_object).all()
        except WatchError as refused:
            assert str(refused).startswith('points: expected')


def test_four_pairs_in_any_order_solve_the_pose(begin, card, truths):
    session = begin()
    points, pixels = shown_points(card.mesh, truths[0], session.frame.camera, 5)
    session.click_mesh(points[0])
    session.click_mesh(points[1])
    for pixel in pixels[:3]:
        session.click_image(pixel)
    session.click_mesh(points[2])
    session.click_image(pixels[4])
    assert session.draft is None
    session.undo()
    session.click_image(pixels[3])
    session.click_mesh(points[3])
    session.undo()
    assert session.draft is None and session.pairs[3].pixel is not None and session.pairs[3].point is None
    session.click_mesh(points[3])
    assert session.draft.way == 'points' and error(session.draft.truth.pose, truths[0])[0] < 1 * MM
    session.clear()
    assert session.pairs == [] and session.draft is not None


def test_refinement_snaps_a_disturbed_pose_to_the_image(begin, truths):
    session = begin()
    for sign in (-1, 1):
        session.put(perturb(truths[0], sign * np.array([4, -3, 8, 0, 0, 0]) * MM
                                + sign * np.array([0, 0, 0, 3, -3, 3]) * DEG))
        assert error(session.draft.truth.pose, truths[0])[0] > 9 * MM
        session.refine()
        position, rotation = error(session.draft.truth.pose, truths[0])
        assert position < 2 * MM and rotation < 1 * DEG and session.draft.way == 'refined'
        assert np.linalg.eigvalsh(session.draft.truth.covariance).min() > 0
    sigmas = np.sqrt(np.diag(session.draft.truth.covariance))
    assert 0.2 * MM < sigmas[:3].max() < 6 * MM


def test_what_cannot_be_refined_or_saved_is_said(begin, truths, tmp_path):
    session = begin()
    with pytest.raises(WatchError, match='refine: expected a pose to begin with'):
        session.refine()
    with pytest.raises(WatchError, match='save: expected a pose, got none'):
        session.save()
    session.put(perturb(truths[0], np.array([0.5, 0, 0, 0, 0, 0])))
    with pytest.raises(WatchError, match='one that it cannot show'):
        session.save()
    with pytest.raises(WatchError, match='nearer'):
        session.refine()
    assert not (tmp_path / 'truth.csv').exists()


def test_moves_are_what_the_page_shows(begin, card, truths):
    session = begin()
    session.put(truths[0])
    camera, centre = session.frame.camera, card.mesh.centre[None]

    def middle() -> np.ndarray:
        return camera.project(transform_points(session.draft.truth.pose, centre))[0]

    before = middle()
    session.shift(np.array([12.0, -7.0]))
    np.testing.assert_allclose(middle() - before, (12, -7), atol=1e-9)
    distance = np.linalg.norm(transform_points(session.draft.truth.pose, centre))
    session.shift(np.zeros(2), nearer=0.1)
    np.testing.assert_allclose(middle() - before, (12, -7), atol=1e-9)
    assert np.linalg.norm(transform_points(session.draft.truth.pose, centre)) == pytest.approx(0.9 * distance)
    session.turn(np.array([0.0, 0.0, 0.3]))
    np.testing.assert_allclose(middle() - before, (12, -7), atol=1e-9)
    assert rotation_angle(session.draft.truth.pose[:3, :3].T @ truths[0][:3, :3]) == pytest.approx(0.3)
    assert session.draft.way == 'moved' and session.draft.truth.covariance is None


def test_the_next_frame_begins_with_the_pose_moved_on(begin, truths):
    session = begin()
    session.put(truths[0])
    session.save()
    assert session.place == 1
    for place in (1, 2):  # after one label, and after two
        assert session.draft.way == 'refined' and not session.draft.is_touched
        assert error(session.draft.truth.pose, truths[place])[0] < 2 * MM
        session.save()


def test_motion_goes_on_for_half_a_second(card):
    step = np.array([2, 0, 1, 0, 0, 0]) * MM + np.array([0, 0, 0, 1, 0, 2]) * DEG
    centred = make_transform(translation=card.mesh.centre)
    path = [POSE @ centred]
    for _ in range(2):
        path.append(perturb(path[-1], step))
    poses = [each @ np.linalg.inv(centred) for each in path]
    known = {100_000_000: TruePose(poses[0]), 200_000_000: TruePose(poses[1])}
    np.testing.assert_allclose(expected_pose(known, 300_000_000, card.mesh), poses[2], atol=1e-9)
    np.testing.assert_array_equal(expected_pose(known, 900_000_000, card.mesh), poses[1])
    np.testing.assert_array_equal(expected_pose(known, 20_000_000, card.mesh), poses[0])
    assert expected_pose({}, 0, card.mesh) is None


def labelled(session: LabelSession, truths: list[np.ndarray]) -> None:
    """Label the first four frames in every way."""
    session.put(truths[0])
    session.save()
    session.save()
    session.absent()
    session.skip()


def test_labels_are_gone_on_with(begin, truths, tmp_path, card, recording):
    session = begin()
    labelled(session, truths)
    again = begin()
    assert (again.place, again.labelled, again.draft.way) == (4, 4, 'refined')  # begun from frame 2
    again.go(-1)
    assert again.label.way == 'skipped' and again.draft is None
    again.go(-2)
    assert again.label.way == 'refined' and not again.draft.is_touched
    saved = [label for label in read_labels(tmp_path / 'truth.csv').values() if label.way == 'refined']
    np.testing.assert_array_equal(again.draft.truth.pose, saved[0].truth.pose)
    again.go(-1)
    again.skip()  # a label is changed only on purpose
    ways = [label.way for label in read_labels(tmp_path / 'truth.csv').values()]
    assert sorted(ways) == ['absent', 'refined', 'skipped', 'skipped']


def test_evaluate_takes_the_labels_as_ground_truth(begin, truths, tmp_path, recording, card):
    labelled(begin(), truths)
    rows = list(read_ground_truth(tmp_path / 'truth.csv'))
    assert len(rows) == 2 and rows[0][1] == '' and rows[0][2].covariance is None
    assert np.linalg.eigvalsh(rows[1][2].covariance).min() > 0
    np.testing.assert_allclose(rows[0][2].pose, truths[0], atol=1e-8)
    source = SourceOptions(ground_truth=tmp_path / 'truth.csv')
    summary = evaluate_bags([recording], card, EvaluateOptions('oracle', (), source=source), progress=False)
    assert summary['metrics']['position_error_median']['n'] == 2
    assert summary['metrics']['position_error_median']['value'] == pytest.approx(0, abs=1e-9)
    assert (summary['truth_errors']['frames'], summary['truth_errors']['unknown']) == (2, 1)


def test_labels_of_a_folder_of_images_are_ground_truth_too(tmp_path, recording, truths, card):
    """They were ignored before: a folder had no ground truth."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for number, frame in enumerate(read_frames(recording)):
        cv2.imwrite(str(folder / f'{number}.png'), frame.image)
    lines = ground_truth_lines([(2_000_000_000, TruePose(truths[1])), (3_000_000_000, TruePose(truths[2]))])
    (tmp_path / 'truth.csv').write_text('\n'.join(lines))
    (source,) = open_sources([folder], SourceOptions(ground_truth=tmp_path / 'truth.csv'), {'': 0.1})
    frames = list(source.undecoded())
    assert [len(frame.decode().truths) for frame in frames] == [0, 1, 1, 0, 0, 0]
    np.testing.assert_allclose(frames[1].decode().camera_from_object, truths[1], atol=1e-8)
    assert 'ground truth: 4 of 6 images have no ground truth' in source.warnings[1]
    (tmp_path / 'truth.csv').write_text('stamp_s,x,y,z,qx,qy,qz,qw,frame_id\n1,0,0,1,0,0,0,1,world\n')
    with pytest.raises(BagError, match="expected poses in the camera's frame for a folder of images, got one in"):
        open_sources([folder], SourceOptions(ground_truth=tmp_path / 'truth.csv'), {'': 0.1})


def test_other_files_are_not_written_over(begin, truths, tmp_path, card, recording, capsys):
    labelled(begin(), truths)
    text = (tmp_path / 'truth.csv').read_text()
    for name, old, new in (('mesh', '"mesh": "', '"mesh": "00'), ('frames', '"frames": 6', '"frames": 7'),
                           ('camera', '"camera": "', '"camera": "1')):
        (tmp_path / 'other.csv').write_text(text.replace(old, new))
        with pytest.raises(GroundTruthError, match=f'expected labels of this source and model, {name}'):
            begin(tmp_path / 'other.csv')
    (tmp_path / 'other.csv').write_text('\n'.join(text.splitlines()[1:]))
    with pytest.raises(GroundTruthError, match='expected labels written by posegrasp watch --label'):
        begin(tmp_path / 'other.csv')
    (tmp_path / 'other.csv').write_text(text.replace('# absent ', '# refined '))
    with pytest.raises(GroundTruthError, match='expected a pose of each frame that is labelled with one'):
        begin(tmp_path / 'other.csv')
    (tmp_path / 'other.csv').write_text(text.replace('# absent 1', '# absent 7'))
    with pytest.raises(GroundTruthError, match='which no frame has'):
        begin(tmp_path / 'other.csv')
    with labelling(tmp_path / 'truth.csv'):
        assert main(['watch', str(recording), '--label', str(tmp_path / 'truth.csv')]) == 2
    assert 'another process is labelling to it' in capsys.readouterr().err


def test_a_label_that_cannot_be_written_is_no_label(begin, truths, monkeypatch):
    session = begin()
    session.put(truths[0])

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('posegrasp_ros.datasets.label_file.write_whole', full)
    told = LabelDesk(session, 'moving', 'truth.csv').hear('{"do": "save", "place": 0}')
    assert 'No space left' in unpacked(told)[0]['problem']
    assert (session.place, session.labelled) == (0, 0) and session.draft is not None


def test_work_is_not_dropped_at_once(begin, truths):
    session = begin()
    session.put(truths[0])
    with pytest.raises(WatchError, match='this pose is not saved'):
        session.go(1)
    session.turn(np.zeros(3))
    with pytest.raises(WatchError, match='this pose is not saved'):
        session.go(1)
    session.go(1)
    assert session.place == 1 and session.labelled == 0


def test_frames_are_read_forwards_and_backwards(levels_of_grey, card):
    frames = stepped(levels_of_grey, card)
    for place in (0, 1, 2 * KEPT, KEPT + 3, 0, len(frames) - 1):
        assert frames.frame(place).image[0, 0, 0] == place
    (levels_of_grey / '000.png').unlink()
    assert frames.frame(0).reason == 'bad_image'


def test_a_source_that_changes_is_told():
    camera = ImageCamera(None, 1.0)
    items = [Watchable(Photograph(stamp_ns, Path('none.png'), camera)) for stamp_ns in range(5)]
    frames = SteppedFrames(WatchSource('folder', lambda: iter(items), False, ''))
    assert frames.frame(1).stamp_ns == 1
    del items[3]
    for place in (3, 4):
        with pytest.raises(WatchError, match='folder: expected the frames that it had at the start'):
            frames.frame(place)
    for stamps_ns, said in (((1, 2, 1), 'found two with the same'), ((), 'found none')):
        items[:] = [Watchable(Photograph(stamp_ns, Path('none.png'), camera)) for stamp_ns in stamps_ns]
        with pytest.raises(WatchError, match=said):
            SteppedFrames(WatchSource('folder', lambda: iter(items), False, ''))


@pytest.fixture
def levels_of_grey(tmp_path) -> Path:
    """A folder of images."""
    (tmp_path / 'grey').mkdir()
    for level in range(3 * KEPT):
        cv2.imwrite(str(tmp_path / 'grey' / f'{level:03}.png'), np.full((16, 16, 3), level, np.uint8))
    return tmp_path / 'grey'


def test_live_cameras_are_not_labelled():
    with pytest.raises(WatchError, match='got a live camera: record it first'):
        SteppedFrames(WatchSource('camera 0', lambda: [], True, ''))


def unpacked(data: bytes) -> tuple[dict, list[np.ndarray | None]]:
    """The JSON, and the pictures."""
    start = 4 + struct.unpack('>I', data[:4])[0]
    told, pictures = json.loads(data[4:start]), []
    for count in told['jpeg_bytes']:
        part = np.frombuffer(data[start:start + count], np.uint8)
        pictures.append(cv2.imdecode(part, cv2.IMREAD_COLOR) if count else None)
        start += count
    assert start == len(data)
    return told, pictures


def test_the_desk_tells_what_the_page_shows(begin, card, truths):
    session = begin()
    desk = LabelDesk(session, 'moving', 'truth.csv')
    told, (image, mesh) = unpacked(desk.hear('{"do": "show"}'))
    assert image.shape == (480, 640, 3) and mesh.shape == (VIEW_PX, VIEW_PX, 3)
    assert (told['place'], told['count'], told['labelled'], told['draft'], told['problem']) == (0, 6, 0, None, '')
    session.put(truths[0])
    told, (drawn, _) = unpacked(desk.hear('{"do": "see"}'))
    assert told['draft']['way'] == 'moved' and told['draft']['sigma_mm'] is None and told['outlines']
    assert np.abs(drawn.astype(int) - image).max() > 30 and len(told['edges']) >= 12
    middle = {'do': 'click_mesh', 'x': VIEW_PX / 2, 'y': VIEW_PX / 2}
    told, _ = unpacked(desk.hear(json.dumps(middle)))
    assert told['pairs'][0]['view'] == pytest.approx([VIEW_PX / 2, VIEW_PX / 2], abs=1)
    assert not told['pairs'][0]['is_hidden'] and told['pairs'][0]['pixel'] is None
    told, _ = unpacked(desk.hear('{"do": "view", "x": 180, "y": 0, "zoom": 0}'))
    assert told['pairs'][0]['is_hidden']


@pytest.mark.parametrize('text', [
    '', '{', '[]', '3', 'null', '{"do": "fly"}', '{"do": ["save"]}', '{"do": "click_image"}',
    '{"do": "click_image", "x": NaN, "y": 1}', '{"do": "click_image", "x": "1", "y": 1}',
    '{"do": "go", "step": 1e300}', '{"do": "turn", "x": true, "y": 0}', '{"do": "click_mesh", "x": 1, "y": 1}',
    '{"do": "solve"}', '{"do": "save"}', '{"do": "skip", "place": 3}', '\ud800', '{"do": "go", "step": null}'])
def test_messages_that_make_no_sense_change_nothing(begin, text):
    session = begin()
    told, _ = unpacked(LabelDesk(session, 'moving', 'truth.csv').hear(text))
    assert told['problem'] and (told['place'], told['labelled'], told['pairs']) == (0, 0, [])


@pytest.mark.parametrize('options, said', [
    (['--no-page'], '--label: expected without --no-page'),
    (['--support-height', '0.1', '--threads', '1'], '--threads, --support-height'),
    (['--loop', '--save', 'x.mp4', '--track'], 'expected without --track, --loop, --save')])
def test_options_that_do_not_go_with_labels_are_refused(recording, tmp_path, capsys, options, said):
    assert main(['watch', str(recording), '--label', str(tmp_path / 'truth.csv'), *options]) == 2
    assert said in capsys.readouterr().err


@needs_aiohttp
def test_the_page_labels_over_its_websocket_and_nobody_else_does(begin, truths, tmp_path):
    import aiohttp

    from posegrasp_ros.watch.label_page import LabelPage
    from posegrasp_ros.watch.page_server import PageServer

    session = begin()
    session.put(truths[0])
    server = PageServer(LabelPage(LabelDesk(session, 'moving', 'truth.csv')), port=0)

    async def talk():
        async with aiohttp.ClientSession() as client:
            async with client.get(server.url) as answer:
                assert answer.status == 200 and b'label.js' in await answer.read()
            for path in ('page.js', 'label.js', 'label.css', 'watch.css'):
                async with client.get(server.url + path) as answer:
                    assert answer.status == 200
            for path, headers in (('', {'Host': 'evil.example'}), ('label', {'Origin': 'http://evil.example'})):
                async with client.get(server.url + path, headers=headers) as answer:
                    assert answer.status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.ws_connect(f'{server.url}label', origin='http://evil.example')
            first = await client.ws_connect(f'{server.url}label')
            await first.send_str('{"do": "save", "place": 0}')
            told = unpacked(await first.receive_bytes(timeout=10))[0]
            second = await client.ws_connect(f'{server.url}label')
            await second.send_str('{"do": "show"}')
            seen = unpacked(await second.receive_bytes(timeout=10))[0]
            closed = await first.receive(timeout=5)
            await second.close()
            return told, seen, closed.extra

    try:
        told, seen, reason = asyncio.run(talk())
    finally:
        server.close()
    assert told['labelled'] == seen['labelled'] == 1 and seen['place'] == 1 and reason == 'opened elsewhere'
    assert len(list(read_ground_truth(tmp_path / 'truth.csv'))) == 1


@pytest.mark.slow
@needs_aiohttp
def test_the_command_labels_until_ctrl_c(recording, scripted_model, tmp_path):
    command = [sys.executable, '-m', 'posegrasp_ros.cli.main', 'watch', str(recording), '--model',
               str(scripted_model), '--label', str(tmp_path / 'truth.csv'), '--no-browser', '--port', '0']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().startswith('http://127.0.0.1:')
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 0 and 'camera: as recorded' in err
    assert out.strip().endswith('truth.csv: 0 of 6 frames labelled') and not (tmp_path / 'truth.csv').exists()


@pytest.mark.slow
@needs_aiohttp
@needs_chromium
def test_a_person_labels_a_frame_in_a_browser(begin, card, truths, tmp_path):
    from posegrasp_ros.watch.label_page import LabelPage
    from posegrasp_ros.watch.page_server import PageServer

    session = begin()
    desk = LabelDesk(session, 'moving', 'truth.csv')
    session.put(truths[0])
    desk.hear('{"do": "see"}')  # the same side is seen
    view_from_object = truths[0][:3, :3]
    alone = MeshView.alone(card.mesh, view_from_object, 1.0, VIEW_PX)
    session.turn(np.array([0.0, 0.0, 1.0]))
    server = PageServer(LabelPage(desk), port=0)
    points, pixels = shown_points(card.mesh, truths[0], session.frame.camera, 7)
    try:
        with empty_page() as (page, problems, _):
            page.goto(server.url)

            def settle() -> None:
                page.wait_for_timeout(100)
                until_s = time.monotonic() + 30
                # Not wait_for_function, which the page's content security policy refuses.
                while not page.evaluate('shown !== null && isAnswered && !waiting.length'):
                    assert time.monotonic() < until_s
                    page.wait_for_timeout(20)

            def click(name: str, place: np.ndarray, size: tuple[float, float]) -> None:
                box = page.locator(name).bounding_box()
                page.mouse.click(*(box[start] + 1 + (at + 0.5) / whole * (box[side] - 2) for start, side, at, whole
                                   in zip('xy', ('width', 'height'), place, size)))
                settle()

            settle()
            for point, pixel in zip(points, pixels):
                place = placed_alone(card.mesh, point[None], view_from_object, 1.0, VIEW_PX)[0, :2]
                if alone.point_at(place) is not None:
                    click('#image', pixel, (640, 480))
                    click('#mesh', place, (VIEW_PX, VIEW_PX))
            assert page.inner_text('#state') == 'not saved' and session.draft.way == 'points'
            assert error(session.draft.truth.pose, truths[0])[0] < 10 * MM
            page.keyboard.press('r')
            settle()
            assert error(session.draft.truth.pose, truths[0])[0] < 2 * MM
            page.keyboard.press('Enter')
            settle()
            assert page.inner_text('#place') == '2 of 6, 1 labelled' and problems == []
            assert page.evaluate('document.documentElement.scrollWidth') <= 1280
            page.set_viewport_size({'width': 390, 'height': 844})
            assert page.evaluate('document.documentElement.scrollWidth') <= 390
    finally:
        server.close()
    assert [label.way for label in read_labels(tmp_path / 'truth.csv').values()] == ['refined']
