# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import pickle
import threading
import time
from itertools import islice
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hand_made_bags import frames
from watched import image_of

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.watch import video_capture
from posegrasp_ros.watch.pace import Pace
from posegrasp_ros.watch.read_ahead import read_ahead
from posegrasp_ros.watch.video_capture import LiveImages
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_source import Watchable, WatchSource, open_watch_source

HFOV_RAD = math.radians(60)
ASSUMED = ImageCamera(None, HFOV_RAD)
CALIBRATION = """image_width: 128
image_height: 96
camera_matrix: {rows: 3, cols: 3, data: [100, 0, 63, 0, 101, 47, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
"""
LEVELS = [30, 60, 90, 120, 150, 180]


def opened(text, camera=ASSUMED):
    return open_watch_source(str(text), camera, SourceOptions(), 0.15)


def decoded(text, camera=ASSUMED):
    return [item.undecoded.decode() for item in opened(text, camera).frames()]


@pytest.fixture
def video(tmp_path):
    """Six frames at 20 Hz, each of one brightness."""
    writer = cv2.VideoWriter(str(tmp_path / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 20.0, (128, 96))
    for level in LEVELS:
        writer.write(image_of(level))
    writer.release()
    return tmp_path / 'clip.mp4'


@pytest.fixture
def calibration(tmp_path):
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    return tmp_path / 'camera.yaml'


def test_an_image_is_one_frame_with_the_assumed_lens(tmp_path):
    cv2.imwrite(str(tmp_path / 'one.PNG'), image_of(70))
    source = opened(tmp_path / 'one.PNG')
    (frame,) = [item.undecoded.decode() for item in source.frames()]
    assert frame.image.mean() == 70 and frame.camera.fx == pytest.approx(64 / math.tan(HFOV_RAD / 2))
    assert 'assumed' in source.camera_line and '60' in source.camera_line and not source.is_live


def test_a_folder_is_its_images_by_name(tmp_path):
    for name, level in (('b.png', 40), ('a.png', 80)):
        cv2.imwrite(str(tmp_path / name), image_of(level))
    assert [frame.image.mean() for frame in decoded(tmp_path)] == [80, 40]


def test_a_video_is_all_its_frames_in_its_time(video):
    source = opened(video)
    found = [item.undecoded.decode() for item in source.frames()]
    assert source.rate_hz == 20
    np.testing.assert_allclose([frame.image.mean() for frame in found], LEVELS, atol=4)
    np.testing.assert_allclose(np.diff([frame.stamp_ns for frame in found]), 50e6, atol=1e6)
    assert found[0].stamp_ns > 0


def test_a_bag_is_read_with_its_own_cameras(bag):
    source, expected = opened(bag), frames(5)
    found = [item.undecoded.decode() for item in source.frames()]
    assert [frame.stamp_ns for frame in found] == [frame.stamp_ns for frame in expected]
    np.testing.assert_allclose(found[2].image.astype(int), expected[2].image, atol=8)  # JPEG
    np.testing.assert_allclose(found[2].camera.matrix, expected[2].camera.matrix)
    assert source.is_recording


def test_a_calibration_is_scaled_to_images_of_its_shape_and_refused_for_others(calibration, tmp_path):
    for name, size in (('a', (128, 96)), ('b', (64, 48)), ('c', (128, 80))):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image_of(9, *size))
    same, half, other = decoded(tmp_path, ImageCamera(calibration, HFOV_RAD))
    assert same.camera.fx == 100 and same.camera.distortion[0] == 0.1 and half.camera.fx == 50
    assert other.camera is None and other.reason == 'size_mismatch' and 'camera.yaml' in other.problem


def test_a_calibration_goes_to_other_processes(calibration):
    sent = pickle.loads(pickle.dumps(ImageCamera(calibration, HFOV_RAD)))
    assert sent.of_image(64, 48).fx == 50 and sent.line == f'{calibration}, 128x96'


def test_an_evaluation_reads_a_folder_with_the_same_camera(calibration, tmp_path):
    (tmp_path / 'folder').mkdir()
    cv2.imwrite(str(tmp_path / 'folder' / 'a.png'), image_of(9))
    camera = ImageCamera(calibration, HFOV_RAD)
    (source,) = open_sources([tmp_path / 'folder'], SourceOptions(camera=camera), {'': 0.1})
    (evaluated,) = [each.decode() for each in source.undecoded()]
    (watched,) = decoded(tmp_path / 'folder', camera)
    np.testing.assert_array_equal(evaluated.camera.matrix, watched.camera.matrix)
    np.testing.assert_array_equal(evaluated.camera.distortion, watched.camera.distortion)
    assert evaluated.stamp_ns == watched.stamp_ns


def test_rounds_come_one_after_the_other(video):
    stamps = [item.undecoded.stamp_ns + item.shift_ns for item in islice(opened(video).frames(True), 14)]
    assert len(stamps) == 14 and stamps == sorted(set(stamps))


def test_rounds_of_a_recording_follow_shortly_whenever_it_was_made():
    now_ns = 1_780_000_000 * 10**9
    recorded = [Watchable(SimpleNamespace(stamp_ns=now_ns + place * 10**9)) for place in range(3)]
    source = WatchSource('bag', lambda: recorded, False, '')
    played = list(islice(source.frames(True), 30))
    stamps = [item.undecoded.stamp_ns + item.shift_ns for item in played]
    assert stamps == sorted(set(stamps)) and stamps[-1] - stamps[0] < 200 * 10**9
    times_s = [(stamp - item.round_ns - now_ns) / 1e9 for stamp, item in zip(stamps, played)]
    assert times_s == 10 * [0.0, 1.0, 2.0]


