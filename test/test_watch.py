# SPDX-License-Identifier: Apache-2.0
"""posegrasp watch as a whole: what it says, writes and leaves behind."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import simulated_frames
from watched import CAMERA, COVARIANCE, ByBrightness, image_of, watched_frame

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources, sourced_frames
from posegrasp_ros.estimation.create import register_estimator, unregister_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.estimation.uncertainty import image_ellipse
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.frame_answers import answered_frames
from posegrasp_ros.geometry.transforms import invert, look_at, make_transform, perturb, transform_points
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.watch.saved_pictures import SavedVideo
from posegrasp_ros.watch.terminal_lines import frame_line
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_loop import watch
from posegrasp_ros.watch.watch_picture import draw_watched
from posegrasp_ros.watch.watch_source import open_watch_source
from posegrasp_ros.watch.watch_stages import WatchOptions, WatchStages
from posegrasp_ros.watch.watched_frame import WatchedFrame

SECOND, MS = 1_000_000_000, 1_000_000
LEVELS = [100, 5, 140, 180, 60]


@pytest.fixture
def model(scripted_model, tmp_path) -> Path:
    """A model without grasps, which are the quicker to start."""
    folder = Path(shutil.copytree(scripted_model, tmp_path / 'model'))
    (folder / 'grasps.yaml').unlink()
    return folder


@pytest.fixture
def by_brightness():
    register_estimator('by_brightness', ByBrightness)
    yield 'by_brightness'
    unregister_estimator('by_brightness')


@pytest.fixture
def levels(tmp_path) -> Path:
    """A recording whose second image is dark."""
    with BagWriter(tmp_path / 'levels') as writer:
        for index, level in enumerate(LEVELS):
            writer.write(BagFrame(SECOND + index * 50 * MS, image_of(level), CAMERA))
    return tmp_path / 'levels'


def collected(path, card, options: WatchOptions, planner=None) -> list[WatchedFrame]:
    taken = []
    source = open_watch_source(str(path), ImageCamera(None, 1.0), SourceOptions(), card.mesh.diameter)
    watch(source, WatchStages(card, options, planner), [SimpleNamespace(take=taken.append)])
    return taken


def evaluated(path, card, options: EvaluateOptions) -> list[list[PoseEstimate]]:
    """The poses that an evaluation measures."""
    sources = open_sources([path], options.source, {'': card.mesh.diameter})
    frames = sourced_frames(sources, SECOND)
    return [answered.answers[options.estimator][''].estimation.poses
            for _, answered in answered_frames(options.work({'': card}), frames)]


def assert_same_poses(found: list[WatchedFrame], expected: list[list[PoseEstimate]]) -> None:
    assert [len(frame.poses) for frame in found] == [len(poses) for poses in expected]
    for frame, poses in zip(found, expected):
        for one, other in zip(frame.poses, poses):
            np.testing.assert_array_equal(one.camera_from_object, other.camera_from_object)
            np.testing.assert_array_equal(one.covariance, other.covariance)
            assert one.score == other.score


def test_poses_are_those_of_an_evaluation(levels, model, by_brightness):
    card = load_model_card(model)
    found = collected(levels, card, WatchOptions(by_brightness))
    assert_same_poses(found, evaluated(levels, card, EvaluateOptions(by_brightness, compare_with=())))
    assert [bool(frame.poses) for frame in found] == [level > 20 for level in LEVELS]
    assert found[1].rejected == 'no_detection (0 detections)'


@pytest.mark.slow
@pytest.mark.parametrize('track', [False, True])
def test_poses_of_the_shipped_model_are_those_of_an_evaluation(tmp_path, track):
    card = load_model_card(resource_path('models/box'))
    (frame,) = simulated_frames(card.mesh, 1, 3)
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(4):
            shifted = np.roll(frame.image, 2 * index, axis=1)
            writer.write(BagFrame(SECOND + index * 50 * MS, shifted, frame.camera))
    found = collected(tmp_path / 'bag', card, WatchOptions(tracking=TrackingOptions() if track else None))
    assert_same_poses(found, evaluated(tmp_path / 'bag', card, EvaluateOptions(compare_with=(), track=track)))
    assert found[0].poses and (found[3].perceived.outcome.words.get('state') == 'tracked') == track


def test_grasps_are_planned_where_the_camera_is_and_from_its_side_where_that_is_unknown(
        tmp_path, scripted_model, request):
    card = load_model_card(scripted_model)
    gripper = load_gripper()
    planner = GraspPlanner(gripper, load_grasps(card.grasps_path, gripper, card.mesh), symmetry=card.symmetry,
                           mesh=card.mesh)
    base_from_camera = look_at((0.3, 0, 0.5), (0, 0, 0.02))
    standing = invert(base_from_camera) @ make_transform(None, (0, 0, 0.0225))
    register_estimator('standing', lambda *_: SimpleNamespace(estimate=lambda *_: Estimation(
        [PoseEstimate(standing, 0.9, COVARIANCE)])))
    request.addfinalizer(lambda: unregister_estimator('standing'))
    with BagWriter(tmp_path / 'bag') as writer:
        for index, known in enumerate((base_from_camera, None)):
            writer.write(BagFrame((index + 1) * SECOND, image_of(90), CAMERA, None, known))
    for options, is_given in ((WatchOptions('standing'), False),
                              (WatchOptions('standing', base_from_camera=base_from_camera), True)):
        frame = collected(tmp_path / 'bag', card, options, planner)[0]
        assert frame.grasps
        with_grasp, without = (draw_watched(frame, card.mesh, each) for each in (gripper, None))
        assert (with_grasp != without).any(axis=2).sum() > 20
        if is_given:
            np.testing.assert_array_equal(frame.base_from_camera, base_from_camera)
    cv2.imwrite(str(tmp_path / 'one.png'), image_of(90))
    frame = collected(tmp_path / 'one.png', card, WatchOptions('standing'), planner)[0]
    approaches = [frame.camera_from_tcp(grasp)[2, 2] for grasp in frame.grasps]
    assert frame.grasps and min(approaches) > np.cos(np.radians(101)) and approaches[0] > 0


def test_the_ellipse_holds_the_centre_of_95_in_100_poses():
    frame = watched_frame()
    card_mesh = SimpleNamespace(centre=np.array([0.01, 0.02, -0.01]))
    covariance = np.diag([1e-5, 4e-5, 9e-5, 1e-3, 4e-3, 1e-4])
    estimate = replace(frame.poses[0], covariance=covariance)
    ellipse = image_ellipse(estimate, card_mesh, CAMERA)
    rng, pose = np.random.default_rng(0), estimate.camera_from_object
    deltas = rng.multivariate_normal(np.zeros(6), covariance, 4000)
    pixels = CAMERA.project(np.array([transform_points(perturb(pose, delta), card_mesh.centre[None])[0]
                                      for delta in deltas])) - ellipse.centre
    along = pixels @ [np.cos(ellipse.angle_rad), np.sin(ellipse.angle_rad)]
    across = pixels @ [-np.sin(ellipse.angle_rad), np.cos(ellipse.angle_rad)]
    inside = (along / ellipse.radii[0])**2 + (across / ellipse.radii[1])**2 <= 1
    assert 0.93 < inside.mean() < 0.97 and ellipse.radii[0] > 1.5 * ellipse.radii[1]


def test_the_picture_has_the_ellipse_and_says_why_there_is_no_pose(scripted_model):
    mesh = load_model_card(scripted_model).mesh
    sure, vague = watched_frame(), watched_frame()
    vague.poses[0].covariance = 1000 * sure.poses[0].covariance
    pictures = [draw_watched(frame, mesh, None) for frame in (sure, vague)]
    v, u = np.nonzero((pictures[0] != pictures[1]).any(axis=2))
    assert np.ptp(u) > 30 and np.ptp(v) > 60
    pictures[1] = draw_watched(watched_frame(level=5), mesh, None)
    assert (pictures[1] != 5).any(axis=2)[-25:].sum() > 100
    broken = watched_frame()
    broken = replace(broken, perceived=broken.perceived._replace(frame=replace(broken.frame, image=None)))
    assert draw_watched(broken, mesh, None) is None


def read_video(path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    images = list(itertools.takewhile(lambda image: image is not None, (capture.read()[1] for _ in range(10**4))))
    capture.release()
    return images


def test_in_a_saved_video_time_passes_as_in_the_source(tmp_path):
    with SavedVideo(tmp_path / 'out.mp4', lambda frame: frame.frame.image) as video:
        for number, level in ((1, 40), (2, 80), (5, 120), (6, 160)):  # 50 ms apart, two are missing
            video.take(watched_frame(number, level))
    images = read_video(tmp_path / 'out.mp4')
    np.testing.assert_allclose([image.mean() for image in images], [40, 80, 80, 80, 120, 160], atol=5)
    capture = cv2.VideoCapture(str(tmp_path / 'out.mp4'))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20)


def test_images_of_other_sizes_fit_into_the_video(tmp_path):
    with SavedVideo(tmp_path / 'out.mp4', lambda frame: image_of(200, 127 + 60 * frame.number, 95), 20.0) as video:
        for number in (1, 2, 3):
            video.take(watched_frame(number))
    assert {image.shape for image in read_video(tmp_path / 'out.mp4')} == {(94, 186, 3)}


@pytest.mark.parametrize(('path', 'said'), [('out.avi', 'ends in .mp4'), ('no/out.mp4', 'expected a folder')])
def test_a_video_that_cannot_be_written_is_told_before_anything_runs(tmp_path, path, said):
    with pytest.raises(WatchError, match=said):
        SavedVideo(tmp_path / path, lambda frame: None)


def test_lines_say_pose_and_uncertainty_or_the_reason():
    assert 'x y z 0.0 10.0 500.0 mm ± 1.0 2.0 3.0' in frame_line(watched_frame())
    assert 'no_detection' in frame_line(watched_frame(level=3))


def test_without_a_page_every_frame_is_a_line_and_the_end_a_summary(
        levels, model, by_brightness, tmp_path, capsys):
    out = tmp_path / 'out.mp4'
    assert main(['watch', str(levels), '--no-page', '--estimator', by_brightness, '--model', str(model), '--save',
                 str(out), '--save-frames', str(tmp_path / 'frames')]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 6 and 'no_detection' in lines[1] and lines[0].startswith('1  0.00 s  x y z')
    assert '5 frames' in lines[-1] and 'pose in 4 (80.0 %)' in lines[-1] and 'no_detection 1' in lines[-1]
    assert 'camera: as recorded' in said.err
    assert len(read_video(out)) == 5 and len(list((tmp_path / 'frames').glob('00000?.png'))) == 5


@pytest.mark.parametrize(('name', 'option'), [('clip.mp4', '--save'), ('frames', '--save-frames')])
def test_the_source_is_not_written_over(model, tmp_path, capsys, name, option):
    source = tmp_path / name
    if option == '--save':
        source.write_bytes(b'a clip')
    else:
        source.mkdir()
        cv2.imwrite(str(source / '000001.png'), image_of(90))
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    assert main(['watch', str(source), '--no-page', '--model', str(model), option,
                 str(tmp_path / '.' / name)]) == 2
    assert 'expected another place than the source' in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_a_photograph_says_what_lens_was_assumed(model, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'one.png'), image_of(90))
    assert main(['watch', str(tmp_path / 'one.png'), '--no-page', '--estimator', 'mean_pose', '--model',
                 str(model), '--hfov', '50']) == 0
    assert 'assumed a lens without distortion, 50 degrees wide' in capsys.readouterr().err


def test_what_cannot_be_watched_is_one_line(model, capsys):
    assert main(['watch', '/nowhere', '--no-page', '--model', str(model)]) == 2
    assert capsys.readouterr().err.startswith('posegrasp: error: /nowhere: expected the number of a camera')


def test_without_aiohttp_the_page_says_what_to_install(monkeypatch, levels, model, capsys):
    monkeypatch.setitem(sys.modules, 'posegrasp_ros.watch.page_server', None)
    monkeypatch.delitem(sys.modules, 'posegrasp_ros.watch.page_server')
    monkeypatch.delattr('posegrasp_ros.watch.page_server', raising=False)
    monkeypatch.setattr(sys, 'meta_path', [Without('aiohttp'), *sys.meta_path])
    for name in [name for name in sys.modules if name.split('.')[0] == 'aiohttp']:
        monkeypatch.delitem(sys.modules, name)
    assert main(['watch', str(levels), '--model', str(model), '--estimator', 'mean_pose']) == 2
    assert "this needs aiohttp: pip install '.[watch]'" in capsys.readouterr().err


class Without:
    """An importer that does not find a package."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, *_):
        if name == self.name:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_ctrl_c_the_video_is_whole(levels, model, tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, '-m', 'posegrasp_ros.cli.main', 'watch', str(levels), '--no-page', '--loop',
         '--estimator', 'mean_pose', '--model', str(model), '--save', str(tmp_path / 'out.mp4')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(20)]
    process.send_signal(number)
    rest, problems = process.communicate(timeout=60)
    assert process.returncode == code and 'Traceback' not in problems and lines[-1].startswith('20  ')
    frames = int(rest.splitlines()[-1].split()[0])
    assert frames >= 20 and len(read_video(tmp_path / 'out.mp4')) >= frames


