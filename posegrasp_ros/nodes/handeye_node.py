# SPDX-License-Identifier: Apache-2.0
"""Hand-eye node: takes samples on request while a person or a program moves the arm, and calibrates the camera.

``~/take_sample`` takes the newest image and says which motion is missing, ``~/compute`` calibrates and writes
the files of ``posegrasp handeye``, ``~/reset`` drops the samples. The arm's pose is that of TF at the image's
stamp, or of the topic ``arm_pose``, PoseStamped of the tool in the base frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.tf_buffer import FrameTree
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.calibrate import calibrate
from posegrasp_ros.handeye.calibration_file import mounted_camera
from posegrasp_ros.handeye.motions import HandEyeError, check_motions
from posegrasp_ros.handeye.sample import Mounting
from posegrasp_ros.handeye.taken_samples import TakenSamples, take_sample
from posegrasp_ros.handeye.targets.target_kinds import target_of
from posegrasp_ros.report.handeye_report import write_calibration
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns, to_stamp
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.optional import TransformListenerIfInstalled
from posegrasp_ros.ros.paired_images import PairedImages
from posegrasp_ros.ros.parameters import ParameterError, parameter
from posegrasp_ros.runtime.errors import InvalidInputError

Answer = Callable[[Trigger.Request, Trigger.Response], Trigger.Response]
MOUNTINGS = tuple(mounting.value for mounting in Mounting)
KEEP_NS = 10_000_000_000


@dataclass(frozen=True)
class HandEyeParameters:
    """Parameters of the hand-eye node; changes take effect at the next configure."""

    target: str = parameter(
        '', 'What the camera looks at, as posegrasp handeye --target takes it.', check=target_of)
    mounting: str = parameter('eye-in-hand', 'eye-in-hand: the arm carries the camera; eye-to-hand: the target.',
                              choices=MOUNTINGS)
    base_frame: str = parameter(BASE_FRAME, 'Of the arm in TF.')
    tool_frame: str = parameter('tool0', 'Of the arm in TF, the one that carries camera or target.')
    camera_frame: str = parameter('', 'Optical frame of the camera. Empty: the frame that the image names.')
    out: str = parameter('handeye', 'Folder to write.')
    rectified: str = parameter(
        'auto', 'Whether the images are rectified, so that P of camera_info is used instead of K and D. '
        'auto: from the names of topic and frame, image_rect or image_raw.', choices=RECTIFIED)


class HandEyeNode(AutostartLifecycleNode):
    """Wires the hand-eye calibration to the camera's and the arm's topics."""

    PARAMETERS = HandEyeParameters
    parameters: HandEyeParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('handeye', **options)

    def configure(self) -> None:
        if not self.parameters.target:
            raise ParameterError('parameter target: expected what the camera looks at, as posegrasp handeye '
                                 '--target takes it, got nothing')
        self._target = target_of(self.parameters.target)
        self._taken = TakenSamples(topic=self.resolve_topic_name('image'))
        self._newest: BagFrame | None = None
        self._tree, self._hears_arm = FrameTree(), False
        self._heard = ArmTrack.of_tree(self._tree, self.parameters.base_frame, self.parameters.tool_frame)
        self._track = ArmTrack(self._arm_at)
        self._transforms = TransformListenerIfInstalled(self)
        self._images = PairedImages(self, self.parameters.rectified, self.on_frame)
        self.tell(lambda: {'samples': str(len(self._taken.samples))})

    def activate(self) -> None:
        self._images.subscribe()
        self.subscribe(PoseStamped, 'arm_pose', self.on_arm_pose, qos.RESULT)
        self.serve(Trigger, '~/take_sample', self._answering(self.take_sample))
        self.serve(Trigger, '~/compute', self._answering(self.compute))
        self.serve(Trigger, '~/reset', self._answering(self.reset))

    def deactivate(self) -> None:
        self._images.forget()
        self._newest = None

    def cleanup(self) -> None:
        self._transforms.close()

    def on_frame(self, header: Header, frame: BagFrame) -> None:
        """Keep the newest image."""
        self._newest = frame
        self._taken.camera_frame = self.parameters.camera_frame or header.frame_id

    def on_arm_pose(self, message: PoseStamped) -> None:
        """Keep the arm's poses of the last seconds."""
        stamp = stamp_ns(message.header.stamp)
        self._hears_arm = True
        self._tree.add(self.parameters.base_frame, self.parameters.tool_frame,
                       messages.transform_from(message.pose), stamp)
        self._tree.forget_before(stamp - KEEP_NS)

    def take_sample(self) -> str:
        """Look at the newest image.

        :raises NotSeen: when it gives no sample
        """
        frame, self._newest = self._newest, None
        if frame is None:
            raise NotSeen('no_image', 'no image came since the last sample: wait for one, or look at the topics '
                                      'image and camera_info')
        if frame.reason:
            raise NotSeen(frame.reason, frame.problem)
        if self._taken.first_ns is None:
            self._taken.first_ns = frame.stamp_ns
        sample, picture = take_sample(frame, self._target, self._track)
        self._taken.samples.append(sample)
        self._taken.pictures.append(picture)
        text = f'sample {len(self._taken.samples)}'
        try:
            check_motions(self._taken.samples)
        except HandEyeError as error:
            return f'{text}; {error}'
        return f'{text}; the motions are sufficient, more of them make the calibration more accurate'

    def compute(self) -> str:
        """Calibrate and write all files.

        :raises InvalidInputError: when the samples do not determine it
        """
        chosen, taken = self.parameters, self._taken
        found = calibrate(taken.samples, Mounting(chosen.mounting))
        frames = chosen.base_frame, chosen.tool_frame, taken.camera_frame or 'camera_optical_frame'
        return write_calibration(Path(chosen.out), found, mounted_camera(found, frames, str(self._target)), taken)

    def reset(self) -> str:
        """Drop all samples."""
        count = len(self._taken.samples)
        self._taken.samples.clear()
        self._taken.pictures.clear()
        self._taken.first_ns = None
        return f'{count} samples dropped'

    def _answering(self, step: Callable[[], str]) -> Answer:
        """A service that says what a step says, or why it fails."""
        def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = step(), True
            except (InvalidInputError, NotSeen, OSError) as error:
                response.message = str(error)
            # rclpy allows only one severity per call site.
            if response.success:
                self.get_logger().info(response.message)
            else:
                self.get_logger().warning(response.message)
            return response

        return answer

    def _arm_at(self, at_ns: int) -> np.ndarray | None:
        """base_from_tool (4, 4), of the topic where it is heard, else of TF."""
        if self._hears_arm:
            return self._heard.at(at_ns)
        found, _ = self._transforms.lookup(self.parameters.base_frame, self.parameters.tool_frame, to_stamp(at_ns))
        return None if found is None else messages.matrix_from(found.transform)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(HandEyeNode, arguments)
