# SPDX-License-Identifier: Apache-2.0
"""JoinedCamera: the camera of one image from its matched CameraInfo; one rule for nodes and recordings."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import ImageSizeError, StatedCamera


class UnusableCameraError(CameraError):
    """An image without usable intrinsics.

    :param reason: reason word of the report: ``no_camera_info``, ``bad_camera_info`` or ``size_mismatch``
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class JoinedCamera(NamedTuple):
    """The CameraInfo of one image.

    :param stated: the camera from the matched CameraInfo, the error of this CameraInfo, or None without one
    :param is_rectified: whether the image is rectified; None if unknown
    :param frame_id: of the image
    :param image_topic: for messages; empty if not known
    :param info_topic: for messages; empty if not known
    """

    stated: StatedCamera | CameraError | None
    is_rectified: bool | None = None
    frame_id: str = ''
    image_topic: str = ''
    info_topic: str = ''

    def of_image(self, width: int, height: int) -> Camera:
        """The camera of an image of this size.

        :raises UnusableCameraError: when there is no CameraInfo, it is invalid, or it is for another image size
        """
        stated = self.stated
        if stated is None:
            where = f' on {self.info_topic}' if self.info_topic else ''
            raise UnusableCameraError('no_camera_info', f'no camera_info{where} was received up to this image, '
                                                        'which cannot be used without its intrinsics')
        if isinstance(stated, CameraError):
            raise self._unusable(stated)
        try:
            return stated.of_image(width, height, self.is_rectified)
        except ImageSizeError as error:
            raise UnusableCameraError('size_mismatch', str(error)) from error
        except CameraError as error:
            raise self._unusable(error) from error

    def of_its_image(self) -> Camera:
        """The camera of an image that is not looked at, which counts as of the stated size.

        :raises UnusableCameraError: when there is no CameraInfo, or it is invalid
        """
        width, height = (self.stated.raw.width, self.stated.raw.height) if isinstance(
            self.stated, StatedCamera) else (0, 0)
        return self.of_image(width, height)

    @property
    def warning(self) -> str:
        """One-line warning about settings that may make the image's poses wrong; empty if there is none."""
        if not isinstance(self.stated, StatedCamera):
            return ''
        remarks = [self.stated.remark(self.is_rectified, self.image_topic)]
        if self.stated.frame_id and self.frame_id and self.stated.frame_id != self.frame_id:
            remarks.append(f'{self.info_topic} has the frame {self.stated.frame_id!r}, the images have '
                           f'{self.frame_id!r}: is it that of another camera?')
        return '; '.join(filter(None, remarks))

    def _unusable(self, error: CameraError) -> UnusableCameraError:
        text, topic = str(error), self.info_topic
        return UnusableCameraError(
            'bad_camera_info', text if not topic or text.startswith(topic) else f'{topic}: {text}')
