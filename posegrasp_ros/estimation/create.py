"""The estimators by name: what ``--estimator`` and the node's parameter choose from.

Each is imported where it is made: the command line asks for the names alone, and what makes poses of images takes
two seconds to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimator
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    from posegrasp_ros.estimation.model_card import ModelCard

Factory = Callable[['ModelCard', 'int | None', float], Estimator]


def _onnx(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    from posegrasp_ros.estimation.estimator import PoseEstimator

    return PoseEstimator(card, threads, min_score)


def _network(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    """The networks without the refinement. The card's score and covariance were fitted to refined poses and say
    little of these: it answers with every pose that it has, whatever its score."""
    from posegrasp_ros.estimation.estimator import PoseEstimator

    return PoseEstimator(card, threads, min_score=0.0, refine=False)


def _feature_match(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    from posegrasp_ros.estimation.scripted import FeatureMatchEstimator

    return FeatureMatchEstimator(card.mesh)


def _mean_pose(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    from posegrasp_ros.estimation.scripted import MeanPoseEstimator

    return MeanPoseEstimator(card.mean_camera_from_object)


def _oracle(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    from posegrasp_ros.estimation.scripted import OracleEstimator

    return OracleEstimator()


FACTORIES: dict[str, Factory] = {'onnx': _onnx, 'network': _network, 'feature_match': _feature_match,
                                 'mean_pose': _mean_pose, 'oracle': _oracle}
ESTIMATORS = tuple(FACTORIES)


def create_estimator(name: str, card: ModelCard, threads: int | None = None,
                     min_score: float = MIN_SCORE) -> Estimator:
    """The estimator called ``name``, for the card's object.

    :param threads: processor threads of the networks; None takes every core that this process may use
    :param min_score: poses of ``onnx`` less probable than this are no answer
    :raises InvalidInputError: on a name that is none of :data:`ESTIMATORS`
    """
    if name not in FACTORIES:
        raise InvalidInputError(f'estimator: expected one of {", ".join(ESTIMATORS)}, got {quoted(name)}')
    return FACTORIES[name](card, threads, min_score)
