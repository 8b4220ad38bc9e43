"""Board node: camera images in, the true pose of an object that stands on its printed board out.

For a camera or a board that moves while perception is measured: the monitor takes ``ground_truth`` as it comes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from posegrasp_ros.board.board_file import load_board, scale_warning
from posegrasp_ros.board.left_out import LeftOut
from posegrasp_ros.board.object_truth import TruthFinder
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.frame import PackedFrame
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.intrinsics import WAIT_S, Intrinsics
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns, to_header
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.parameters import ParameterError, parameter
from posegrasp_ros.sensing.packed_image import PackedImage

SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class BoardParameters:
    """Parameters of the board node; changes take effect at the next configure."""

    board: str = parameter('', 'The board.yaml that posegrasp board wrote, with the length of the printed ruler.')
    rectified: str = parameter(
        'auto', 'Whether the images are rectified, so that P of camera_info counts for them and K and D do not. '
        'auto: as the names of topic and frame tell, image_rect or image_raw.', choices=RECTIFIED)
    camera_frame: str = parameter('', 'Frame of the poses. Empty: the frame that the image names.')


class BoardNode(AutostartLifecycleNode):
    """Wires the finder of a board to the camera's topics."""

    PARAMETERS = BoardParameters
    parameters: BoardParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('board', **options)

    def configure(self) -> None:
        path = Path(self.parameters.board)
        if not self.parameters.board:
            raise ParameterError('parameter board: expected the file that posegrasp board wrote, got nothing')
        printed = load_board(path)
        if warning := scale_warning(path, printed):
            self.say_once(warning, warn=True)
        self._finder, self.left_out, self._said = TruthFinder(printed), LeftOut(), 0
        self._intrinsics = Intrinsics(self.resolve_topic_name('camera_info'), self.resolve_topic_name('image'),
                                      self.parameters.rectified)
        self._pending: tuple[Image | CompressedImage, int] | None = None
        self._waited = 0
        self._truths_out = self.publisher(PoseWithCovarianceStamped, 'ground_truth', qos.RESULT)
        self.tell(lambda: {'images': str(self.left_out.frames), 'left_out': str(self.left_out.total)})

    def activate(self) -> None:
        # Subscribed before the image: of messages that are ready together, the executor takes these first.
        self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.SENSOR)
        self.subscribe_sensor(messages.IMAGES, 'image', self.on_image, qos.NEWEST)
        self._patience = self.every(WAIT_S / 2, self.check_pending)
        self._patience.cancel()
        self.every(SAY_EVERY_S, self.say_left_out)

    def deactivate(self) -> None:
        self._pending = None
        self.say_left_out()

    def on_camera_info(self, message: CameraInfo) -> None:
        """Store the intrinsics, and answer an image that waited for them."""
        error = self._intrinsics.add(message, time.time_ns())
        if error:
            self.get_logger().error(str(error))
        self._answer_if_complete()

    def on_image(self, message: Image | CompressedImage) -> None:
        """Find the board, at once or when the image's camera_info has arrived."""
        self._answer_pending()
        self._pending, self._waited = (message, time.time_ns()), 0
        self._patience.reset()
        self._answer_if_complete()

    def check_pending(self) -> None:
        """Stop waiting after two periods: the executor takes a timer before messages that are ready."""
        self._waited += 1
        self._answer_if_complete()

    def say_left_out(self) -> None:
        """Log how many images were left out so far and why, when there are new ones."""
        if self.left_out.total > self._said:
            self._said = self.left_out.total
            for line in self.left_out.lines():
                self.get_logger().warning(line)

    def _answer_if_complete(self) -> None:
        if self._pending:
            stamp = stamp_ns(self._pending[0].header.stamp)
            if self._waited > 1 or not self._intrinsics.may_come(stamp):
                self._answer_pending()

    def _answer_pending(self) -> None:
        pending, self._pending = self._pending, None
        self._patience.cancel()
        if pending:
            self._answer(*pending)

    def _answer(self, message: Image | CompressedImage, received_ns: int) -> None:
        stamp, frame_id = stamp_ns(message.header.stamp), message.header.frame_id
        camera = self._intrinsics.of(stamp, received_ns, frame_id)
        frame = PackedFrame(stamp, PackedImage.of(message), camera).decode()
        if frame.warning:
            self.say_once(frame.warning, warn=True)
        self.left_out.frames += 1
        if frame.reason:
            self.left_out.add(frame.reason, frame.problem)
            return
        try:
            truth = self._finder.find(*frame.view())
        except NotSeen as error:
            self.left_out.add(error.reason, str(error))
            return
        header = to_header(stamp, self.parameters.camera_frame or frame_id)
        self._truths_out.publish(messages.pose_with_covariance(header, truth.camera_from_object, truth.covariance))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(BoardNode, arguments)
