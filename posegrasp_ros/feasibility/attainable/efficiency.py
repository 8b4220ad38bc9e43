# SPDX-License-Identifier: Apache-2.0
"""Efficiency: ratio of an estimator's errors to the Cramér-Rao bound, measured on new simulated scenes.

The bound assumes that everything except the pose is known: light, lens, background, texture. An estimator does not
know these to within pixel noise, so its errors are tens of times larger and hardly decrease with less noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.pose_estimate import Estimator
from posegrasp_ros.feasibility.attainable.attainable_accuracy import AXES, view_bound
from posegrasp_ros.feasibility.attainable.fisher import PixelNoise
from posegrasp_ros.feasibility.attainable.image_information import Imaging
from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.geometry.transforms import transform_points, vector_from_rotation
from posegrasp_ros.metrics.stats.intervals import MIN_CLUSTERS, Interval
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.object_renderer import ObjectRenderer
from posegrasp_ros.simulation.scene import SceneSpec, sample_scene
from posegrasp_ros.simulation.world import Frame, World

#: Measured for the shipped box (50 to 60 along most axes); assumed for a good estimator of another object.
DEFAULT_EFFICIENCY = 55.0
SCENES = 100
RESAMPLES = 1000
#: Approximate pixel noise in these scenes, grey levels of 255.
MEASURED_NOISE = 2.0
LEAST_BLUR_PX = 0.3
"""Minimum blur: a pixel integrates over its area."""


@dataclass(frozen=True)
class AxisEfficiency:
    """Errors along one camera axis and their bound; metres or radians.

    :param times: root mean square of the errors divided by that of the bounds
    :param interval: 95 %, bootstrap over scenes
    """

    name: str
    unit: str
    error_rms: float
    bound_rms: float
    times: float
    interval: Interval


@dataclass(frozen=True)
class Efficiency:
    """An estimator's errors compared with the bound.

    :param axes: six, in the order of a covariance
    :param scenes: number of scenes
    :param right: number of answers within the model card's tolerance; only these are measured
    """

    axes: tuple[AxisEfficiency, ...]
    scenes: int
    right: int

    @property
    def factors(self) -> np.ndarray:
        """(6,) efficiency along the camera axes, for :meth:`ViewBound.achieved`."""
        return np.array([axis.times for axis in self.axes])

    def to_dict(self) -> dict:
        """Plain values."""
        return {'scenes': self.scenes, 'right': self.right,
                'axes': [{'name': axis.name, 'unit': axis.unit, 'error_rms': axis.error_rms,
                          'bound_rms': axis.bound_rms, 'times': axis.times, 'interval': list(axis.interval)}
                         for axis in self.axes]}


def efficiency_at(noise: float, measured: float | np.ndarray) -> float | np.ndarray:
    """The efficiency at a pixel noise other than :data:`MEASURED_NOISE`.

    The bound grows with the noise; the estimator's excess error is due to light, texture and lens and stays
    constant.

    :param noise: grey levels of 255
    :param measured: one or (6,)
    """
    return np.sqrt(1 + (np.square(np.maximum(measured, 1.0)) - 1) * (MEASURED_NOISE / noise) ** 2)


def measure_efficiency(card: ModelCard, scenes: int = SCENES, seed: int = 0,
                       progress: Callable[[], object] | None = None) -> Efficiency:
    """Run the estimator on new simulated scenes and compare with the bound at each scene's noise and blur.

    :param progress: called once per scene
    :raises InvalidInputError: when too few answers are correct for an interval
    """
    estimator, rng, found = create_estimator('onnx', card), np.random.default_rng(seed), []
    with ObjectRenderer(card.mesh) as renderer:
        for _ in range(scenes):
            found.append(_error_and_bound(card, estimator, renderer, sample_scene(rng, card.mesh)))
            if progress:
                progress()
    right = [each for each in found if each is not None]
    if len(right) < MIN_CLUSTERS:
        raise InvalidInputError(
            f'{card.folder}: expected at least {MIN_CLUSTERS} correct poses of {scenes} simulated '
                       f'scenes, got {len(right)}')
    errors, bounds = (np.array(parts) for parts in zip(*right))
    return Efficiency(compare(errors, bounds), scenes, len(right))


def compare(errors: np.ndarray, bounds: np.ndarray, seed: int = 0) -> tuple[AxisEfficiency, ...]:
    """Efficiencies of the six axes from (N, 6) errors and (N, 6) standard deviations of their bounds."""
    drawn = np.random.default_rng(seed).integers(len(errors), size=(RESAMPLES, len(errors)))
    times = _rms(errors) / _rms(bounds)
    low, high = np.percentile(_rms(errors[drawn]) / _rms(bounds[drawn]), (2.5, 97.5), axis=0)
    return tuple(
        AxisEfficiency(name, 'm' if k < 3 else 'rad', float(_rms(errors)[k]), float(_rms(bounds)[k]),
                       float(times[k]), Interval(float(low[k]), float(high[k])))
        for k, name in enumerate(AXES))


def _rms(values: np.ndarray) -> np.ndarray:
    """(..., N, 6) to (..., 6)."""
    return np.sqrt(np.mean(values**2, axis=-2))


def _error_and_bound(card: ModelCard, estimator: Estimator, renderer: ObjectRenderer,
                     scene: SceneSpec) -> tuple[np.ndarray, np.ndarray] | None:
    """(6,) error and (6,) standard deviations of the bound, camera axes; None without a correct answer."""
    with World(card.mesh, None, scene) as world:
        frame = world.frame()
    estimation = estimator.estimate(frame.image, frame.camera)
    if not estimation.poses:
        return None
    found = estimation.poses[0].camera_from_object
    truth = card.symmetry.nearest(frame.camera_from_object, found)
    shift, turn = truth[:3, 3] - found[:3, 3], vector_from_rotation(truth[:3, :3] @ found[:3, :3].T)
    if np.linalg.norm(shift) >= card.tolerance.position_m or np.linalg.norm(turn) >= card.tolerance.rotation_rad:
        return None
    imaging = Imaging(PixelNoise(scene.sensor.read_noise, scene.sensor.shot_noise),
                      max(scene.sensor.blur_px, LEAST_BLUR_PX))
    least = view_bound(renderer, frame.camera, _view(frame, card), imaging, card.symmetry)
    return np.concatenate([shift, turn]), np.sqrt(np.diag(least.covariance))


def _view(frame: Frame, card: ModelCard) -> CameraView:
    middle = transform_points(frame.camera_from_object, card.mesh.centre[None])[0]
    return CameraView(frame.base_from_camera @ frame.camera_from_object, frame.base_from_camera,
                float(np.linalg.norm(middle)))
