# SPDX-License-Identifier: Apache-2.0
"""The estimators by name: what ``--estimator`` and the node's parameter choose from.

Another package adds one by an entry point, whose value is a :data:`Factory`::

    [project.entry-points."posegrasp.estimators"]
    mine = "my_package.my_module:create"

Networks, meshes and compiled functions take seconds to import, and the command line asks for the names alone: each
estimator is imported where it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimator
from posegrasp_ros.runtime.entry_points import entry_points, load_entry_point
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    from posegrasp_ros.estimation.model_card import ModelCard

KIND, GROUP = 'estimator', 'posegrasp.estimators'
Factory = Callable[['ModelCard', 'int | None', float], Estimator]
"""Makes an estimator for a card's object; takes the threads of networks (None: every core) and the least score."""


def _onnx(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    from posegrasp_ros.estimation.estimator import PoseEstimator

    return PoseEstimator(card, threads, min_score)


def _network(card: ModelCard, threads: int | None, min_score: float) -> Estimator:
    """``onnx`` without the refinement.

    The card's score and covariance were fitted to refined poses and say little of these: it answers with every
    pose that it has, whatever its score.
    """
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


ESTIMATORS = ('onnx', 'network', 'feature_match', 'mean_pose', 'oracle')
"""Ours."""
_factories: dict[str, Factory] = dict(zip(ESTIMATORS, (_onnx, _network, _feature_match, _mean_pose, _oracle)))


def estimator_names() -> tuple[str, ...]:
    """All of them, ours first."""
    return (*_factories, *(name for name in entry_points(GROUP) if name not in _factories))


def register_estimator(name: str, factory: Factory) -> None:
    """Add an estimator to this process.

    :raises InvalidInputError: when another has its name
    """
    if name in estimator_names():
        raise InvalidInputError(f'estimator {name}: expected a unique name, another estimator has it')
    _factories[name] = factory


def unregister_estimator(name: str) -> None:
    """Take an estimator that was added away again."""
    del _factories[name]


def create_estimator(name: str, card: ModelCard, threads: int | None = None,
                     min_score: float = MIN_SCORE) -> Estimator:
    """The estimator called ``name``, for the card's object.

    :param threads: processor threads of the networks; None takes every core that this process may use
    :param min_score: poses of ``onnx`` less probable than this are no answer
    :raises InvalidInputError: on a name that is none of :func:`estimator_names`
    """
    if name not in estimator_names():
        raise InvalidInputError(f'estimator: expected one of {", ".join(estimator_names())}, got {quoted(name)}')
    factory = _factories[name] if name in _factories else load_entry_point(KIND, GROUP, name)
    return factory(card, threads, min_score)
