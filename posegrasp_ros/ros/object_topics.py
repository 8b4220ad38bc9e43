"""ObjectTopics: what perception publishes of one object; the names of topics where there are several."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.estimation.instance_numbers import InstanceNumbers
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import load_model_set
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns
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


class ObjectTopics:
    """Publishes the poses of one object.

    :param name: of the object; empty for the only one, whose topics lie directly below the node
    :param frame: of the first instance in TF; further ones are ``frame_1``, ``frame_2``, ...
    :param numbers: keeps the instances' numbers from image to image; None numbers them best first
    """

    def __init__(self, node: AutostartLifecycleNode, name: str, card: ModelCard, frame: str,
                 broadcaster: TransformBroadcasterIfInstalled, numbers: InstanceNumbers | None):
        self._card, self._frame, self._broadcaster, self._numbers = card, frame, broadcaster, numbers
        self._pose_out = node.publisher(PoseWithCovarianceStamped, below(name, '~/pose'), qos.COUNTED)
        self._poses_out = node.publisher(PoseArray, below(name, '~/poses'), qos.RESULT)
        self._markers_out = node.publisher(MarkerArray, below(name, '~/markers'), qos.RESULT)

    def publish(self, header: Header, poses: Sequence[PoseEstimate]) -> None:
        """The poses in an image, best first."""
        if poses:
            self._pose_out.publish(messages.to_pose_with_covariance(header, poses[0]))
        for number, pose in zip(self._numbers_of(header, poses), poses):
            frame = f'{self._frame}_{number}' if number else self._frame
            self._broadcaster.send(messages.to_transform(header, frame, pose.camera_from_object))
        self._poses_out.publish(messages.to_pose_array(header, [pose.camera_from_object for pose in poses]))
        self._markers_out.publish(markers.of_poses(header, poses, self._card.mesh_path))

    def _numbers_of(self, header: Header, poses: Sequence[PoseEstimate]) -> list[int]:
        if self._numbers is None:
            return list(range(len(poses)))
        return self._numbers.of([pose.camera_from_object[:3, 3] for pose in poses], stamp_ns(header.stamp))
