# SPDX-License-Identifier: Apache-2.0
"""The picture of a watched frame: the image with poses, the best one's uncertainty, and the best grasp."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.estimation.overlay import SHIFT, draw_line, draw_overlay
from posegrasp_ros.estimation.uncertainty import image_ellipse
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.watch.watched_frame import WatchedFrame

# Blue, green, red.
GRASP_COLOUR, ELLIPSE_COLOUR = (200, 90, 230), (255, 255, 255)
LEAST_RADIUS_PX, MOST_RADIUS_PX = 1.0, 5000.0
SHOWN_GRASPS = 3
"""The best one in the picture, so many on the page."""
# As ASCII, which is all that OpenCV writes.
MOST_NOTE = 90


class WatchPicture:
    """Draws watched frames; the last picture is kept, for all that ask for it."""

    def __init__(self, mesh: Mesh, gripper: EndEffector | None):
        self._mesh, self._gripper = mesh, gripper
        self._last: tuple[WatchedFrame, np.ndarray | None] | None = None

    def __call__(self, watched: WatchedFrame) -> np.ndarray | None:
        """See :func:`draw_watched`; not to be modified."""
        last = self._last
        if last is None or last[0] is not watched:
            last = self._last = watched, draw_watched(watched, self._mesh, self._gripper)
        return last[1]


def draw_watched(watched: WatchedFrame, mesh: Mesh, gripper: EndEffector | None) -> np.ndarray | None:
    """The picture; None for a frame whose image cannot be decoded.

    :param gripper: of the grasps
    :return: (H, W, 3) uint8 blue green red, a copy
    """
    image, camera = watched.frame.image, watched.frame.camera
    if image is None:
        return None
    note = watched.rejected.encode('ascii', 'replace').decode()[:MOST_NOTE]
    if camera is None:
        height, width = image.shape[:2]
        return draw_overlay(image, Camera.from_field_of_view(width, height, 1.0), mesh, (), note)
    canvas = draw_overlay(image, camera, mesh, watched.poses, note)
    thickness = max(1, round(image.shape[1] / 480))
    if watched.poses:
        _draw_ellipse(canvas, watched, mesh, camera)
    if gripper is not None:
        for grasp in watched.grasps[:1]:
            outline = transform_points(watched.camera_from_tcp(grasp), gripper.outline(grasp.opening_m))
            ends = camera.project(outline)
            for start, end in zip(ends[::2], ends[1::2]):
                draw_line(canvas, start, end, GRASP_COLOUR, thickness)
    return canvas


def _draw_ellipse(canvas: np.ndarray, watched: WatchedFrame, mesh: Mesh, camera: Camera) -> None:
    ellipse = image_ellipse(watched.poses[0], mesh, camera)
    if ellipse is None or not ellipse.radii.max() < MOST_RADIUS_PX or np.abs(ellipse.centre).max() > 1e5:
        return
    (u, v), (a, b) = (np.rint(values * 2**SHIFT).astype(int).tolist()
                      for values in (ellipse.centre, np.maximum(ellipse.radii, LEAST_RADIUS_PX)))
    cv2.ellipse(canvas, (u, v), (a, b), float(np.degrees(ellipse.angle_rad)), 0, 360, ELLIPSE_COLOUR, 1,
                cv2.LINE_AA, SHIFT)
