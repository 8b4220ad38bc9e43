# SPDX-License-Identifier: Apache-2.0
"""Perception node: camera images in, the poses of one object or of several with covariance out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from posegrasp_ros.datasets.frame import PackedFrame
from posegrasp_ros.estimation.create import create_estimator, estimator_names
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.estimation.overlay import draw_overlay
from posegrasp_ros.estimation.perception_stage import Perceived, PerceptionStage
from posegrasp_ros.estimation.pose_estimate import MIN_SCORE
from posegrasp_ros.estimation.several_objects import ObjectStage, SeveralObjects
from posegrasp_ros.estimation.tracking.pose_tracker import with_tracking
from posegrasp_ros.estimation.tracking.tracking_options import CORRECTION_HZ, GIVE_UP_S, TrackingOptions
from posegrasp_ros.geometry.camera_info import RECTIFIED
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.detections import Detected, to_detections, to_vision_info
from posegrasp_ros.ros.intrinsics import WAIT_S, Intrinsics
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns, to_header
from posegrasp_ros.ros.missing_input import missing_input
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.object_topics import ObjectTopics, joined, load_models
from posegrasp_ros.ros.optional import TransformBroadcasterIfInstalled, import_optional
from posegrasp_ros.ros.parameter_checks import are_models, is_model
from posegrasp_ros.ros.parameters import ParameterError, parameter
from posegrasp_ros.ros.reporting import StageReporter
from posegrasp_ros.runtime.errors import escaped
from posegrasp_ros.sensing.depth_buffer import SLOP_MS, DepthImages
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage

RAW, COMPRESSED = ({name: kind} for name, kind in messages.IMAGES.items())
TRANSPORTS = {'auto': messages.IMAGES, 'raw': RAW, 'compressed': COMPRESSED}
TRUTHS_KEPT = 100
DEPTHS_KEPT = 10
# How long after the activation a camera may take to send its first image.
SILENCE_S = 4.0


@dataclass
class PendingImage:
    """An image that waits for its camera_info and depth.

    :param timeouts: how often the timer for the camera_info has fired
    :param depth_timeouts: how often the timer for the depth has fired
    """

    message: Image | CompressedImage
    received_ns: int
    timeouts: int = 0
    depth_timeouts: int = 0


@dataclass(frozen=True)
class PerceptionParameters:
    """Parameters of the perception node; changes take effect at the next configure."""

    model: str = parameter(
        '', 'Folder with model.yaml. Empty: the box that comes with the package.', check=is_model)
    models: tuple[str, ...] = parameter(
        (), 'Several such folders, in place of model: each object has topics below ~/NAME/ and its own report for '
        'each image.', check=are_models)
    estimator: str = parameter('onnx', 'The trained network or a baseline.', choices=estimator_names())
    min_score: float = parameter(
        MIN_SCORE, 'Poses with a lower probability are not reported.', minimum=0.0, maximum=1.0)
    threads: int = parameter(
        0, 'Threads of the network. 0: one for each core available to the process.', minimum=0, maximum=256)
    image_transport: str = parameter(
        'auto', 'Type of the topic `image`. auto: what its publisher sends; compressed: CompressedImage on '
        '`image/compressed`, as image_transport names it.', choices=tuple(TRANSPORTS))
    rectified: str = parameter(
        'auto', 'Whether the images are rectified, so that P of camera_info is used instead of K and D. '
        'auto: from the names of topic and frame, image_rect or image_raw.', choices=RECTIFIED)
    camera_frame: str = parameter('', "Frame of the results. Empty: the image's frame.")
    object_frame: str = parameter(
        '', 'Child frame in TF, NAME; further instances are NAME_1, ... Empty: the name on the model card.')
    frame_prefix: str = parameter(
        '', 'Prefix of the child frames in TF, such as robot1/ where several robots share TF.')
    tracking: bool = parameter(
        False, 'Follow objects from image to image without the networks, and publish their states on ~/status.')
    correction_hz: float = parameter(
        TrackingOptions.correction_hz, 'With tracking: how often the networks check an object that is followed.',
        minimum=CORRECTION_HZ[0], maximum=CORRECTION_HZ[1])
    give_up_s: float = parameter(
        TrackingOptions.give_up_s, 'With tracking: how long an unseen object counts as lost before it counts as '
        'absent, and how long an object is followed that the networks do not see.', minimum=GIVE_UP_S[0],
        maximum=GIVE_UP_S[1])
    use_depth: bool = parameter(
        False, 'Refine with the topic `depth`, raw or compressedDepth, registered to the camera image.')
    depth_slop_ms: float = parameter(
        SLOP_MS, 'How far apart the stamps of image and depth may be, and how long an image waits for its depth.',
        minimum=0.0, maximum=1000.0)
    overlay: bool = parameter(
        True, 'Draw the poses onto the image while ~/overlay or ~/overlay/compressed has subscribers.')


class PerceptionNode(AutostartLifecycleNode):
    """Wires the perception of one object, or of several, to the camera's topics."""

    PARAMETERS = PerceptionParameters
    parameters: PerceptionParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('perception', **options)
        self._broadcaster = TransformBroadcasterIfInstalled(self)

    def configure(self) -> None:
        chosen = self.parameters
        self._cards = load_models(chosen.model, chosen.models)
        if chosen.object_frame and len(self._cards) > 1:
            raise ParameterError('parameter object_frame: with several models each has the name on its card, got '
                                 f'{chosen.object_frame}')
        self.perception = SeveralObjects({name: ObjectStage(self._stage(card), card.mesh)
                                          for name, card in self._cards.items()})
        slop_ns = int(chosen.depth_slop_ms * 1e6)
        self._depths = DepthImages(slop_ns, DEPTHS_KEPT) if chosen.use_depth else None
        self._bit_depth = BitDepth(lambda text: self.say_once(f'image: {text}', warn=True))
        self._needs_truth = chosen.estimator == 'oracle'
        self._truths: dict[str, dict[int, np.ndarray]] = {name: {} for name in self._cards}
        self._pending: PendingImage | None = None
        self._image_topic = transported(self.resolve_topic_name('image'), chosen.image_transport)
        self._intrinsics = Intrinsics(self.resolve_topic_name('camera_info'), self._image_topic, chosen.rectified)
        self._reporter = StageReporter(self, 'perception', tuple(self._cards))
        self._topics = {name: ObjectTopics(self, name, card,
                                           chosen.frame_prefix + (chosen.object_frame or card.name),
                                           self._broadcaster, chosen.tracking)
                        for name, card in self._cards.items()}
        self._overlay_out = self.publisher(Image, '~/overlay', qos.RESULT)
        self._small_overlay_out = self.publisher(CompressedImage, '~/overlay/compressed', qos.RESULT)
        if not self._broadcaster.available:
            self.say_once('tf2_ros is not installed: the pose is not sent to TF')
        self._vision = import_optional('vision_msgs.msg')
        if self._vision:
            self._detections_out = self.publisher(self._vision.Detection3DArray, '~/detections', qos.RESULT)
            self._vision_info_out = self.publisher(self._vision.VisionInfo, '~/vision_info', qos.LATCHED)
        else:
            self.say_once('vision_msgs is not installed: ~/detections is not published')
        models = ', '.join(f'{card.name} ({card.folder})' for card in self._cards.values())
        self.get_logger().info(escaped(f'estimator {chosen.estimator} for {models}'))
        calibrations = {card.name: card.calibration.sentence for card in self._cards.values()}
        self.get_logger().info(escaped(f'calibrated on {"; ".join(map(": ".join, calibrations.items()))}'))
        self.tell(lambda: {f'calibration of {name}': told for name, told in calibrations.items()})

    def _stage(self, card: ModelCard) -> PerceptionStage:
        chosen = self.parameters
        estimator = create_estimator(chosen.estimator, card, threads=chosen.threads or None,
                                     min_score=chosen.min_score)
        if chosen.tracking:
            options = TrackingOptions(chosen.correction_hz, chosen.give_up_s)
            estimator = with_tracking(estimator, self.say_once, options)
        return PerceptionStage(estimator, card.identity)

    def activate(self) -> None:
        if self._vision:
            self._vision_info_out.publish(to_vision_info(
                self._vision, Header(stamp=self.get_clock().now().to_msg()), list(self._cards.values())))
        # Subscribed before the image: of messages that are ready together, the executor takes these first.
        self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.SENSOR)
        if self._depths:
            self.subscribe_sensor(messages.DEPTH, 'depth', self.on_depth, qos.RECENT)
        if self._needs_truth:
            for name in self._cards:
                self.subscribe_sensor(messages.GROUND_TRUTH, joined(self, name, 'ground_truth'),
                                      self.ground_truth_of(name), qos.SENSOR)
        self.subscribe_sensor(TRANSPORTS[self.parameters.image_transport], self._image_topic, self.on_image,
                              qos.NEWEST)
        # Both run only while an image waits, one for its camera_info, one for its depth.
        self._patience = self.every(WAIT_S / 2, self.check_pending)
        self._depth_patience = self.every(max(self.parameters.depth_slop_ms, 1.0) / 2e3, self.look_after_depth)
        self._stop_waiting()
        self._has_image = False
        self._first_look = self.every(SILENCE_S, self.look_for_images)

    def deactivate(self) -> None:
        self._pending = None

    def cleanup(self) -> None:
        self.perception, self._depths = SeveralObjects({}), None
        self._cards, self._topics = {}, {}

    @property
    def is_waiting(self) -> bool:
        """Whether an image waits for its camera_info, depth or ground truth."""
        return self._pending is not None

    def on_camera_info(self, message: CameraInfo, info: dict) -> None:
        """Store the intrinsics, and answer an image that waited for them."""
        error = self._intrinsics.add(message, received_ns(info))
        if error:
            self.get_logger().error(str(error))
        self._answer_if_complete()

    def ground_truth_of(self, name: str) -> Callable[[messages.GroundTruthMessage], None]:
        """Callback for the ground truth of one object."""
        truths = self._truths[name]

        def on_ground_truth(message: messages.GroundTruthMessage) -> None:
            """Store the ground truth for the oracle, and answer an image that waited for it."""
            truths[stamp_ns(message.header.stamp)] = messages.truth_from(message)
            if len(truths) > TRUTHS_KEPT:
                del truths[next(iter(truths))]
            self._answer_if_complete()

        return on_ground_truth

    def on_depth(self, message: Image) -> None:
        """Store the depth, and answer an image that waited for it."""
        if self._depths:
            self._depths.add(stamp_ns(message.header.stamp), PackedImage.of(message))
        self._answer_if_complete()

    def on_image(self, message: Image | CompressedImage, info: dict) -> None:
        """Estimate and publish, at once or when the image's camera_info and depth have arrived."""
        self._has_image = True
        if self._pending:
            self._answer_pending()
        self._pending = PendingImage(message, received_ns(info))
        self._patience.reset()
        self._depth_patience.reset()
        self._answer_if_complete()

    def look_for_images(self) -> None:
        """Warn once if no image has arrived some time after the activation."""
        self._first_look.cancel()
        if not self._has_image:
            types = TRANSPORTS[self.parameters.image_transport]
            self.get_logger().warning(missing_input(self, self._image_topic, types))

    def check_pending(self) -> None:
        """Stop waiting for the camera_info of the pending image after two periods."""
        # The executor takes timers first: only at the second period have all messages that were ready been taken.
        if self._pending:
            self._pending.timeouts += 1
        self._answer_if_complete()

    def look_after_depth(self) -> None:
        """Stop waiting for the depth of the pending image after two periods."""
        if self._pending:
            self._pending.depth_timeouts += 1
        self._answer_if_complete()

    def _answer_if_complete(self) -> None:
        if self._pending is None:
            return
        stamp = stamp_ns(self._pending.message.header.stamp)
        has_camera = self._pending.timeouts > 1 or not self._intrinsics.may_come(stamp)
        has_depth = not self._depths or self._pending.depth_timeouts > 1 or not self._depths.may_come(stamp)
        if has_camera:
            self._patience.cancel()
        if has_depth:
            self._depth_patience.cancel()
        # The ground truth is waited for until the next image.
        has_truth = not self._needs_truth or all(stamp in truths for truths in self._truths.values())
        if has_camera and has_depth and has_truth:
            self._answer_pending()

    def _stop_waiting(self) -> None:
        self._patience.cancel()
        self._depth_patience.cancel()

    def _answer_pending(self) -> None:
        """Answer the pending image: it is complete, or the wait is over."""
        pending, self._pending = self._pending, None
        self._stop_waiting()
        if pending:
            self._answer(pending.message, pending.received_ns)

    def _answer(self, message: Image | CompressedImage, received_ns: int) -> None:
        """Answer for each object; the image is decoded once, and each has its own report."""
        stamp = stamp_ns(message.header.stamp)
        header = to_header(stamp, self.parameters.camera_frame or message.header.frame_id)
        found: dict[str, Perceived] = {}
        for name, (stage, _) in self.perception.objects.items():
            # Both times are of the system clock, which may have been set back in between.
            waited_ms = max(0.0, (time.time_ns() - received_ns) / 1e6)
            with self._reporter.answering(stamp, waited_ms, name) as answer:
                answer.words.update(stage.named)
                found = found or self._perceive(message, received_ns)
                if error := found[name].error:
                    raise error
                answer.take(found[name].outcome)
                self._topics[name].publish(header, found[name].estimation)
                answer.is_out()
        if found and not next(iter(found.values())).frame.reason:
            self._publish_together(header, found)

    def _perceive(self, message: Image | CompressedImage, received_ns: int) -> dict[str, Perceived]:
        """Perception of an image with the camera_info, depth and ground truth received for it."""
        stamp = stamp_ns(message.header.stamp)
        depth = self._depths.nearest(stamp) if self._depths else None
        truths = {name: (TruePose(kept[stamp]),) for name, kept in self._truths.items() if stamp in kept}
        packed = PackedFrame(stamp, self._bit_depth.noted(PackedImage.of(message)),
                             self._intrinsics.of(stamp, received_ns, message.header.frame_id),
                             truths.pop(ONLY, ()), depth=depth, named_truths=truths)
        found = self.perception.perceive(packed)
        for warning in {each.frame.warning for each in found.values()} - {''}:
            self.say_once(warning, warn=True)
        return found

    def _publish_together(self, header: Header, found: dict[str, Perceived]) -> None:
        """Detections and overlay, which show all objects."""
        if self._vision:
            self._detections_out.publish(to_detections(self._vision, header, [
                Detected(card.name, card.mesh, found[name].estimation.poses,
                         self._topics[name].frames(found[name].estimation))
                for name, card in self._cards.items()]))
        outs = [out for out in (self._overlay_out, self._small_overlay_out) if out.get_subscription_count()]
        if self.parameters.overlay and outs:
            drawn, camera = next(iter(found.values())).frame.view()
            for name, (_, estimation, outcome, _) in found.items():
                drawn = draw_overlay(drawn, camera, self._cards[name].mesh, estimation.poses,
                                     outcome.reason if len(found) == 1 else '')
            for out in outs:
                to_message = messages.to_image if out is self._overlay_out else messages.to_jpeg
                out.publish(to_message(header, drawn))


def transported(image_topic: str, transport: str) -> str:
    """The topic on which image_transport publishes an image: the transport's name is appended, but for raw."""
    ending = f'/{transport}'
    return image_topic + ending if transport == 'compressed' and not image_topic.endswith(ending) else image_topic


def received_ns(info: dict) -> int:
    """When a message came in, by the system's clock; where the middleware does not tell, now."""
    return info['received_timestamp'] or time.time_ns()


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(PerceptionNode, arguments)
