# SPDX-License-Identifier: Apache-2.0
"""BagFrame: an image with its camera, poses and depth, live or recorded; PackedFrame: the same before decoding."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.sensing.depth_buffer import check_frames
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.sensing.images import ImageError
from posegrasp_ros.sensing.joined_camera import JoinedCamera, UnusableCameraError
from posegrasp_ros.sensing.packed_image import PackedImage, registered_depth


@dataclass(frozen=True)
class BagFrame:
    """One image with its camera, poses and depth, from a recording or from a node's topics.

    :param image: (H, W, 3) uint8 blue green red; None when it cannot be decoded
    :param camera: None when there is no usable camera_info
    :param camera_from_object: (4, 4) ground truth of the image, or None
    :param base_from_camera: (4, 4) from /tf, or None
    :param reason: why it cannot be used (``bad_image``, ``no_camera_info``, ``bad_camera_info``,
        ``size_mismatch``), else empty
    :param problem: the reason as a readable line
    :param other_objects: (4, 4) ground truths of further instances of the object
    :param decode_ms: time to decode image and depth
    :param depth_m: (H, W) float32 metres registered to the image, NaN where unknown; None without a depth camera
    :param warning: one line on missing or doubtful data of a usable frame; empty if there is none
    :param named_truths: by object its ground truths, where there are several objects
    :param truth_covariances: (6, 6) or None of each of :attr:`truths`; empty where none is known
    :param visible_share: visible pixels of the object by those that it would have alone in an image without
        borders (BOP's ``visib_fract``), of several instances the largest; None where it is not known
    :param named_visible_shares: by object the same, where there are several objects
    :param camera_from_frames: (4, 4) by tf frame, of those that were asked for and are connected with the camera's
    """

    stamp_ns: int
    image: np.ndarray | None
    camera: Camera | None
    camera_from_object: np.ndarray | None = None
    base_from_camera: np.ndarray | None = None
    reason: str = ''
    problem: str = ''
    decode_ms: float = 0.0
    other_objects: tuple[np.ndarray, ...] = ()
    depth_m: np.ndarray | None = None
    warning: str = ''
    named_truths: Mapping[str, tuple[TruePose, ...]] = field(default_factory=dict)
    truth_covariances: tuple[np.ndarray | None, ...] = ()
    visible_share: float | None = None
    named_visible_shares: Mapping[str, float] = field(default_factory=dict)
    camera_from_frames: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def truths(self) -> tuple[np.ndarray, ...]:
        """(4, 4) ground truths of all instances."""
        return () if self.camera_from_object is None else (self.camera_from_object, *self.other_objects)

    @property
    def true_poses(self) -> tuple[TruePose, ...]:
        """Ground truths of all instances, with what is known of their errors."""
        return tuple(map(TruePose, self.truths, self.truth_covariances or len(self.truths) * (None,)))

    @property
    def states_truth_covariance(self) -> bool:
        """Whether the covariance of a ground truth of any object is known."""
        named = (truth.covariance for truths in self.named_truths.values() for truth in truths)
        return any(covariance is not None for covariance in (*self.truth_covariances, *named))

    def with_truths(self, truths: Sequence[TruePose]) -> BagFrame:
        """The frame with these ground truths."""
        poses = [truth.pose for truth in truths]
        return replace(self, camera_from_object=poses[0] if poses else None, other_objects=tuple(poses[1:]),
                       truth_covariances=tuple(truth.covariance for truth in truths))

    def with_camera(self, camera: ImageCamera) -> BagFrame:
        """The frame with a camera that is stated for its image; with the reason where it is of another shape."""
        if self.image is None:
            return self
        height, width = self.image.shape[:2]
        try:
            return replace(self, camera=camera.of_image(width, height), reason='', problem='')
        except UnusableCameraError as error:
            return replace(self, camera=None, reason=error.reason, problem=str(error))

    def view(self) -> tuple[np.ndarray, Camera]:
        """Image and camera.

        :raises ValueError: for a frame that cannot be used
        """
        if self.image is None or self.camera is None:
            raise ValueError(f'expected a frame with image and camera, got none: {self.problem}')
        return self.image, self.camera


class Undecoded(Protocol):
    """A frame with its image still encoded, small enough to be sent to another process."""

    @property
    def stamp_ns(self) -> int:
        """Of the image."""

    @property
    def scene(self) -> int | None:
        """Number of its scene; None if only the order is known."""

    @property
    def number(self) -> int | None:
        """Number of the image in its scene; None if only the order is known."""

    def decode(self) -> BagFrame:
        """The frame; if it cannot be used, with the reason."""


class PackedFrame(NamedTuple):
    """A frame before its image is decoded: the matched messages of a recording or of a node's topics.

    :param image: the message, or the error when reading it
    :param camera: of the image, from its CameraInfo
    :param truths: ground truths, in the camera's frame
    :param depth: the nearest depth message, or None
    :param named_truths: by object its ground truths, where there are several objects
    :param visible_shares: by object, '' is the only one, how much of it is visible, as far as that is known
    :param camera_from_frames: see :class:`BagFrame`
    """

    stamp_ns: int
    image: PackedImage | Exception
    camera: JoinedCamera = JoinedCamera(None)
    truths: tuple[TruePose, ...] = ()
    base_from_camera: np.ndarray | None = None
    depth: PackedImage | None = None
    scene: int | None = None
    number: int | None = None
    named_truths: Mapping[str, tuple[TruePose, ...]] = {}
    visible_shares: Mapping[str, float] = {}
    camera_from_frames: Mapping[str, np.ndarray] = {}

    def without_image(self) -> BagFrame:
        """The frame with all but image and depth; its camera is None where there is no usable one."""
        frame = BagFrame(self.stamp_ns, None, None, base_from_camera=self.base_from_camera,
                         named_truths=self.named_truths, visible_share=self.visible_shares.get(''),
                         named_visible_shares=self.visible_shares,
                         camera_from_frames=self.camera_from_frames).with_truths(self.truths)
        try:
            return replace(frame, camera=self.camera.of_its_image(), warning=self.camera.warning)
        except UnusableCameraError:
            return frame

    def decode(self) -> BagFrame:
        """Decode image and depth; a frame that cannot be used states the reason."""
        frame = replace(self.without_image(), camera=None, warning='')
        if isinstance(self.image, Exception):
            return replace(frame, reason='bad_image', problem=str(self.image))
        start = time.perf_counter()
        try:
            image = self.image.decode()
        except ImageError as error:
            return replace(frame, reason='bad_image', problem=str(error))
        frame = replace(frame, image=image, decode_ms=(time.perf_counter() - start) * 1e3)
        height, width = image.shape[:2]
        return self._with_depth(self._with_camera(frame, width, height), self.image.frame_id)

    def _with_camera(self, frame: BagFrame, width: int, height: int) -> BagFrame:
        """The frame with its intrinsics, or with the reason why they are missing."""
        try:
            camera = self.camera.of_image(width, height)
        except UnusableCameraError as error:
            return replace(frame, reason=error.reason, problem=str(error))
        return replace(frame, camera=camera, warning=self.camera.warning)

    def _with_depth(self, frame: BagFrame, frame_id: str) -> BagFrame:
        """The frame with its depth, or with a warning if depth is not usable."""
        if self.depth is None or frame.camera is None:
            return frame
        start = time.perf_counter()
        try:
            check_frames(self.depth.frame_id, frame_id)
            depth_m = registered_depth(self.depth, frame.camera.width, frame.camera.height)
        except ImageError as error:
            return replace(frame, warning='; '.join(filter(None, [frame.warning, f'depth is ignored: {error}'])))
        return replace(frame, depth_m=depth_m, decode_ms=frame.decode_ms + (time.perf_counter() - start) * 1e3)
