# SPDX-License-Identifier: Apache-2.0
"""`posegrasp watch`, from the command to the picture in a real browser."""

from __future__ import annotations

import base64
import importlib.util
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from chromium import empty_page, needs_chromium
from conftest import simulated_frames
from test_watch import evaluated

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.sketch import sketch
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.resources import resource_path

pytestmark = [pytest.mark.slow, needs_chromium, pytest.mark.skipif(
    importlib.util.find_spec('aiohttp') is None, reason="aiohttp is not installed: pip install '.[watch]'")]
FRAMES, STEP_PX, PERIOD_NS = 8, 8, 400_000_000


def test_the_overlay_follows_the_object_and_the_numbers_are_those_of_an_evaluation(tmp_path):
    card = load_model_card(resource_path('models/box'))
    (frame,) = simulated_frames(card.mesh, 1, 3)
    images = [np.roll(frame.image, STEP_PX * index, axis=1) for index in range(FRAMES)]
    with BagWriter(tmp_path / 'bag') as writer:
        for index, image in enumerate(images):
            writer.write(BagFrame((index + 1) * PERIOD_NS, image, frame.camera))
    expected = evaluated(tmp_path / 'bag', card, EvaluateOptions(compare_with=()))

    process = subprocess.Popen([sys.executable, '-m', 'posegrasp_ros.cli.main', 'watch', str(tmp_path / 'bag'),
                                '--loop', '--no-browser', '--port', '0', '--gripper', 'franka_hand'],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        with empty_page() as (page, problems, urls):
            page.goto(process.stdout.readline().strip())
            page.wait_for_selector('#rows tr')
            seen, until_s = {}, time.monotonic() + 60
            while len(seen) < FRAMES and time.monotonic() < until_s:
                number, pose, picture = page.evaluate(
                    "[shown.number, shown.poses[0], document.getElementById('image').toDataURL('image/png')]")
                seen.setdefault((number - 1) % FRAMES, (pose, picture))
            page.wait_for_selector(f'#rows tr:nth-child({FRAMES})')
            rows = [row.split('\t') for row in page.inner_text('#rows').splitlines()]
            assert problems == [] and len({url.split('/')[2] for url in urls if url.startswith('http')}) == 1
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert len(seen) == FRAMES and len(rows) >= FRAMES
    poses = [best.camera_from_object for (best,) in expected]
    for index, (pose, picture) in seen.items():
        np.testing.assert_allclose(pose['matrix'], poses[index], atol=6e-6)  # as many digits are sent
        drawn = np.abs(decoded(picture).astype(int) - images[index]).max(axis=2) > 60
        shares = [drawn[tuple(edge_pixels(card.mesh, each, frame.camera))].mean() for each in poses]
        assert shares[index] > 0.7 and shares[index] > 2 * shares[(index + FRAMES // 2) % FRAMES], shares
    for row in rows:
        (best,) = expected[(int(row[0]) - 1) % FRAMES]
        assert row[2:5] == [f'{1000 * value:.1f}' for value in best.camera_from_object[:3, 3]]
        assert row[7] == f'{best.score:.2f}'


def decoded(data_uri: str) -> np.ndarray:
    """(H, W, 3) RGB."""
    content = np.frombuffer(base64.b64decode(data_uri.partition(',')[2]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def edge_pixels(mesh, camera_from_object, camera) -> np.ndarray:
    """(2, N) rows and columns of points on the edges of an object."""
    starts, ends = np.moveaxis(sketch(mesh), 1, 0)
    along = np.linspace(0.1, 0.9, 20)[:, None, None]
    points = (starts + along * (ends - starts)).reshape(-1, 3)
    return camera.project(transform_points(camera_from_object, points)).round().astype(int).T[::-1]