@pytest.mark.parametrize(('text', 'said'), [
    ('/nowhere/clip.mp4', 'expected the number of a camera, a URL of .*, or a file or folder that exists'),
    ('999', 'camera number 999: expected a camera'),
    ('file:///etc/passwd', 'expected a URL of http, .*, got one of file'),
    ('http://127.0.0.1:9/x', 'expected a camera, video or stream'),
])
def test_what_cannot_be_opened_is_told(text, said):
    with pytest.raises(WatchError, match=said):
        opened(text)


def test_a_file_that_is_no_video_is_told(tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(b'no video')
    with pytest.raises(WatchError, match=r'clip\.mp4: expected a camera, video or stream'):
        opened(tmp_path / 'clip.mp4')


def test_a_recording_takes_no_other_camera(bag, calibration):
    with pytest.raises(BagError, match='expected no --camera for a recording'):
        opened(bag, ImageCamera(calibration, HFOV_RAD))


def test_a_calibration_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(CameraError, match=r'nowhere\.yaml'):
        ImageCamera(tmp_path / 'nowhere.yaml', HFOV_RAD)


class FakeCapture:
    """A camera that takes 5 ms for an image, the n-th of brightness n; it breaks after ``lasts`` of them."""

    def __init__(self, lasts: int = 10**6):
        self.count, self.lasts, self.is_released = 0, lasts, False

    def read(self):
        time.sleep(0.005)
        self.count += 1
        return (True, image_of(self.count % 256)) if self.count <= self.lasts else (False, None)

    def release(self):
        self.is_released = True


def test_of_a_live_camera_the_newest_image_is_taken_and_the_others_are_counted():
    capture = FakeCapture()
    images = LiveImages(0, ASSUMED, lambda _: capture)
    taking = iter(images)
    first = next(image for image in taking if image)
    time.sleep(0.3)
    newest = next(image for image in taking if image)
    assert int(newest.image[0, 0, 0]) - int(first.image[0, 0, 0]) > 5 and images.dropped > 5
    assert time.time_ns() - newest.stamp_ns < 200_000_000
    taking.close()
    assert capture.is_released and threading.active_count() < 50


def test_a_camera_that_breaks_off_is_opened_again(monkeypatch, caplog):
    monkeypatch.setattr(video_capture, 'RETRY_S', 0.01)
    captures = [FakeCapture(2), FakeCapture()]
    opening = iter(captures)
    images = iter(LiveImages('/dev/video7', ASSUMED, lambda _: next(opening)))
    found = [image for image in islice(images, 200) if image]
    images.close()
    assert len(found) > 5 and captures[0].is_released and '/dev/video7: no image' in caplog.text


def test_a_camera_that_is_gone_is_told(monkeypatch):
    monkeypatch.setattr(video_capture, 'RETRY_S', 0.01)
    monkeypatch.setattr(video_capture, 'LOST_AFTER_S', 0.2)
    opening = iter([FakeCapture(0)])

    def opens(_):
        for capture in opening:
            return capture
        raise WatchError('gone')

    with pytest.raises(WatchError, match='there was none for'):
        list(LiveImages(0, ASSUMED, opens))


def test_frames_come_at_their_rate_and_late_ones_do_not_hurry():
    now_s, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        now_s[0] += seconds

    pace = Pace(lambda: now_s[0], sleep)
    due_s = []
    for stamp_ms, work_s in ((1000, 0.01), (1050, 0.01), (1100, 1.0), (1150, 0.0), (1200, 0.0), (900, 0.0),
                             (99_000, 0.0)):
        pace.wait(stamp_ms * 1_000_000, lambda: False)
        due_s.append(now_s[0] - 100)
        now_s[0] += work_s
    np.testing.assert_allclose(due_s, [0, 0.05, 0.1, 1.1, 1.15, 1.15, 1.15], atol=1e-6)


def test_waiting_ends_when_it_should_stop():
    pace = Pace()
    pace.wait(0, lambda: False)
    start = time.monotonic()
    pace.wait(4_000_000_000, lambda: time.monotonic() - start > 0.1)
    assert time.monotonic() - start < 2


def test_the_next_frame_is_decoded_while_the_one_before_is_looked_at():
    decoded_by, closed = [], []

    class Counted(NamedTuple):
        stamp_ns: int
        scene: int | None = None
        number: int | None = None

        def decode(self) -> BagFrame:
            decoded_by.append((self.stamp_ns, threading.current_thread().name))
            return BagFrame(self.stamp_ns, image_of(self.stamp_ns), None, decode_ms=3.0)

    def source():
        try:
            yield None
            for stamp_ns in range(1, 6):
                yield Watchable(Counted(stamp_ns, 7, stamp_ns), 100)
            raise WatchError('the source breaks off')
        finally:
            closed.append(True)

    frames = read_ahead(source())
    assert next(frames) is None
    first = next(frames)
    undecoded = first.undecoded
    assert (first.shift_ns, undecoded.stamp_ns, undecoded.scene, undecoded.number) == (100, 1, 7, 1)
    assert undecoded.decode().image.mean() == 1 and undecoded.decode().decode_ms == 3.0
    time.sleep(0.05)
    assert [stamp for stamp, _ in decoded_by] == [1, 2], 'one ahead, not more'
    assert all(name.startswith('posegrasp-reader') for _, name in decoded_by)
    assert [item.undecoded.stamp_ns for item in islice(frames, 4)] == [2, 3, 4, 5]
    with pytest.raises(WatchError, match='breaks off'):
        next(frames)
    abandoned = source()
    frames = read_ahead(abandoned)
    assert [next(frames), next(frames).undecoded.stamp_ns] == [None, 1]
    frames.close()
    abandoned.close()
    assert closed == [True, True] and list(read_ahead(iter([]))) == []
