"""The estimators by name: what ``--estimator`` and the node's parameter choose from."""

from __future__ import annotations

from collections.abc import Callable

from posegrasp_ros.estimation.estimator import MIN_SCORE, PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.pose_estimate import Estimator
from posegrasp_ros.estimation.scripted import FeatureMatchEstimator, MeanPoseEstimator, OracleEstimator
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

Factory = Callable[[ModelCard, 'int | None', float], Estimator]
FACTORIES: dict[str, Factory] = {
    'onnx': PoseEstimator,
    'network': lambda card, threads, min_score: PoseEstimator(card, threads, min_score=0.0, refine=False),
    'feature_match': lambda card, threads, min_score: FeatureMatchEstimator(card.mesh),
    'mean_pose': lambda card, threads, min_score: MeanPoseEstimator(card.mean_camera_from_object),
    'oracle': lambda card, threads, min_score: OracleEstimator(),
}
"""``network`` is ``onnx`` without the refinement. The card's score and covariance were fitted to refined poses and
say little of these: it answers with every pose that it has, whatever its score."""
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
