"""JoinedCamera: the camera of one image as its CameraInfo states it; one rule for nodes and recordings."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import ImageSizeError, StatedCamera


class UnusableCameraError(CameraError):
    """An image without usable intrinsics.

    :param reason: the report's short word: ``no_camera_info``, ``bad_camera_info`` or ``size_mismatch``
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class JoinedCamera(NamedTuple):
    """What was stated about the camera of one image.

    :param stated: what the CameraInfo that belongs to the image says, what is wrong with it, or None without one
    :param is_rectified: whether the image is rectified; None where nothing tells
    :param frame_id: that the image names
    :param image_topic: and
    :param info_topic: for messages; empty where not known
    """

    stated: StatedCamera | CameraError | None
    is_rectified: bool | None = None
    frame_id: str = ''
    image_topic: str = ''
    info_topic: str = ''

    def of_image(self, width: int, height: int) -> Camera:
        """The camera of an image of this size.

        :raises UnusableCameraError: when there is no CameraInfo, a wrong one, or one of images of another size
        """
        stated = self.stated
        if stated is None:
            where = f' on {self.info_topic}' if self.info_topic else ''
            raise UnusableCameraError('no_camera_info', f'no camera_info{where} up to this image, which cannot be '
                                                        'used without its intrinsics')
        if isinstance(stated, CameraError):
            raise self._unusable(stated)
        try:
            return stated.of_image(width, height, self.is_rectified)
        except ImageSizeError as error:
            raise UnusableCameraError('size_mismatch', str(error)) from error
        except CameraError as error:
            raise self._unusable(error) from error

    @property
    def warning(self) -> str:
        """What a person should know before trusting poses in the image, one line; empty for nothing."""
        if not isinstance(self.stated, StatedCamera):
            return ''
        remarks = [self.stated.remark(self.is_rectified, self.image_topic)]
        if self.stated.frame_id and self.frame_id and self.stated.frame_id != self.frame_id:
            remarks.append(f'{self.info_topic} is of the frame {self.stated.frame_id!r}, the images are of '
                           f'{self.frame_id!r}: is it that of another camera?')
        return '; '.join(filter(None, remarks))

    def _unusable(self, error: CameraError) -> UnusableCameraError:
        text, topic = str(error), self.info_topic
        return UnusableCameraError(
            'bad_camera_info', text if not topic or text.startswith(topic) else f'{topic}: {text}')
