# SPDX-License-Identifier: Apache-2.0
"""Files for Foxglove and Rerun: what is in them is what was measured, by the stamps of the images."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import math
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import cv2
import jsonschema
import numpy as np
import pytest
import trimesh
from mcap.reader import make_reader
from watched import CAMERA, COVARIANCE, ByBrightness, image_of

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.paint_over import paint_over
from posegrasp_ros.estimation.create import register_estimator, unregister_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    look_at,
    make_transform,
    matrix_from_quaternion,
    rotation_from_vector,
    transform_from_pose,
    transform_points,
)
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.viewer_files.shown_frame import ShownFrame, ShownObject
from posegrasp_ros.viewer_files.viewer_files import ViewerFiles
from posegrasp_ros.viewer_files.viewer_image import ViewerImages

SECOND = 1_000_000_000
LARGE = Camera.from_field_of_view(640, 480, 1.0)
LEVELS = [100, 140, 5, 180, 60]
STAMPS = [SECOND + 50_000_000 * index for index in range(len(LEVELS))]
TRUTH = make_transform(rotation_from_vector([0.3, 0.2, 0.1]), (0.002, 0.01, 0.5))
FACING_TABLE = look_at((0.5, 0.0, 0.5), (0.0, 0.0, 0.0))
HAS_RERUN = all(importlib.util.find_spec(name) for name in ('rerun', 'rerun_bindings'))
needs_rerun = pytest.mark.skipif(not HAS_RERUN, reason='rerun-sdk is not installed')


@pytest.fixture(scope='module')
def model(scripted_model, tmp_path_factory) -> Path:
    """A model without grasps, which are the quicker to start."""
    folder = Path(shutil.copytree(scripted_model, tmp_path_factory.mktemp('viewed') / 'model'))
    (folder / 'grasps.yaml').unlink()
    return folder


@pytest.fixture(scope='module')
def recording(tmp_path_factory) -> Path:
    """Frames with a truth; the third is dark."""
    path = tmp_path_factory.mktemp('viewed') / 'recording'
    with BagWriter(path) as writer:
        for stamp_ns, level in zip(STAMPS, LEVELS):
            writer.write(BagFrame(stamp_ns, image_of(level), CAMERA, TRUTH))
    return path


@pytest.fixture(scope='module')
def by_brightness():
    register_estimator('by_brightness', ByBrightness)
    yield 'by_brightness'
    unregister_estimator('by_brightness')


@pytest.fixture(scope='module')
def evaluated(recording, model, by_brightness, tmp_path_factory) -> Path:
    """Folder of a run with the file ``view.mcap``, and where there is Rerun ``view.rrd``."""
    folder = tmp_path_factory.mktemp('viewed') / 'run'
    rerun = ['--rerun', str(folder / 'view.rrd')] if HAS_RERUN else []
    assert main(['evaluate', str(recording), '--model', str(model), '--estimator', by_brightness, '--compare-with',
                 '--out', str(folder), '--mcap', str(folder / 'view.mcap'), *rerun]) == 0
    return folder


def messages(path: Path) -> dict[str, list[tuple[int, dict]]]:
    """By topic the messages with their times; each is as its schema says."""
    found, checks = defaultdict(list), {}
    with path.open('rb') as file:
        for schema, channel, message in make_reader(file).iter_messages():
            check = checks.setdefault(schema.id, jsonschema.Draft202012Validator(json.loads(schema.data)))
            content = json.loads(message.data)
            check.validate(content)
            assert (channel.message_encoding, schema.encoding) == ('json', 'jsonschema')
            found[channel.topic].append((message.log_time, content))
    return dict(found)


def transforms(path: Path, child: str) -> dict[int, np.ndarray]:
    """By stamp the (4, 4) place of a frame."""
    return {time_ns: transform_from_pose([*content['translation'].values()], content['rotation'].values())
            for time_ns, content in messages(path)['/tf'] if content['child_frame_id'] == child}


def measured_poses(folder: Path) -> dict[int, dict]:
    """By stamp the row of metrics.jsonl that has the pose."""
    lines = map(json.loads, (folder / 'metrics.jsonl').read_text().splitlines())
    return {line['stamp_ns']: line['numbers'] for line in lines
            if line.get('stage') == 'perception' and line['ok']}


def test_poses_are_those_that_were_measured(evaluated):
    poses, measured = transforms(evaluated / 'view.mcap', 'object'), measured_poses(evaluated)
    assert list(poses) == list(measured) == [stamp for stamp, level in zip(STAMPS, LEVELS) if level > 20]
    for stamp_ns, pose in poses.items():
        level = LEVELS[STAMPS.index(stamp_ns)]
        assert pose[2, 3] == pytest.approx(0.4 + 0.001 * level, abs=1e-3)
        np.testing.assert_allclose(transforms(evaluated / 'view.mcap', 'object_truth')[stamp_ns], TRUTH, atol=1e-9)
        assert np.linalg.norm(pose[:3, 3] - TRUTH[:3, 3]) == pytest.approx(measured[stamp_ns]['position_error_m'])


def test_curves_are_the_measured_errors_and_say_why_there_is_no_pose(evaluated):
    figures, measured = dict(messages(evaluated / 'view.mcap')['/figures']), measured_poses(evaluated)
    assert list(figures) == STAMPS
    for stamp_ns, numbers in measured.items():
        assert figures[stamp_ns]['position_error_mm'] == pytest.approx(1000 * numbers['position_error_m'])
        turned_deg = math.degrees(numbers['rotation_error_rad'])
        assert figures[stamp_ns]['rotation_error_deg'] == pytest.approx(turned_deg)
        assert figures[stamp_ns]['latency_ms'] == pytest.approx(numbers['latency_ms'])
    dark = figures[STAMPS[2]]
    assert (dark['position_error_mm'], dark['score'], dark['reason']) == (None, None, 'no_detection')


def test_images_are_those_of_the_recording(evaluated):
    found = messages(evaluated / 'view.mcap')
    assert [time_ns for time_ns, _ in found['/camera/image']] == STAMPS
    for (_, content), level in zip(found['/camera/image'], LEVELS):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(content['data']), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (96, 128, 3) and image.mean() == pytest.approx(level, abs=2)
    np.testing.assert_allclose(found['/camera/calibration'][0][1]['K'], CAMERA.matrix.ravel())


def test_the_mesh_is_there_while_there_is_a_pose_and_is_written_only_where_that_changes(evaluated):
    found = messages(evaluated / 'view.mcap')['/meshes']
    assert [(time_ns, [each['frame_id'] for each in content['entities']]) for time_ns, content in found] == [
        (STAMPS[0], ['object']), (STAMPS[2], []), (STAMPS[3], ['object'])]
    assert all(content['deletions'] and all(each['frame_locked'] for each in content['entities'])
               for _, content in found)


def test_the_embedded_mesh_is_the_models_after_the_turn_that_foxglove_makes(evaluated, model):
    content = messages(evaluated / 'view.mcap')['/meshes'][0][1]
    data = base64.b64decode(content['entities'][0]['models'][0]['data'])
    loaded = trimesh.load(io.BytesIO(data), file_type='glb', force='mesh', process=False)
    mesh = load_model_card(model).mesh
    upright = transform_points(make_transform(rotation_from_vector((np.pi / 2, 0, 0))), loaded.vertices)
    np.testing.assert_allclose(upright, mesh.vertices, atol=1e-6)
    np.testing.assert_allclose(loaded.visual.uv, mesh.uv, atol=1e-6)
    texture = np.asarray(loaded.visual.material.baseColorTexture.convert('RGB'))
    np.testing.assert_array_equal(texture, mesh.texture[:, :, ::-1])


def test_the_scene_has_the_truth_the_axes_and_the_ellipsoid(evaluated, model):
    extents = load_model_card(model).mesh.extents
    entity = messages(evaluated / 'view.mcap')['/scene'][0][1]['entities'][0]
    points = np.array([[*point.values()] for line in entity['lines'] for point in line['points']])
    in_truth = transform_points(invert(TRUTH), points)
    np.testing.assert_allclose(np.ptp(in_truth, axis=0), extents, atol=1e-6)
    assert len(entity['arrows']) == 3
    (ball,) = entity['spheres']
    # 95 % in three dimensions lie within 2.795 standard deviations; the mesh's middle is its origin.
    np.testing.assert_allclose(sorted(ball['size'].values()), 2 * 2.795 * np.sqrt(np.diag(COVARIANCE)[:3]))
    turn = matrix_from_quaternion(ball['pose']['orientation'].values())
    covariance = turn @ np.diag((np.array([*ball['size'].values()]) / 2 / 2.795)**2) @ turn.T
    np.testing.assert_allclose(covariance, COVARIANCE[:3, :3], atol=1e-12)
    dark = messages(evaluated / 'view.mcap')['/scene'][2][1]['entities'][0]
    assert dark['lines'] and not dark['arrows'] and not dark['spheres']


def test_watch_writes_what_evaluate_writes(evaluated, recording, model, by_brightness, tmp_path):
    path = tmp_path / 'watched.mcap'
    assert main(['watch', str(recording), '--no-page', '--model', str(model), '--estimator', by_brightness,
                 '--mcap', str(path)]) == 0
    found, expected = messages(path), messages(evaluated / 'view.mcap')
    for one, other in zip(found.pop('/figures'), expected.pop('/figures'), strict=True):
        for name, value in (other[1] | {'latency_ms': one[1]['latency_ms']}).items():
            assert one[1][name] == (pytest.approx(value) if isinstance(value, float) else value)
    assert found == expected


@pytest.mark.slow
def test_images_that_are_painted_over_in_other_processes_are_shown_painted_over(model, recording, tmp_path):
    assert main(['evaluate', str(recording), '--model', str(model), '--estimator', 'mean_pose', '--compare-with',
                 '--paint-over', '--jobs', '2', '--out', str(tmp_path),
                 '--mcap', str(tmp_path / 'view.mcap')]) == 0
    shown = messages(tmp_path / 'view.mcap')['/camera/image']
    for (_, content), stamp_ns, level in zip(shown, STAMPS, LEVELS, strict=True):
        frame = BagFrame(stamp_ns, image_of(level), CAMERA, TRUTH)
        painted = paint_over(frame, load_model_card(model).mesh)
        expected = ViewerImages().prepare(painted.image, CAMERA).jpeg
        assert base64.b64decode(content['data']) == expected != ViewerImages().prepare(frame.image, CAMERA).jpeg


@pytest.fixture
def on_the_table(scripted_model, tmp_path, request) -> Path:
    """A file of a run with a camera above the table that the object stands on, and grasps."""
    standing = invert(FACING_TABLE) @ make_transform(None, (0, 0, 0.0225))
    register_estimator('standing', lambda *_: SimpleNamespace(estimate=lambda *_: Estimation(
        [PoseEstimate(standing, 0.9, COVARIANCE)])))
    request.addfinalizer(lambda: unregister_estimator('standing'))
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write(BagFrame(SECOND, image_of(90), CAMERA, standing, FACING_TABLE))
    assert main(['evaluate', str(tmp_path / 'bag'), '--model', str(scripted_model), '--estimator', 'standing',
                 '--compare-with', '--out', str(tmp_path / 'run'), '--mcap', str(tmp_path / 'view.mcap')]) == 0
    return tmp_path / 'view.mcap'


def test_grasps_are_shown_above_the_table_with_the_camera_in_the_base_frame(on_the_table):
    np.testing.assert_allclose(transforms(on_the_table, 'camera')[SECOND], FACING_TABLE, atol=1e-9)
    _, *grasps = messages(on_the_table)['/scene'][0][1]['entities'][0]['lines']
    assert len(grasps) == 3
    length = len(load_gripper().outline(0.05))
    for grasp in grasps:
        points = transform_points(FACING_TABLE, np.array([[*point.values()] for point in grasp['points']]))
        assert len(points) == length and points[:, 2].min() > 0
        assert np.abs(points[:, :2]).min(axis=0).max() < 0.1  # at the object, which stands at the origin


@pytest.mark.parametrize(('model_name', 'distortion'), [
    ('plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.0]), ('equidistant', [0.05, -0.01, 0.002, 0.0])])
def test_images_are_shown_without_the_lens_distortion(model_name, distortion):
    camera = Camera(640, 480, LARGE.matrix, np.array(distortion), model_name)
    point = np.array([[0.16, -0.1, 0.4]])
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, tuple(np.rint(camera.project(point)[0]).astype(int).tolist()), 5, (255, 255, 255), -1)
    shown = ViewerImages().prepare(image, camera)
    v, u = np.nonzero(cv2.imdecode(np.frombuffer(shown.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) > 128)
    expected = shown.camera.project(point)[0]
    assert np.linalg.norm(expected - camera.project(point)[0]) > 8 and not shown.camera.is_distorted
    np.testing.assert_allclose([u.mean(), v.mean()], expected, atol=1.5)


def test_poses_that_are_not_finite_are_left_out(tmp_path):
    broken = np.where(np.eye(4), np.nan, TRUTH)
    poses = [PoseEstimate(pose, np.nan, np.full((6, 6), np.nan)) for pose in (broken, TRUTH)]
    with ViewerFiles(tmp_path / 'view.mcap').opened() as show:
        show(ShownFrame(SECOND, None, None, broken, [ShownObject('', None, poses, [broken, TRUTH])]))
    assert [content['child_frame_id'] for _, content in messages(tmp_path / 'view.mcap')['/tf']] == [
        'object', 'object_truth']


def test_a_mesh_of_one_colour_and_an_image_that_cannot_be_decoded_are_no_obstacles(tmp_path):
    plain = Mesh(np.eye(3), np.array([[0, 1, 2]]), None, np.full((1, 1, 3), 90, np.uint8))
    poses = [PoseEstimate(TRUTH, 0.9, np.zeros((6, 6)))]
    files = ViewerFiles(tmp_path / 'new' / 'view.mcap', tmp_path / 'new' / 'view.rrd' if HAS_RERUN else None)
    with files.opened() as show:
        show(ShownFrame(SECOND, None, None, None, [ShownObject('', plain, poses),
                                                   ShownObject('cup', None, poses, [TRUTH])]))
    found = messages(tmp_path / 'new' / 'view.mcap')
    assert set(found) == {'/tf', '/meshes', '/scene', '/figures', '/figures/cup'}
    assert {content['child_frame_id'] for _, content in found['/tf']} == {'object', 'cup', 'cup_truth'}


@needs_rerun
@pytest.mark.skipif(not importlib.util.find_spec('rerun.chunk') if HAS_RERUN else False,
                    reason='this rerun-sdk cannot read recordings')
def test_rerun_has_the_same_poses_and_curves_by_stamp(evaluated):
    from rerun.chunk import RrdReader
    poses, curve = {}, {}
    for chunk in RrdReader(str(evaluated / 'view.rrd')).stream():
        batch = chunk.to_record_batch()
        rows = {name: batch.column(name).to_pylist() for name in batch.schema.names if ':' in name}
        stamps = batch.column('stamp').cast('int64').to_pylist() if 'stamp' in batch.schema.names else []
        if chunk.entity_path == '/camera/object/pose_1' and 'Transform3D:translation' in rows:
            poses |= {stamp: transform_from_pose(place[0], turn[0]) for stamp, place, turn in zip(
                stamps, rows['Transform3D:translation'], rows['Transform3D:quaternion'])}
        if chunk.entity_path == '/figures/position_error_mm/object':
            curve |= {stamp: value[0] for stamp, value in zip(stamps, rows['Scalars:scalars'])}
    expected = transforms(evaluated / 'view.mcap', 'object')
    assert poses.keys() == expected.keys() == curve.keys()
    for stamp_ns, numbers in measured_poses(evaluated).items():
        np.testing.assert_allclose(poses[stamp_ns], expected[stamp_ns], atol=1e-6)
        assert curve[stamp_ns] == pytest.approx(1000 * numbers['position_error_m'])


def test_the_layout_for_foxglove_shows_what_is_in_the_file(evaluated):
    layout = json.loads(resource_path('config/foxglove.json').read_text())
    panels, found = layout['configById'], messages(evaluated / 'view.mcap')
    image = panels['Image!recorded']['imageMode']
    shown = {image['imageTopic'], image['calibrationTopic'], *panels['3D!recorded']['topics']}
    assert shown | {'/figures', '/tf'} == set(found)
    curves = {path['value'].removeprefix('/figures.') for panel in panels.values()
              for path in panel.get('paths', ())}
    assert len(curves) == 3 and curves <= found['/figures'][0][1].keys()
    # Every panel is laid out, and every one that is laid out is described.
    named = set(re.findall(r'"(\w+!\w+)"', json.dumps([layout['layout'], panels['Tab!posegrasp']])))
    assert named == panels.keys()


@pytest.mark.parametrize(('files', 'said'), [
    (ViewerFiles(mcap=Path('view.bag')), 'expected a name that ends in .mcap'),
    (ViewerFiles(rerun=Path('view.mcap')), 'expected a name that ends in .rrd'),
    (ViewerFiles(mcap=Path('scenes.mcap')), 'expected a file outside of the recordings'),
    (ViewerFiles(mcap=Path('bag/view.mcap')), 'expected a file outside of the recordings'),
])
def test_files_that_cannot_be_written_are_refused(files, said):
    with pytest.raises(InvalidInputError, match=said):
        files.check(['scenes.mcap', 'bag'])


@pytest.mark.parametrize(('arguments', 'said'), [
    (['bag', '--rerun', 'view.rrd'], "this needs rerun: pip install '.[rerun]'"),
    (['bag', '--recorded', '--mcap', 'view.mcap'], '--mcap, --rerun: with --recorded expected with --pose-topic'),
    (['*.mcap', '--shard', '1/2', '--mcap', 'view.mcap'], '--mcap: expected with recordings of a single run'),
])
def test_refusals_come_in_one_line_before_anything_is_measured(arguments, said, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    assert main(['evaluate', *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1


def test_no_other_file_is_written_over(recording, tmp_path):
    copy = shutil.copytree(recording, tmp_path / 'other') / 'other.mcap' if Path(recording).is_dir() else Path(
        shutil.copy(recording, tmp_path / 'other.mcap'))
    for replace in (False, True):
        for path in (copy, copy.with_name('view.mcap')) if (copy.parent / 'metadata.yaml').exists() else (copy,):
            if path.exists() or path.name == 'view.mcap':
                with pytest.raises(InvalidInputError, match=path.name):
                    ViewerFiles(path, replace=replace).check()


def test_a_file_is_whole_or_not_there_and_one_of_ours_is_replaced_when_asked(tmp_path):
    path, frame = tmp_path / 'view.mcap', ShownFrame(1, np.zeros((8, 8, 3), np.uint8), None, None, [])
    with pytest.raises(ZeroDivisionError), ViewerFiles(path).opened() as show:
        show(frame)
        _ = 1 / 0
    assert [each.name for each in tmp_path.iterdir() if not each.name.endswith('.lock')] == []
    with ViewerFiles(path).opened() as show:
        show(frame)
        assert not path.exists()
        with pytest.raises(InvalidInputError, match='another process'), ViewerFiles(path).opened():
            pass
    with path.open('rb') as file:
        assert make_reader(file).get_header().library == 'posegrasp_ros'
    with pytest.raises(InvalidInputError, match='exists already'):
        ViewerFiles(path).check()
    ViewerFiles(path, replace=True).check()
