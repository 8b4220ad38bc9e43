# SPDX-License-Identifier: Apache-2.0
"""ObjectTopics: what perception publishes of one object; the names of topics where there are several."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.datasets.visible_shares import share_topic
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import load_model_set
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.optional import TransformBroadcasterIfInstalled
from posegrasp_ros.ros.parameters import ParameterError


def load_models(model: str, models: Sequence[str]) -> dict[str, ModelCard]:
    """The models of the parameters ``model`` and ``models``, see :func:`load_model_set`.

    :raises ParameterError: when both are set
    :raises InvalidInputError: when a model cannot be used, or two objects cannot be told apart by name
    """
    if model and models:
        raise ParameterError(f'parameter models: expected either model or models, got both: {model} and '
                             f'{", ".join(models)}')
    return load_model_set(models or (model,))


def joined(node: AutostartLifecycleNode, name: str, topic: str) -> str:
    """The topic of one object that a node hears, remapped as the one of all objects is: with ``pose`` remapped to
    ``perception/pose`` it is ``perception/NAME/pose``."""
    return below(name, node.resolve_topic_name(topic)) if name else topic


def visible_share_topic(node: AutostartLifecycleNode, name: str) -> str:
    """The topic, below that of an object's ground truth, that tells how much of it is visible."""
    return share_topic(below(name, node.resolve_topic_name('ground_truth')))


class ObjectTopics:
    """Publishes the poses of one object.

    :param name: of the object; empty for the only one, whose topics lie directly below the node
    :param frame: of the first instance in TF; further ones are ``frame_1``, ``frame_2``, ...: best first, with
        tracking by the tracks' numbers
    :param is_tracking: whether the state of each instance is published as well
    """

    def __init__(self, node: AutostartLifecycleNode, name: str, card: ModelCard, frame: str,
                 broadcaster: TransformBroadcasterIfInstalled, is_tracking: bool):
        self._card, self._frame, self._broadcaster = card, frame, broadcaster
        self._pose_out = node.publisher(PoseWithCovarianceStamped, below(name, '~/pose'), qos.COUNTED)
        self._poses_out = node.publisher(PoseArray, below(name, '~/poses'), qos.RESULT)
        self._markers_out = node.publisher(MarkerArray, below(name, '~/markers'), qos.RESULT)
        self._status_out = (node.publisher(DiagnosticArray, below(name, '~/status'), qos.RESULT)
                            if is_tracking else None)

    def publish(self, header: Header, estimation: Estimation) -> None:
        """The poses in an image, best first, and with tracking the states; what is lost has no pose."""
        poses = estimation.poses
        if self._status_out and estimation.tracks:
            frames = [self._frame_of(track.number) for track in estimation.tracks]
            self._status_out.publish(messages.to_track_states(header, frames, estimation.tracks))
        if poses:
            self._pose_out.publish(messages.to_pose_with_covariance(header, poses[0]))
        for frame, pose in zip(self.frames(estimation), poses):
            self._broadcaster.send(messages.to_transform(header, frame, pose.camera_from_object))
        self._poses_out.publish(messages.to_pose_array(header, [pose.camera_from_object for pose in poses]))
        self._markers_out.publish(markers.of_poses(header, poses, self._card.mesh_path))

    def frames(self, estimation: Estimation) -> list[str]:
        """The frame of each pose in TF: with tracking the same as long as the object is followed."""
        count = len(estimation.poses)
        numbers = [track.number for track in estimation.tracks[:count]] or range(count)
        return [self._frame_of(number) for number in numbers]

    def _frame_of(self, number: int) -> str:
        return f'{self._frame}_{number}' if number else self._frame
