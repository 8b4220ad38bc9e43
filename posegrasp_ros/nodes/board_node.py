# SPDX-License-Identifier: Apache-2.0
"""Board node: camera images in, the true pose of an object that stands on its printed board out.

For a camera or a board that moves while perception is measured: the monitor takes ``ground_truth`` as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from std_msgs.msg import Header

from posegrasp_ros.board.board_file import load_board, scale_warning
from posegrasp_ros.board.left_out import LeftOut
from posegrasp_ros.board.object_truth import TruthFinder
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import to_header
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.paired_images import PairedImages
from posegrasp_ros.ros.parameters import ParameterError, parameter

SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class BoardParameters:
    """Parameters of the board node; changes take effect at the next configure."""

    board: str = parameter(
        '', 'The board.yaml that posegrasp board wrote, with the length of the printed ruler.', check=load_board)
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
        self._images = PairedImages(self, self.parameters.rectified, self.on_frame)
        self._truths_out = self.publisher(PoseWithCovarianceStamped, 'ground_truth', qos.RESULT)
        self.tell(lambda: {'images': str(self.left_out.frames), 'left_out': str(self.left_out.total)})

    def activate(self) -> None:
        self._images.subscribe()
        self.every(SAY_EVERY_S, self.say_left_out)

    def deactivate(self) -> None:
        self._images.forget()
        self.say_left_out()

    def say_left_out(self) -> None:
        """Log how many images were left out so far and why, when there are new ones."""
        if self.left_out.total > self._said:
            self._said = self.left_out.total
            for line in self.left_out.lines():
                self.get_logger().warning(line)

    def on_frame(self, header: Header, frame: BagFrame) -> None:
        """Find the board."""
        self.left_out.frames += 1
        if frame.reason:
            self.left_out.add(frame.reason, frame.problem)
            return
        try:
            truth = self._finder.find(*frame.view())
        except NotSeen as error:
            self.left_out.add(error.reason, str(error))
            return
        told = to_header(frame.stamp_ns, self.parameters.camera_frame or header.frame_id)
        self._truths_out.publish(messages.pose_with_covariance(told, truth.camera_from_object, truth.covariance))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(BoardNode, arguments)