@pytest.mark.slow
def test_lines_that_nobody_reads_any_more_end_it(levels, model):
    command = (f'"$0" -m posegrasp_ros.cli.main watch {levels} --no-page --loop --estimator mean_pose '
               f'--model {model}')
    done = subprocess.run(['bash', '-c', f'{command} | head -n 2', sys.executable], capture_output=True, text=True,
                          timeout=60)
    assert len(done.stdout.splitlines()) == 2 and 'Traceback' not in done.stderr


@pytest.mark.slow
def test_the_page_stays_until_ctrl_c(levels, model, tmp_path):
    aiohttp = pytest.importorskip('aiohttp', reason='aiohttp is not installed')
    assert aiohttp
    import urllib.request

    process = subprocess.Popen(
        [sys.executable, '-m', 'posegrasp_ros.cli.main', 'watch', str(levels), '--no-browser', '--port', '0',
         '--estimator', 'mean_pose', '--model', str(model), '--snapshots', str(tmp_path / 'kept')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    time.sleep(1.0)
    assert process.poll() is None
    with urllib.request.urlopen(url, timeout=5) as page:
        assert b'posegrasp watch' in page.read()
    process.send_signal(signal.SIGINT)
    said, problems = process.communicate(timeout=30)
    assert process.returncode == 130 and 'has ended' in problems and '5 frames' in said
    assert not (tmp_path / 'kept').exists() and json.dumps(said)
