# SPDX-License-Identifier: Apache-2.0
"""TerminalLines: watched frames as lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from posegrasp_ros.geometry.transforms import quaternion_from_matrix
from posegrasp_ros.metrics.track_states import FOUND
from posegrasp_ros.runtime.console import show_and_see
from posegrasp_ros.watch.watched_frame import WatchedFrame


class TerminalLines:
    """Prints frames.

    :param every_s: at most one line in so long; 0 for every frame
    :param write: of a line; False when nobody reads them any more
    :ivar is_unread: whether it was so
    """

    def __init__(self, every_s: float = 0.0, write: Callable[[str], bool] = show_and_see):
        self._every_s, self._write = every_s, write
        self._last_s, self.is_unread = -np.inf, False

    def take(self, frame: WatchedFrame) -> None:
        """Print a frame, if it is time for one."""
        now_s = time.monotonic()
        if now_s - self._last_s >= self._every_s:
            self._last_s = now_s
            self.is_unread |= not self._write(frame_line(frame))


def frame_line(frame: WatchedFrame) -> str:
    """A frame in a line: pose in the camera's frame with standard deviations, score, best grasp, time."""
    parts = [f'{frame.number}', f'{frame.time_s:.2f} s']
    if frame.poses:
        best = frame.poses[0]
        x, y, z = 1000 * best.camera_from_object[:3, 3]
        quaternion = ' '.join(f'{value:.3f}' for value in quaternion_from_matrix(best.camera_from_object[:3, :3]))
        sigmas = np.sqrt(np.maximum(np.diag(best.covariance), 0.0))
        parts += [f'x y z {x:.1f} {y:.1f} {z:.1f} mm ± {" ".join(f"{value:.1f}" for value in 1000 * sigmas[:3])}',
                  f'qx qy qz qw {quaternion} ± {np.degrees(sigmas[3:]).max():.1f}°', f'score {best.score:.2f}']
    if len(frame.poses) > 1:
        parts.append(f'{len(frame.poses)} objects')
    state = frame.perceived.outcome.words.get('state', '')
    if state and state != FOUND:
        parts.append(state)
    if frame.grasps:
        parts.append(f'grasp {frame.grasps[0].name} {frame.grasps[0].score:.2f}')
    if frame.rejected:
        parts.append(frame.rejected)
    return '  '.join([*parts, f'{frame.latency_ms:.0f} ms'])
