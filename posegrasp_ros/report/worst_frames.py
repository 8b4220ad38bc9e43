# SPDX-License-Identifier: Apache-2.0
"""WorstFrames: the frames with the largest errors as small images with estimate and truth drawn in."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.overlay import CORNER_SIGNS, draw_axes, draw_box
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

# Frames this close together are similar: only the worst of them is kept.
BLOCK_NS = 1_000_000_000
WIDTH, HEIGHT = 480, 360
JPEG_QUALITY = 80
# BGR; the same colours as in the page's legend.
TRUTH_COLOUR, ESTIMATE_COLOUR = (108, 194, 39), (46, 135, 240)
# The crop is larger than estimate and truth by this factor, and at least this share of the image.
MARGIN, LEAST_SHARE = 1.8, 0.3
# Poses farther than this outside of the image, relative to its width, are ignored for the crop.
FAR = 0.5


@dataclass(frozen=True)
class _Picture:
    """A drawn frame."""

    rank: tuple[float, int]
    caption: str
    jpeg: bytes


class WorstFrames:
    """Keeps the worst frames of a run in bounded memory, at most one per second; draws only frames it keeps.

    The result does not depend on the order of the frames.

    :param most: number of frames to keep
    """

    def __init__(self, most: int = 6):
        self._most = most
        self._kept: dict[tuple[str, int], _Picture] = {}

    def consider(self, frame: BagFrame, estimation: Estimation, mesh: Mesh, error: float, caption: str = '',
                 bag: str = '') -> None:
        """Keep a frame if it is among the worst.

        :param mesh: of the object that is drawn
        :param error: larger is worse; infinite where nothing was found; frames with NaN are ignored
        :param caption: shown below the picture
        :param bag: recording and object, to distinguish those with the same stamps
        """
        if frame.image is None or not self.wants(frame.stamp_ns, error, bag):
            return
        drawn = draw_comparison(frame, estimation, mesh)
        done, jpeg = cv2.imencode('.jpg', drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise RuntimeError('OpenCV cannot encode JPEG')
        self._kept[_place(bag, frame.stamp_ns)] = _Picture(_rank(error, frame.stamp_ns), caption, jpeg.tobytes())
        if len(self._kept) > self._most:
            del self._kept[max(self._kept, key=lambda place: self._kept[place].rank)]

    def wants(self, stamp_ns: int, error: float, bag: str = '') -> bool:
        """Whether a frame would be kept; allows to skip decoding other frames."""
        if np.isnan(error):
            return False
        place, rank = _place(bag, stamp_ns), _rank(error, stamp_ns)
        if place in self._kept:
            return rank < self._kept[place].rank
        return len(self._kept) < self._most or rank < max(each.rank for each in self._kept.values())

    def pictures(self) -> list[dict[str, str]]:
        """The pictures, worst first: {caption, data_uri}."""
        kept = sorted(self._kept.values(), key=lambda picture: picture.rank)
        return [{'caption': each.caption, 'data_uri': f'data:image/jpeg;base64,{b64encode(each.jpeg).decode()}'}
                for each in kept]


def _place(bag: str, stamp_ns: int) -> tuple[str, int]:
    """Key of the recording and second; only the worst frame of each is kept."""
    return bag, stamp_ns // BLOCK_NS


def _rank(error: float, stamp_ns: int) -> tuple[float, int]:
    """Sort key: worst first, equal errors by stamp."""
    return -float(error), stamp_ns


def draw_comparison(frame: BagFrame, estimation: Estimation, mesh: Mesh) -> np.ndarray:
    """Crop of a frame around truth and best estimate, with both drawn in.

    :param frame: with an image
    :return: (:data:`HEIGHT`, :data:`WIDTH`, 3) uint8 BGR
    """
    image = np.asarray(frame.image)
    poses = [(truth, TRUTH_COLOUR) for truth in frame.truths]
    if estimation.poses:
        poses.append((estimation.poses[0].camera_from_object, ESTIMATE_COLOUR))
    camera = frame.camera or Camera.from_field_of_view(image.shape[1], image.shape[0], 1.0)
    centre, span = _region(camera, [pose for pose, _ in poses], mesh)
    # Draw on the whole enlarged image: a Camera must contain its principal point, so it cannot model a crop.
    camera = camera.resized(*(max(round(size * HEIGHT / span), 1) for size in (camera.width, camera.height)))
    canvas = cv2.resize(image, (camera.width, camera.height),
                        interpolation=cv2.INTER_AREA if span > HEIGHT else cv2.INTER_LINEAR)
    for pose, colour in poses if frame.camera else ():
        if np.isfinite(pose).all():
            draw_box(canvas, camera, mesh, pose, colour, 2)
            draw_axes(canvas, camera, pose, 0.4 * float(mesh.extents.max()), 1 if colour == TRUTH_COLOUR else 2)
    return _cut(canvas, centre * HEIGHT / span)


def _cut(canvas: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Crop around a pixel (u, v), shifted to stay inside a large enough canvas, else centred on black."""
    size, full = np.array([WIDTH, HEIGHT]), np.array(canvas.shape[1::-1])
    corner = np.where(full > size, np.clip(centre - size / 2, 0, np.maximum(full - size, 0)), (full - size) / 2)
    u, v = np.rint(corner)
    return cv2.warpAffine(canvas, np.array([[1, 0, -u], [0, 1, -v]]), (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST)


def _region(camera: Camera, poses: list[np.ndarray], mesh: Mesh) -> tuple[np.ndarray, float]:
    """Centre (u, v) and height of the crop, pixels; the whole image where no pose is in view."""
    middle = np.array([camera.width - 1, camera.height - 1]) / 2
    whole = max(camera.height, camera.width * HEIGHT / WIDTH)
    corners = mesh.centre + CORNER_SIGNS * mesh.extents / 2
    seen = [camera.project(transform_points(pose, corners)) for pose in poses if np.isfinite(pose).all()]
    seen = [pixels for pixels in seen if np.isfinite(pixels).all()
            and np.abs(pixels - middle).max() < (0.5 + FAR) * camera.width]
    if not seen:
        return middle, whole
    low, high = np.min(np.vstack(seen), axis=0), np.max(np.vstack(seen), axis=0)
    span = MARGIN * max(high[1] - low[1], (high[0] - low[0]) * HEIGHT / WIDTH)
    return (low + high) / 2, float(np.clip(span, LEAST_SHARE * whole, whole))
