"""Intrinsics: which camera_info belongs to which image, and whether it is worth waiting for."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from posegrasp_ros.camera import Camera, CameraError
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.ros.reporting import Refusal

# How long an image waits for the camera_info of its own stamp.
WAIT_S = 0.05
# After so many images in a row without one, the camera is taken to stamp its camera_info in a way of its own.
MOST_IN_VAIN = 3
KEPT = 100


class Intrinsics:
    """Gives an image the camera_info of its own stamp, else the last that came.

    Recordings and drivers may send an image before its camera_info, and a zoom changes the intrinsics from image
    to image, so a moment's wait for the right one pays. A camera whose camera_info carries other stamps is known
    after :data:`MOST_IN_VAIN` images and then costs no wait, until a camera_info comes with its image after all.

    :param topic: of the camera_info, for messages to a person
    """

    def __init__(self, topic: str):
        self._topic = topic
        self._cameras: dict[int, Camera | CameraError] = {}
        self._last: Camera | CameraError | None = None
        self._stated: tuple | None = None
        self._in_vain = 0
        # Stamp and arrival of the last image that had to do with another's camera_info.
        self._unpaired = (-1, 0)

    def add(self, message: CameraInfo, received_ns: int) -> CameraError | None:
        """Keep a camera_info; what is wrong with it, unless the one before stated the same.

        :param received_ns: when it came, on the clock of :meth:`of`
        """
        stamp, news = stamp_ns(message.header.stamp), None
        stated = (message.width, message.height, message.distortion_model, tuple(message.k), tuple(message.d))
        if stated != self._stated:
            self._stated = stated
            try:
                self._last = Camera.from_info(message)
            except CameraError as error:
                self._last = news = error
        self._cameras[stamp] = self._last
        if len(self._cameras) > KEPT:
            del self._cameras[next(iter(self._cameras))]
        if stamp == self._unpaired[0] and received_ns - self._unpaired[1] < 1e9 * WAIT_S:
            self._in_vain = 0
        return news

    def is_worth_a_wait(self, stamp: int) -> bool:
        """Whether the camera_info of an image's stamp is missing and may yet come."""
        return stamp not in self._cameras and self._in_vain < MOST_IN_VAIN

    def of(self, stamp: int, received_ns: int) -> Camera:
        """The camera of an image; to be asked once for each.

        :param received_ns: when the image came
        :raises Refusal: when there is no camera_info, or a wrong one
        """
        if stamp in self._cameras:
            self._in_vain = 0
        else:
            # Before the first camera_info nothing is known of its stamps.
            self._in_vain += self._last is not None
            self._unpaired = stamp, received_ns
        camera = self._cameras.get(stamp, self._last)
        if camera is None:
            raise Refusal('no_camera_info', f'no message on {self._topic} yet: images cannot be used without the '
                                            'intrinsics')
        if isinstance(camera, CameraError):
            raise Refusal('bad_camera_info', str(camera))
        return camera
