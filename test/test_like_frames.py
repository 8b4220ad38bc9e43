# SPDX-License-Identifier: Apache-2.0
"""Frames give figures of their camera always, and backgrounds where the object is not in them unlabelled."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh, save_mesh
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.training import like_frames
from posegrasp_ros.training.like_frames import LEAST_FRAMES, LikeOptions, is_same_object, read_like

CAMERA = Camera.from_field_of_view(160, 120, np.radians(60))
POSE = make_transform(rotation_from_vector([0.1, 0.2, 0.3]), (0.0, 0.0, 0.5))
OBJECT_BGR = (0, 0, 255)
SECOND = 1_000_000_000


@pytest.fixture(scope='module')
def mesh():
    return load_mesh(resource_path('models/box/mesh.obj'))


def image() -> np.ndarray:
    """Grey steps and, in the middle, the object as a red disc."""
    steps = np.kron(np.random.default_rng(0).integers(60, 180, (6, 8)), np.ones((20, 20)))
    picture = np.repeat(steps[:, :, None], 3, axis=2).astype(np.uint8)
    return cv2.circle(picture, (80, 60), 8, OBJECT_BGR, -1)


def recording(path, count=LEAST_FRAMES, truth=None):
    with BagWriter(path) as writer:
        for index in range(count):
            writer.write(BagFrame((index + 1) * SECOND, image(), CAMERA, truth))
    return path


def shows_object(background: np.ndarray) -> bool:
    blue, _, red = cv2.split(background.astype(int))
    return bool((red - blue > 100).any())


def test_the_object_is_painted_over_where_the_ground_truth_has_it(mesh, tmp_path):
    like = read_like(LikeOptions((recording(tmp_path / 'bag', truth=POSE),)), mesh, None, progress=False)
    assert len(like.figures) == len(like.backgrounds) == LEAST_FRAMES and like.unused == 0
    assert shows_object(image()) and not any(map(shows_object, like.backgrounds))
    assert like.data == 'synthetic images of the mesh, like 20 frames of bag, 20 of them as backgrounds'
    assert like.measured['jpeg_quality'] == 95 and like.measured['level'] == pytest.approx(image().mean(), abs=1)


def test_frames_that_may_show_the_object_are_no_backgrounds(mesh, tmp_path):
    bag = recording(tmp_path / 'bag')
    like = read_like(LikeOptions((bag,)), mesh, None, progress=False)
    assert (len(like.figures), like.backgrounds, like.unused) == (LEAST_FRAMES, [], LEAST_FRAMES)
    assert f'{LEAST_FRAMES} are not, as the object may be in them' in like.line and '--like-empty' in like.line
    stated = read_like(LikeOptions((bag,), is_empty=True), mesh, None, progress=False)
    assert len(stated.backgrounds) == LEAST_FRAMES and stated.unused == 0 and 'are not' not in stated.line


def test_though_frames_are_stated_empty_those_with_ground_truth_are_painted_over(mesh, tmp_path):
    like = read_like(LikeOptions((recording(tmp_path / 'bag', truth=POSE),), is_empty=True), mesh, None,
                     progress=False)
    assert not any(map(shows_object, like.backgrounds))


@pytest.mark.parametrize(('score', 'count'), [(0.95, LEAST_FRAMES), (0.6, 0), (float('nan'), 0)])
def test_a_model_of_the_object_is_believed_when_it_is_sure(mesh, tmp_path, monkeypatch, score, count):
    found = SimpleNamespace(poses=[SimpleNamespace(camera_from_object=POSE, score=score)])
    monkeypatch.setattr(like_frames, 'PoseEstimator', lambda card: SimpleNamespace(estimate=lambda *_: found))
    options = LikeOptions((recording(tmp_path / 'bag'),))
    like = read_like(options, mesh, resource_path('models/box'), progress=False)
    assert len(like.backgrounds) == count and not any(map(shows_object, like.backgrounds))


def test_a_model_of_another_object_is_not_asked(mesh, tmp_path, monkeypatch):
    monkeypatch.setattr(like_frames, 'PoseEstimator', lambda card: pytest.fail('asked'))
    other = replace(mesh, texture=mesh.texture[::-1].copy())
    options = LikeOptions((recording(tmp_path / 'bag'),))
    like = read_like(options, other, resource_path('models/box'), progress=False)
    assert like.unused == LEAST_FRAMES


def test_a_mesh_is_the_same_object_after_it_was_written(mesh, tmp_path):
    assert is_same_object(mesh, load_mesh(save_mesh(mesh, tmp_path)))
    assert not is_same_object(mesh, load_mesh(resource_path('models/can/mesh.obj')))


def test_of_many_frames_some_are_taken_evenly(mesh, tmp_path, monkeypatch):
    monkeypatch.setattr(like_frames, 'MOST_FRAMES', 25)
    bags = tuple(recording(tmp_path / name, count=30) for name in ('one', 'two'))
    like = read_like(LikeOptions(bags), mesh, None, progress=False)
    assert len(like.figures) == 20 and like.names == ('one', 'two')  # every third of 60


def test_a_folder_of_photographs_will_do(mesh, tmp_path):
    for index in range(LEAST_FRAMES):
        cv2.imwrite(str(tmp_path / f'{index}.jpg'), image(), [cv2.IMWRITE_JPEG_QUALITY, 70])
    like = read_like(LikeOptions((tmp_path,), is_empty=True), mesh, None, progress=False)
    assert len(like.backgrounds) == LEAST_FRAMES and like.measured['jpeg_quality'] == 70


def test_a_cast_is_in_the_figures_and_not_in_the_backgrounds(mesh, tmp_path):
    red = np.clip(image() * (0.7, 1.0, 1 / 0.7), 0, 255).astype(np.uint8)
    for index in range(LEAST_FRAMES):
        cv2.imwrite(str(tmp_path / f'{index}.png'), red)
    like = read_like(LikeOptions((tmp_path,), is_empty=True), mesh, None, progress=False)
    corner = np.mean([background[:40, :40].mean(axis=(0, 1)) for background in like.backgrounds], axis=0)
    assert 'jpeg_quality' not in like.measured
    assert like.measured['cast_bgr'][2] > 1.2 and np.ptp(corner) < 0.5 * np.ptp(red[:40, :40].mean(axis=(0, 1)))


def test_what_cannot_be_used_is_refused_in_one_line(mesh, tmp_path):
    few = recording(tmp_path / 'few', count=3)
    with pytest.raises(InvalidInputError, match=f'few: --like: expected at least {LEAST_FRAMES} images, found 3'):
        read_like(LikeOptions((few,)), mesh, None, progress=False)
    (tmp_path / 'nothing').mkdir()
    with pytest.raises(InvalidInputError, match='nothing'):
        read_like(LikeOptions((tmp_path / 'nothing',)), mesh, None, progress=False)
    with pytest.raises(InvalidInputError, match='--like-empty: expected recordings that it is about, found none'):
        read_like(LikeOptions((), is_empty=True), mesh, None, progress=False)
    assert read_like(LikeOptions(()), mesh, None, progress=False) is None


def test_frames_are_told_from_others_of_the_same_name(mesh, tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'b').mkdir()
    one, same, other = (read_like(LikeOptions((path,)), mesh, None, progress=False).identity for path in (
        recording(tmp_path / 'a' / 'bag'), tmp_path / 'a' / 'bag', recording(tmp_path / 'b' / 'bag', count=22)))
    assert one == same != other and 'bag' in one and 'bag' in other


def test_the_command_states_what_it_was_like(tmp_path):
    pytest.importorskip('torch', reason='training needs PyTorch: pip install -e .[train]')
    pytest.importorskip('onnx', reason='training needs onnx: pip install -e .[train]')
    from posegrasp_ros.training.training_run import TrainingOptions

    options = TrainingOptions(like=(tmp_path / 'one', tmp_path / 'two'), like_empty=True)
    assert options.command(tmp_path / 'mesh.obj').endswith('--start box --like one two --like-empty')
    assert '--like' not in TrainingOptions().command(tmp_path / 'mesh.obj')
