# SPDX-License-Identifier: Apache-2.0
"""The BOP benchmark's files: results as CSV, and datasets as recordings."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.bop_dataset import BopDatasetError, BopReader, is_bop_dataset
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.estimation.card_calibration import UNCALIBRATED
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.scripted import OracleEstimator
from posegrasp_ros.evaluation import frame_answers
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.bop_csv import BopCsv, BopCsvError
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, make_transform, rotation_from_vector
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.runtime.resources import resource_path

MESH = load_mesh(resource_path('models/box/mesh.obj'))
IMAGE = np.full((48, 64, 3), 90, np.uint8)
K = [60.0, 0.0, 31.0, 0.0, 61.0, 23.0, 0.0, 0.0, 1.0]
FIRST = make_transform(rotation_from_vector([0.1, -0.2, 0.3]), (0.02, -0.01, 0.6))
SECOND = make_transform(rotation_from_vector([0, 1.0, 0]), (-0.05, 0.03, 0.8))


def truth(pose, object_id=2):
    return {'obj_id': object_id, 'cam_R_m2c': pose[:3, :3].ravel().tolist(),
            'cam_t_m2c': (1000 * pose[:3, 3]).tolist()}


def write_scene(folder, truths, info=None, depth=None):
    """A scene whose images have the numbers and truths of ``truths``."""
    (folder / 'rgb').mkdir(parents=True)
    for number in truths:
        cv2.imwrite(str(folder / 'rgb' / f'{number:06d}.png'), IMAGE)
        if depth is not None:
            (folder / 'depth').mkdir(exist_ok=True)
            cv2.imwrite(str(folder / 'depth' / f'{number:06d}.png'), depth)
    cameras = {number: {'cam_K': K, 'depth_scale': 0.1} for number in truths}
    (folder / 'scene_camera.json').write_text(json.dumps(cameras))
    (folder / 'scene_gt.json').write_text(json.dumps(truths))
    if info:
        (folder / 'scene_gt_info.json').write_text(json.dumps(info))


@pytest.fixture
def dataset(tmp_path):
    test = tmp_path / 'lm' / 'test'
    write_scene(test / '000002', {3: [truth(FIRST)], 4: [truth(FIRST, 5)], 12: [truth(FIRST), truth(SECOND)]})
    write_scene(test / '000010', {0: [truth(SECOND)]})
    return test


def test_a_dataset_reads_like_a_recording(dataset):
    assert all(is_bop_dataset(path) for path in (dataset, dataset / '000002', dataset.parent))
    assert not is_bop_dataset(dataset / '000002' / 'rgb')
    reader = BopReader(dataset, 2)
    undecoded = list(reader.undecoded())
    assert [(each.scene, each.number) for each in undecoded] == [(2, 3), (2, 12), (10, 0)]
    frames = list(reader)
    assert reader.image_count == len(frames) == 3
    np.testing.assert_array_equal(frames[0].image, IMAGE)
    np.testing.assert_allclose(frames[0].camera.matrix.ravel(), K)
    np.testing.assert_allclose(frames[1].truths, [FIRST, SECOND], atol=1e-12)
    assert all(frame.reason == '' for frame in frames)
    assert np.diff([frame.stamp_ns for frame in frames]).min() > 0


def test_the_object_is_named_where_there_are_several(dataset):
    with pytest.raises(BopDatasetError, match=r'its objects \(2, 5\), got None; set it with --bop-object'):
        BopReader(dataset)
    assert BopReader(dataset / '000010').object_id == 2


def test_only_the_targets_of_the_benchmark_are_read(dataset):
    targets = [{'scene_id': 2, 'im_id': 12, 'obj_id': 2, 'inst_count': 2},
               {'scene_id': 2, 'im_id': 4, 'obj_id': 5, 'inst_count': 1}]
    (dataset.parent / 'test_targets_bop19.json').write_text(json.dumps(targets))
    for path in (dataset, dataset / '000002'):
        assert [(each.scene, each.number) for each in BopReader(path, 2).undecoded()] == [(2, 12)]


def test_what_is_hidden_is_not_asked_for(tmp_path):
    write_scene(tmp_path / '000001', {0: [truth(FIRST)], 1: [truth(FIRST)]},
                {0: [{'visib_fract': 0.05}], 1: [{'visib_fract': 0.5}]})
    assert [each.number for each in BopReader(tmp_path).undecoded()] == [1]


def test_depth_is_metres(tmp_path):
    depth = np.full((48, 64), 5000, np.uint16)
    depth[0, 0] = 0
    write_scene(tmp_path / '000001', {0: [truth(FIRST)]}, depth=depth)
    depth_m = next(iter(BopReader(tmp_path))).depth_m
    assert depth_m[1, 1] == pytest.approx(0.5) and np.isnan(depth_m[0, 0])
    assert next(iter(BopReader(tmp_path, with_depth=False))).depth_m is None


def test_an_image_that_is_missing_or_has_no_intrinsics_is_a_frame_with_a_reason(tmp_path):
    write_scene(tmp_path / '000001', {0: [truth(FIRST)], 1: [truth(FIRST)]})
    (tmp_path / '000001' / 'rgb' / '000000.png').unlink()
    (tmp_path / '000001' / 'scene_camera.json').write_text(json.dumps({0: {'cam_K': K}}))
    assert [frame.reason for frame in BopReader(tmp_path)] == ['bad_image', 'bad_camera_info']


@pytest.mark.parametrize(('diameter_mm', 'fits'), [(1000 * MESH.diameter, True), (MESH.diameter, False)])
def test_a_model_of_another_size_is_refused(dataset, diameter_mm, fits):
    models = dataset.parent / 'models_eval'
    models.mkdir()
    (models / 'models_info.json').write_text(json.dumps({2: {'diameter': diameter_mm}}))
    if fits:
        assert BopReader(dataset, 2, MESH.diameter).image_count == 3
    else:
        with pytest.raises(BopDatasetError, match=r'models_info\.json: object 2: expected the model.s diameter'):
            BopReader(dataset, 2, MESH.diameter)


def test_a_whole_dataset_is_read_where_it_is_to_be_tested(dataset):
    write_scene(dataset.parent / 'train_pbr' / '000001', {0: [truth(FIRST)]})
    reader = BopReader(dataset.parent, 2)
    assert reader.image_count == 3 and 'test is read' in reader.warnings[0]
    dataset.rename(dataset.parent / 'train_real')
    with pytest.raises(BopDatasetError, match='a dataset with train_pbr, train_real; give one'):
        BopReader(dataset.parent, 2)


@pytest.mark.parametrize('name', ['0007.png', '7.jpeg', '000000007.tif', '000007.JPG'])
def test_images_go_by_their_number_whatever_its_digits_and_the_files_ending(tmp_path, name):
    write_scene(tmp_path / '000001', {7: [truth(FIRST)]})
    (tmp_path / '000001' / 'rgb' / '000007.png').unlink()
    cv2.imwrite(str(tmp_path / '000001' / 'rgb' / name), IMAGE)
    frame, = BopReader(tmp_path)
    assert frame.reason == '' and frame.image.shape == IMAGE.shape


def hidden(folder, targets, numbers=(3, 4)):
    write_scene(folder / 'test' / '000001', {number: [] for number in numbers})
    (folder / 'test' / '000001' / 'scene_gt.json').unlink()
    if targets is not None:
        (folder / 'test_targets_bop24.json').write_text(json.dumps(targets))
    return folder / 'test'


@pytest.mark.parametrize(('targets', 'object_id', 'numbers'), [
    ([{'scene_id': 1, 'im_id': 4, 'obj_id': 2, 'inst_count': 1}], None, [4]),
    ([{'scene_id': 1, 'im_id': 4}], 2, [4]), (None, 2, [3, 4]),
    ([{'scene_id': 1, 'im_id': 4, 'obj_id': 5}, {'scene_id': 1, 'im_id': 3, 'obj_id': 2}], 2, [3])])
def test_images_whose_truth_is_hidden_are_read(tmp_path, targets, object_id, numbers):
    reader = BopReader(hidden(tmp_path, targets), object_id)
    assert reader.object_id == 2 and 'ground truth is not public' in reader.warnings[-1]
    assert [(each.number, each.decode().truths, each.decode().reason) for each in reader.undecoded()] == [
        (number, (), '') for number in numbers]


def test_the_object_of_hidden_truths_must_be_named(tmp_path):
    with pytest.raises(BopDatasetError, match=r'\(none are listed\), got None; set it with --bop-object'):
        BopReader(hidden(tmp_path, None))


def test_targets_without_an_object_are_all_their_images(dataset):
    (dataset.parent / 'test_targets_bop24.json').write_text(json.dumps([{'scene_id': 2, 'im_id': 12}]))
    assert [each.number for each in BopReader(dataset, 2).undecoded()] == [12]


@pytest.mark.parametrize(('asked', 'value'), [(None, 10), ('cam1', 20)])
def test_of_several_sensors_one_is_read(tmp_path, asked, value):
    folder = tmp_path / '000001'
    write_scene(folder, {0: [truth(FIRST)]})
    for sensor, number in (('photoneo', 10), ('cam1', 20)):
        for name in ('scene_camera', 'scene_gt'):
            (folder / f'{name}_{sensor}.json').write_text((folder / f'{name}.json').read_text())
        (folder / f'rgb_{sensor}').mkdir()
        cv2.imwrite(str(folder / f'rgb_{sensor}' / '000000.png'), np.full((48, 64, 3), number, np.uint8))
    for name in ('scene_camera.json', 'scene_gt.json'):
        (folder / name).unlink()
    reader = BopReader(tmp_path, sensor=asked)
    frame, = reader
    assert frame.image[0, 0, 0] == value
    assert any('photoneo is read' in line for line in reader.warnings) == (not asked)
    with pytest.raises(BopDatasetError, match='of the sensor cam9'):
        BopReader(tmp_path, sensor='cam9')


@pytest.mark.parametrize('rotation', [
    np.zeros(9), np.full(9, np.nan), 2 * np.eye(3).ravel(), np.diag([1.0, 1, -1]).ravel(), np.eye(3).ravel()[:8],
    [None] * 9, 'text', [[1, 0, 0], [0, 1, 0]], {'a': 1}])
def test_what_is_no_rotation_is_refused_with_file_and_image(tmp_path, rotation):
    entry = {**truth(FIRST), 'cam_R_m2c': rotation.tolist() if isinstance(rotation, np.ndarray) else rotation}
    write_scene(tmp_path / '000001', {5: [entry]})
    with pytest.raises(BopDatasetError, match=r'scene_gt\.json: 5: expected .*cam_R_m2c') as caught:
        BopReader(tmp_path)
    assert '\n' not in str(caught.value)


SHAPES = ['[]', '7', 'null', '"text"', '{"a": 1}', '{"3": 7}', '{"3": null}', '{"3": [7]}', '{"3": [[]]}',
          '{"3": {"obj_id": 2}}', '{"3": [{"obj_id": [2]}]}', '{"3": [{"obj_id": "2"}]}', '{"-1": []}',
          '{"3": [{"obj_id": 2, "cam_R_m2c": 1, "cam_t_m2c": 2}]}',
          f'{{"{"9" * 5000}": []}}', f'{{"3": {"9" * 5000}}}',
          100_000 * '[', '{"3": [{"obj_id": 1e400}]}', '\xff', '{"3": [{"visib_fract": "all"}]}',
          '[{"scene_id": "1", "im_id": 2}]', '[{"scene_id": 1}]', '[7]', '{"2": {"diameter": "big"}}',
          '{"2": {"diameter": -1}}', f'{{"2": {{"diameter": 1{400 * "0"}}}}}',
          f'{{"3": {{"depth_scale": 1{400 * "0"}}}}}', '{"3": {"cam_K": 7}}',
          '{"3": {"cam_K": ["a"]}}', '{"3": {"cam_K": null}}']


@pytest.mark.parametrize('name', ['scene_camera.json', 'scene_gt.json', 'scene_gt_info.json',
                                  '../../test_targets_bop19.json', '../../models/models_info.json'])
def test_json_of_other_shapes_is_one_line_or_a_frame_with_a_reason(dataset, name):
    (dataset.parent / 'models').mkdir()
    path = dataset / '000002' / name
    for shape in SHAPES:
        path.write_text(shape, encoding='latin-1')
        try:
            frames = list(BopReader(dataset, 2, MESH.diameter))
        except BopDatasetError as error:
            assert '\n' not in str(error) and len(str(error)) < 600
        else:
            assert all(np.isfinite(frame.truths).all() for frame in frames)


@pytest.mark.parametrize('name', ['scene_camera.json', 'scene_gt.json'])
def test_a_file_that_is_broken_is_named(dataset, name):
    (dataset / '000002' / name).write_text('{"3": ')
    with pytest.raises(BopDatasetError, match=f'{name}: expected a JSON file'):
        BopReader(dataset, 2)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_poses_are_written_in_millimetres_row_by_row(tmp_path):
    path = tmp_path / 'sub' / 'ours_lm-test.csv'
    with BopCsv(path, 2) as table:
        table.add(2, 3, [PoseEstimate(FIRST, 0.75, np.eye(6)), PoseEstimate(SECOND, 0.5, np.eye(6))], 0.125)
        table.add(2, 12, [], 0.1)
    assert path.read_text().splitlines()[0] == 'scene_id,im_id,obj_id,score,R,t,time'
    first, second = rows(path)
    assert [first[key] for key in ('scene_id', 'im_id', 'obj_id', 'score', 'time')] == [
        '2',
        '3',
        '2',
        '0.75',
        '0.125000',
    ]
    np.testing.assert_allclose([float(v) for v in first['R'].split()], FIRST[:3, :3].ravel(), atol=1e-8)
    np.testing.assert_allclose([float(v) for v in second['t'].split()], 1000 * SECOND[:3, 3], rtol=1e-8)
    assert second['time'] == first['time'], 'BOP wants one time an image'


def test_a_table_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(BopCsvError, match='expected a file that can be written'):
        BopCsv(tmp_path)


@pytest.fixture
def card(monkeypatch):
    monkeypatch.setattr(frame_answers, 'create_estimator', lambda name, card, threads=None: OracleEstimator())
    return SimpleNamespace(
        name='box', identity='box 0', mesh=MESH, symmetry=NO_SYMMETRY, tolerance=STATED_NEED,
        calibration=UNCALIBRATED,
        network_sha256='0' * 64,
        sha256='1' * 64,
    )


def test_a_dataset_is_evaluated_and_its_own_numbers_are_in_the_table(dataset, card, tmp_path):
    options = EvaluateOptions(
        'oracle', (), source=SourceOptions(bop_object=2), bop_csv=tmp_path / 'oracle_lm-test.csv'
    )
    summary = evaluate_bags([dataset], card, options, progress=False)
    assert summary['headline']['value'] == 1 and summary['frames']['seen'] == 3
    written = rows(options.bop_csv)
    assert [(row['scene_id'], row['im_id'], row['obj_id']) for row in written] == [
        ('2', '3', '2'), ('2', '12', '2'), ('10', '0', '2')]
    np.testing.assert_allclose([float(v) for v in written[0]['t'].split()], 1000 * FIRST[:3, 3], rtol=1e-8)


def test_images_of_a_recording_are_numbered_in_its_order(card, tmp_path):
    camera = Camera(64, 48, np.reshape(K, (3, 3)))
    for name in ('a', 'b'):
        with BagWriter(tmp_path / name) as writer:
            for index in range(2):
                writer.write(BagFrame((index + 1) * 1_000_000_000, IMAGE, camera, FIRST))
    options = EvaluateOptions('oracle', (), bop_csv=tmp_path / 'x_y-test.csv')
    evaluate_bags([tmp_path / 'a', tmp_path / 'b'], card, options, progress=False)
    assert [(row['scene_id'], row['im_id']) for row in rows(options.bop_csv)] == [
        ('0', '0'), ('0', '1'), ('1', '0'), ('1', '1')]


def test_a_dataset_is_known_among_other_paths(dataset, tmp_path):
    source, = open_sources([dataset], SourceOptions(bop_object=2), {'': MESH.diameter})
    assert isinstance(source, BopReader)
