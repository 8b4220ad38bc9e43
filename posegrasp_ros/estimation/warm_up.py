# SPDX-License-Identifier: Apache-2.0
"""Compiles the alignment code before the first image, unless it is cached on this machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from posegrasp_ros.estimation.refinement.refiner import Refiner
from posegrasp_ros.estimation.solve import solve_pose
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.runtime.numba_cache import FOLDER

PATIENCE_S = 2.0


def compile_alignment(refiner: Refiner | None) -> None:
    """Solve and refine once on synthetic data; prints a line if this takes long."""
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (20, 3))
    camera = Camera.from_field_of_view(64, 64, 1.0)
    pose = make_transform(translation=(0.0, 0.0, 0.6))
    with _announced():
        solve_pose(points, camera.project(points + pose[:3, 3]), np.full(20, 0.001), camera.matrix)
        if refiner is not None:
            refiner.refine(np.full((64, 64, 3), 128, np.uint8), camera, pose, 1e-4 * np.eye(6))


@contextmanager
def _announced() -> Iterator[None]:
    how_often = 'for this machine, once' if FOLDER else 'for this process'
    timer = threading.Timer(PATIENCE_S, print, [
        f'posegrasp: compiling the alignment {how_often}, which takes about half a minute'],
        {'file': sys.stderr, 'flush': True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
