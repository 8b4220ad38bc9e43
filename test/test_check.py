# SPDX-License-Identifier: Apache-2.0
"""``posegrasp check``: what it says of good folders, and the one line that it says of others."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml
from keypoint_models import write_keypoint_model
from test_cli import refused
from test_decoders_dope import MATRIX, NEAR, cuboid, encode
from test_decoders_yolo_pose import CORNERS
from test_decoders_yolo_pose import encode as encode_rows

from posegrasp_ros.cli.main import main
from posegrasp_ros.estimation.decoders.yolo_pose import OutputLayout
from posegrasp_ros.estimation.model_card import sha256_of
from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.geometry.camera_info_file import load_camera
from posegrasp_ros.runtime.resources import resource_path

CALIBRATION = {
    'image_width': 640, 'image_height': 480, 'camera_name': 'bench', 'distortion_model': 'plumb_bob',
    'camera_matrix': {'rows': 3, 'cols': 3, 'data': MATRIX.ravel().tolist()},
    'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0, 0.0, 0.0, 0.0, 0.0]},
}


def said_of(capsys, *arguments) -> str:
    assert main(['check', '--threads', '1', *map(str, arguments)]) == 0
    return ' '.join(capsys.readouterr().out.split())


@pytest.fixture
def dope_folder(tmp_path):
    """The shipped box with a network that always sees it at ``NEAR``."""
    return write_keypoint_model(tmp_path / 'dope', encode([cuboid(NEAR)])[None], (640, 480),
                                {'family': 'dope', 'corners': 'nvlabs'})


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'shot.png'
    assert cv2.imwrite(str(path), np.full((480, 640, 3), 90, np.uint8))
    return path


def test_the_shipped_box_is_understood(capsys):
    said = said_of(capsys, resource_path('models/box'))
    for part in ('120.0 x 60.0 x 45.0 mm', 'symmetries none', 'detector.onnx', '320x256 pixels, rgb',
                 'centre_heatmap (stride 8', 'object_coordinates (margin', 'score calibrated',
                 'covariance calibrated', 'in grasps.yaml', 'on grey noise, 640x480', 'none found (no_detection)'):
        assert part in said


def test_json_is_for_scripts(capsys):
    assert main(['check', str(resource_path('models/box')), '--json', '--threads', '1']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['object']['size_m'] == [0.12, 0.06, 0.045]
    assert set(report['networks']) == {'detector', 'network'}
    network = report['networks']['network']
    assert network['sha256'] == sha256_of(resource_path('models/box') / 'model.onnx')
    assert network['outputs']['output'] == [1, 5, 32, 32] and network['ms'] > 0
    assert report['inference']['poses'] == [] and report['inference']['reason'] == 'no_detection'


def test_a_dope_folder_is_understood(capsys, dope_folder):
    said = said_of(capsys, dope_folder)
    for part in ('network network.onnx', 'not on the card', 'dope (corners nvlabs', '0 to 7 belief of the cuboid',
                 '0 (60.0, -30.0, 22.5), 1 (-60.0, -30.0, 22.5)', '8 (0.0, 0.0, 0.0)', 'score not calibrated',
                 'covariance not calibrated', 'no grasps.yaml', 'provenance nothing said'):
        assert part in said
    assert 'detector' not in said


def test_a_yolo_folder_is_understood(capsys, tmp_path):
    output = encode_rows(OutputLayout('rows', 8, 3, 1), [])[None]
    folder = write_keypoint_model(tmp_path / 'yolo', output, (640, 640),
                                  {'family': 'yolo_pose', 'keypoints_m': CORNERS.tolist()})
    said = said_of(capsys, folder)
    assert 'rows [1, 29, A]: 0 to 3 box (cx, cy, w, h), then 1 class scores' in said
    assert 'then 8 times (x, y, visibility); overlapping boxes still to be suppressed' in said


def test_an_image_is_run_and_drawn_upon(capsys, dope_folder, picture, tmp_path):
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(CALIBRATION))
    overlay = tmp_path / 'seen.png'
    assert main(['check', str(dope_folder), '--image', str(picture), '--camera', str(tmp_path / 'camera.yaml'),
                 '--overlay', str(overlay), '--json', '--threads', '1']) == 0
    answer = json.loads(capsys.readouterr().out)['inference']
    assert answer['size'] == [640, 480] and answer['focal_px'] == 600.0
    drawn = cv2.imread(str(overlay))
    assert drawn.shape == (480, 640, 3) and (drawn != 90).any()


def test_a_guessed_field_of_view_is_said_aloud(capsys, picture):
    box = str(resource_path('models/box'))
    assert main(['check', box, '--image', str(picture), '--threads', '1']) == 0
    assert 'field of view of 60 degrees is assumed' in capsys.readouterr().err
    assert main(['check', box, '--image', str(picture), '--hfov', '60', '--threads', '1']) == 0
    captured = capsys.readouterr()
    assert captured.err == '' and 'on the image, 640x480, focal length 554 px' in captured.out


@pytest.mark.parametrize('damage, expected', [
    (lambda folder: (folder / 'model.yaml').unlink(), 'model.yaml: no such file'),
    (lambda folder: (folder / 'network.onnx').write_bytes(b'x'), 'network.onnx: cannot be loaded as an ONNX'),
    (lambda folder: (folder / 'mesh.obj').write_text(''), 'mesh.obj: '),
    (lambda folder: (folder / 'grasps.yaml').write_text('a: 1'), 'grasps.yaml: format: expected'),
])
def test_a_wrong_folder_is_one_line(capsys, dope_folder, damage, expected):
    damage(dope_folder)
    assert expected in refused(capsys, 'check', dope_folder)


def test_wrong_options_are_one_line(capsys, dope_folder, picture, tmp_path):
    large = tmp_path / 'large.yaml'
    large.write_text(yaml.safe_dump({**CALIBRATION, 'image_width': 1280, 'image_height': 960}))
    for options, expected in (
        (['--image', tmp_path / 'gone.png'], 'gone.png: no such image'),
        (['--image', dope_folder / 'model.yaml'], 'model.yaml: image: data: expected a complete file of JPEG'),
        (['--hfov', '60'], 'expected together with --image'),
        (['--image', picture, '--hfov', '300'], '--hfov: expected an angle'),
        (['--image', picture, '--camera', large], 'intrinsics are of 1280x960 pixels, the image has 640x480'),
        (['--image', picture, '--hfov', '60', '--overlay', tmp_path / 'seen.txt'], 'a .png or .jpg file'),
    ):
        assert expected in refused(capsys, 'check', dope_folder, *options)


def test_a_camera_info_that_was_echoed_is_read(tmp_path):
    path = tmp_path / 'info.yaml'
    path.write_text(yaml.safe_dump({'header': {}, 'width': 640, 'height': 480, 'k': MATRIX.ravel().tolist(),
                                    'd': [0.1, -0.2, 0.0, 0.0, 0.05], 'distortion_model': 'plumb_bob'}) + '---\n')
    camera = load_camera(path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    assert camera.is_distorted and (camera.width, camera.height) == (640, 480)


def test_region_and_binning_of_a_camera_info_are_applied(tmp_path):
    path = tmp_path / 'camera.yaml'
    region = {'x_offset': 100, 'y_offset': 0, 'width': 320, 'height': 240}
    path.write_text(yaml.safe_dump({**CALIBRATION, 'roi': region, 'binning_x': 2, 'binning_y': 2}))
    camera = load_camera(path)
    assert (camera.width, camera.height) == (160, 120)
    assert camera.fx == pytest.approx(MATRIX[0, 0] / 2)


@pytest.mark.parametrize('changes, expected', [
    ({'image_width': 'wide'}, 'image_width: expected pixels between 1 and 65535'),
    ({'image_height': 480.5}, 'image_height: expected a whole number, got 480.5'),
    ({'camera_matrix': {'data': [1.0, 2.0]}}, 'camera_matrix.data: expected 9 numbers'),
    ({'camera_matrix': {'data': [0.0] * 9}}, 'expected focal lengths above 0'),
    ({'distortion_model': 'magic'}, 'distortion_model: expected one of plumb_bob'),
    ({'distortion_coefficients': {'data': ['a']}}, 'distortion_coefficients.data: expected 1 numbers'),
    ({'distortion_coefficients': {'data': [0.1, 0.2]}}, 'plumb_bob has 4, 5, 8, 12, 14 coefficients, got 2'),
    ({'binning_x': 1.5}, 'binning_x: expected a whole number, got 1.5'),
    ({'roi': {'x_offset': 400, 'y_offset': 0, 'width': 320, 'height': 240}}, 'roi: expected a region within'),
])
def test_a_wrong_calibration_is_refused(tmp_path, changes, expected):
    path = tmp_path / 'camera.yaml'
    path.write_text(yaml.safe_dump({**CALIBRATION, **changes}))
    with pytest.raises(CameraError) as error:
        load_camera(path)
    assert expected in str(error.value) and 'camera.yaml' in str(error.value) and '\n' not in str(error.value)


def test_a_damaged_shipped_folder_is_one_line(capsys, tmp_path):
    folder = shutil.copytree(resource_path('models/box'), tmp_path / 'box')
    card = yaml.safe_load((folder / 'model.yaml').read_text())
    del card['network']['sha256']
    (folder / 'model.yaml').write_text(yaml.safe_dump(card))
    assert 'network.sha256: expected the hash of model.onnx, got nothing' in refused(capsys, 'check', folder)


def with_grasps(folder, **changes) -> None:
    """Every tenth grasp of the shipped box, as another tool writes them, with fields changed."""
    document = yaml.safe_load((resource_path('models/box') / 'grasps.yaml').read_text())
    del document['rated_by']
    document['grasps'] = {name: {**entry, **changes} for name, entry in list(document['grasps'].items())[::10]}
    (folder / 'grasps.yaml').write_text(json.dumps(document))  # which is YAML, without aliases for what is shared


def test_grasps_that_hold_are_counted_and_the_best_are_drawn(capsys, dope_folder, tmp_path):
    with_grasps(dope_folder)
    document = yaml.safe_load((dope_folder / 'grasps.yaml').read_text())
    document['grasps']['grasp_000']['position'] = [0.0, 0.0, 1.0]
    (dope_folder / 'grasps.yaml').write_text(yaml.safe_dump(document))
    said = said_of(capsys, dope_folder, '--grasps-picture', tmp_path / 'grasps.png')
    assert '39 of 40 in grasps.yaml hold the object when closed on its mesh; 1 touch nothing' in said
    height, width, _ = cv2.imread(str(tmp_path / 'grasps.png')).shape
    assert width == 3 * height


def test_a_folder_in_which_no_grasp_holds_is_refused(capsys, dope_folder):
    with_grasps(dope_folder, position=[0.0, 0.0, 1.0])
    assert 'found none of 40: 40 touch nothing; check that' in refused(capsys, 'check', dope_folder)


def test_a_picture_of_no_grasps_is_refused(capsys, dope_folder, tmp_path):
    assert 'expected grasps to draw, found no' in refused(capsys, 'check', dope_folder, '--grasps-picture',
                                                          tmp_path / 'grasps.png')


def test_help_teaches(capsys):
    assert main(['check', '--help']) == 0
    said = capsys.readouterr().out
    assert 'Example:' in said and 'None' not in said and 'False' not in said


def test_a_network_that_answers_nan_is_refused(tmp_path, capsys):
    folder = write_keypoint_model(tmp_path / 'nan', np.full((1, 25, 60, 80), np.nan), (640, 480),
                                  {'family': 'dope', 'corners': 'nvlabs'})
    refused(capsys, ['check', str(folder)], 'output output_0: expected numbers, got NaN')


def test_grasps_that_are_no_file_are_no_missing_ones(dope_folder, capsys):
    (dope_folder / 'grasps.yaml').mkdir()
    refused(capsys, ['check', str(dope_folder)], 'grasps.yaml: expected a file, found a folder')
