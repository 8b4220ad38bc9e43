"""Error budget: where the pose's error comes from, along and across the line of sight, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.feasibility.attainable.accuracy import ViewBound
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.outlook import estimator_error
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.geometry import look_at, rotate_covariance

# Columns of the table with their units, and the axes of the sight's frame (x right, y down, z along) behind them.
COLUMNS = {'across_m': (0, 1), 'along_m': (2,), 'tilt_rad': (3, 4), 'about_rad': (5,)}
# Of the views, so many tell what a source costs.
VIEWS = 24


def error_budget(cell: Cell, model: SuccessModel | None, bounds: Sequence[ViewBound]) -> list[dict]:
    """One row for each source and one for their sum: name, text, standard deviations by :data:`COLUMNS` (root mean
    square over the views), and the success to be expected if the source were not there.

    :param model: None where there is no grasp, and so no success to tell
    """
    by_source = {name: np.array([source(bound) for bound in bounds]) for name, source in _sources(cell).items()}
    total = sum(by_source.values())
    rows = []
    for name, covariances in {**by_source, 'total': total}.items():
        rest = total if name == 'total' else total - covariances
        rows.append({'name': name, 'text': _TEXTS[name], **_deviations(bounds, covariances),
                     'success_without': _success(model, bounds, rest)})
    return rows


_TEXTS = {
    'image': 'noise of the image: no estimator is better',
    'estimator': 'what a good estimator is above that bound',
    'focal length': 'focal length not as calibrated',
    'mounting': 'camera not where the robot thinks it is',
    'total': 'all together',
}


def _sources(cell: Cell) -> dict:
    """Functions from a view's bound to the (6, 6) covariance that a source brings, base frame."""
    return {
        'image': estimator_error,
        'estimator': lambda bound: estimator_error(bound, cell.efficiency) - estimator_error(bound),
        'focal length': lambda bound: cell.calibration.focal(bound.view),
        'mounting': lambda bound: cell.calibration.mounting(bound.view),
    }


def _deviations(bounds: Sequence[ViewBound], covariances: np.ndarray) -> dict[str, float]:
    """Standard deviations by column, root mean square over views and axes."""
    variances = np.array([np.diag(_in_sight(bound, covariance)) for bound, covariance in zip(bounds, covariances)])
    variances = variances.clip(0.0)  # about an axis of symmetry there is none, but for rounding
    return {name: float(np.sqrt(variances[:, list(axes)].mean())) for name, axes in COLUMNS.items()}


def _in_sight(bound: ViewBound, covariance: np.ndarray) -> np.ndarray:
    """A covariance of the base frame in axes of which the third points from the camera to the object."""
    eye, target = bound.view.base_from_camera[:3, 3], bound.view.base_from_object[:3, 3]
    return rotate_covariance(covariance, look_at(eye, target)[:3, :3].T)


def _success(model: SuccessModel | None, bounds: Sequence[ViewBound], covariances: np.ndarray) -> float | None:
    if model is None:
        return None
    chosen = np.unique(np.linspace(0, len(bounds) - 1, VIEWS).astype(int))
    return float(np.mean([model.success(bounds[k].view.base_from_object, covariances[k]) for k in chosen]))
