# SPDX-License-Identifier: Apache-2.0
"""Camera image to grasp, measured: pose estimation, grasp planning and monitoring for ROS 2.

``__all__`` is the public API. Each name is imported at its first use: ``import posegrasp_ros`` takes milliseconds.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posegrasp_ros.datasets.bag_writer import BagWriter
    from posegrasp_ros.estimation.create import register_estimator
    from posegrasp_ros.estimation.decoders.decoder import Decoder
    from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters
    from posegrasp_ros.estimation.model import Model, load_model
    from posegrasp_ros.estimation.pose_estimate import Estimation, Estimator, PoseEstimate
    from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
    from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.true_pose import TruthSigmas
    from posegrasp_ros.grasping.planning.plan import Plan, PlannedGrasp
    from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene, SphereObstacle
    from posegrasp_ros.metrics.catalogue import Curve, Metric, register_metric
    from posegrasp_ros.runs.folder import read_summary
    from posegrasp_ros.runtime.errors import InvalidInputError

__version__ = '0.2.0'

# MuJoCo reads this when it is first imported, by whichever module comes first: render without a screen.
os.environ.setdefault('MUJOCO_GL', 'osmesa')
# onnxruntime reads this when it is imported; else it reports usage, and warns where it has no home to write to.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')

_HOMES = {
    'BagWriter': 'datasets.bag_writer',
    'BoxObstacle': 'grasping.planning.planning_scene',
    'Camera': 'geometry.camera',
    'Curve': 'metrics.catalogue',
    'Decoder': 'estimation.decoders.decoder',
    'DecoderParameters': 'estimation.decoders.decoder_parameters',
    'Estimation': 'estimation.pose_estimate',
    'Estimator': 'estimation.pose_estimate',
    'EvaluateOptions': 'evaluation.evaluate_options',
    'InvalidInputError': 'runtime.errors',
    'Metric': 'metrics.catalogue',
    'Model': 'estimation.model',
    'Plan': 'grasping.planning.plan',
    'PlannedGrasp': 'grasping.planning.plan',
    'PoseEstimate': 'estimation.pose_estimate',
    'Scene': 'grasping.planning.planning_scene',
    'SphereObstacle': 'grasping.planning.planning_scene',
    'TruthSigmas': 'geometry.true_pose',
    'evaluate_bags': 'evaluation.bag_evaluation',
    'load_model': 'estimation.model',
    'read_summary': 'runs.folder',
    'register_estimator': 'estimation.create',
    'register_metric': 'metrics.catalogue',
}
__all__ = [
    'BagWriter', 'BoxObstacle', 'Camera', 'Curve', 'Decoder', 'DecoderParameters', 'Estimation', 'Estimator',
    'EvaluateOptions', 'InvalidInputError', 'Metric', 'Model', 'Plan', 'PlannedGrasp', 'PoseEstimate', 'Scene',
    'SphereObstacle', 'TruthSigmas', 'evaluate_bags', 'load_model', 'read_summary', 'register_estimator',
    'register_metric',
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
