# SPDX-License-Identifier: Apache-2.0
"""FramePictures: frames of a run as small images with estimate and truth drawn in, the worst and a sample."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import cv2
import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.overlay import CORNER_SIGNS, Boxed, draw_axes, draw_box
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import transform_points

# Frames this close together are similar: only the worst of them is kept as such.
BLOCK_NS = 1_000_000_000
WIDTH, HEIGHT = 400, 300
JPEG_QUALITY = 75
# Numbers of pictures: of poses with the largest errors, of the least sure poses where no truth is known, of frames
# without a pose for each reason, and of any frames with a pose.
MOST_WORST, MOST_UNSURE, MOST_UNANSWERED, MOST_SAMPLED = 64, 32, 36, 48
# Estimators name reasons as they like; those with the same remainder share their number of pictures.
REASON_GROUPS = 16
MOST_BYTES = 3_500_000
"""Of all pictures; beyond it those of frames without a pose are left out first."""
# BGR; the same colours as in the page's legend.
TRUTH_COLOUR, ESTIMATE_COLOUR = (108, 194, 39), (46, 135, 240)
# The crop is larger than estimate and truth by this factor, and at least this share of the image.
MARGIN, LEAST_SHARE = 1.8, 0.3
# Poses farther than this outside of the image, relative to its width, are ignored for the crop.
FAR = 0.5


class Shown(NamedTuple):
    """A frame that may be shown.

    :param stamp_ns: as in the run's metrics
    :param object: name of the object in question
    :param error: larger is worse; NaN where it is not known, infinite without a pose
    :param reason: why there is no pose; empty with one
    :param score: of the pose; NaN without one
    """

    stamp_ns: int
    object: str = ''
    error: float = math.nan
    reason: str = ''
    score: float = math.nan


@dataclass(frozen=True)
class UnknownShape:
    """An object of which only the size is known: its axes are drawn, and no box."""

    diameter_m: float

    @property
    def centre(self) -> np.ndarray:
        """(3,) the origin."""
        return np.zeros(3)

    @property
    def extents(self) -> np.ndarray:
        """(3,) of a cube of this diameter."""
        return np.full(3, self.diameter_m / math.sqrt(3.0))


@dataclass
class _Group:
    """The frames of one kind with the smallest ranks.

    :param block_ns: only the first of the frames of so long a time is kept
    """

    most: int
    block_ns: int = 1
    kept: dict[tuple[int, str], tuple[tuple[float, int], Shown]] = field(default_factory=dict)

    def wants(self, shown: Shown, rank: float) -> bool:
        place, key = (shown.stamp_ns // self.block_ns, shown.object), (rank, shown.stamp_ns)
        if place in self.kept:
            return key < self.kept[place][0]
        return len(self.kept) < self.most or key < max(each for each, _ in self.kept.values())

    def take(self, shown: Shown, rank: float) -> None:
        self.kept[shown.stamp_ns // self.block_ns, shown.object] = (rank, shown.stamp_ns), shown
        if len(self.kept) > self.most:
            del self.kept[max(self.kept, key=lambda place: self.kept[place][0])]


class FramePictures:
    """Keeps pictures of the worst frames and of a sample of all in bounded memory; draws only frames it keeps.

    The result does not depend on the order of the frames.

    :param share: of the usual numbers of pictures
    """

    def __init__(self, share: float = 1.0):
        def of(most: int) -> int:
            return max(round(share * most), 1)

        self._worst, self._unsure, self._sample = (
            _Group(of(MOST_WORST), BLOCK_NS), _Group(of(MOST_UNSURE), BLOCK_NS), _Group(of(MOST_SAMPLED)))
        self._unanswered = [_Group(of(MOST_UNANSWERED)) for _ in range(REASON_GROUPS)]
        self._jpegs: dict[tuple[int, str], bytes] = {}

    def wants(self, shown: Shown) -> bool:
        """Whether a frame would be kept; allows to skip decoding other frames."""
        return any(group.wants(shown, rank) for group, rank in self._groups(shown))

    def consider(self, shown: Shown, frame: BagFrame, estimation: Estimation, mesh: Boxed) -> None:
        """Keep a frame if it is among the worst, or in the sample.

        :param frame: with the ground truths of the object in question
        :param mesh: of the object
        """
        if frame.image is None or not self.wants(shown):
            return
        done, jpeg = cv2.imencode('.jpg', draw_comparison(frame, estimation, mesh),
                                  [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise RuntimeError('OpenCV cannot encode JPEG')
        self.reserve(shown)
        self._jpegs[shown.stamp_ns, shown.object] = jpeg.tobytes()
        kept = self.kept_keys()
        self._jpegs = {key: each for key, each in self._jpegs.items() if key in kept}

    def reserve(self, shown: Shown) -> bool:
        """Note a frame without drawing it, to find out first which ones are to be drawn.

        :return: whether it is kept so far
        """
        wanting = [(group, rank) for group, rank in self._groups(shown) if group.wants(shown, rank)]
        for group, rank in wanting:
            group.take(shown, rank)
        return bool(wanting)

    def kept_keys(self) -> set[tuple[int, str]]:
        """Stamp and object of the frames that are kept."""
        return {(each.stamp_ns, each.object) for each in self._kept()}

    def pictures(self) -> list[dict[str, Any]]:
        """The pictures in order of time: {stamp_ns, object, data_uri}, the stamp as in the run's metrics."""
        groups = (self._worst, self._unsure, self._sample, *self._unanswered)
        kept, left = {}, MOST_BYTES
        for shown in (shown for group in groups for _, shown in sorted(group.kept.values())):
            key = shown.stamp_ns, shown.object
            if key in self._jpegs and key not in kept and len(self._jpegs[key]) <= left:
                kept[key] = self._jpegs[key]
                left -= len(kept[key])
        return [{'stamp_ns': stamp_ns, 'object': name, 'data_uri': jpeg_address(jpeg)}
                for (stamp_ns, name), jpeg in sorted(kept.items())]

    def _groups(self, shown: Shown) -> Iterator[tuple[_Group, float]]:
        """The groups that a frame belongs to, each with its rank there: small ones are kept."""
        if shown.reason:
            yield self._unanswered[crc32(shown.reason.encode()) % REASON_GROUPS], _chance(shown)
            return
        yield self._sample, _chance(shown)
        if not math.isnan(shown.error):
            yield self._worst, -shown.error
        elif not math.isnan(shown.score):
            yield self._unsure, shown.score

    def _kept(self) -> Iterator[Shown]:
        for group in (self._worst, self._unsure, self._sample, *self._unanswered):
            yield from (shown for _, shown in group.kept.values())


def jpeg_address(jpeg: bytes) -> str:
    """A picture as the address of an image in a page."""
    return f'data:image/jpeg;base64,{b64encode(jpeg).decode()}'


def _chance(shown: Shown) -> float:
    """A number that looks random but is always the same for a frame."""
    return float(crc32(f'{shown.stamp_ns} {shown.object}'.encode()))


def draw_comparison(frame: BagFrame, estimation: Estimation, mesh: Boxed) -> np.ndarray:
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
            if not isinstance(mesh, UnknownShape):
                draw_box(canvas, camera, mesh, pose, colour, 2)
            draw_axes(canvas, camera, pose, 0.4 * float(mesh.extents.max()), 1 if colour == TRUTH_COLOUR else 2)
    return _cut(canvas, centre * HEIGHT / span)


def _cut(canvas: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Crop around a pixel (u, v), shifted to stay inside a large enough canvas, else centred on black."""
    size, full = np.array([WIDTH, HEIGHT]), np.array(canvas.shape[1::-1])
    corner = np.where(full > size, np.clip(centre - size / 2, 0, np.maximum(full - size, 0)), (full - size) / 2)
    u, v = np.rint(corner)
    return cv2.warpAffine(canvas, np.array([[1, 0, -u], [0, 1, -v]]), (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST)


def _region(camera: Camera, poses: list[np.ndarray], mesh: Boxed) -> tuple[np.ndarray, float]:
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
