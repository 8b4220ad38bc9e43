"""Error budget: where the pose's error comes from, along and across the line of sight, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.feasibility.attainable.attainable_accuracy import ViewBound
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.expected_success import changed_share, estimator_error
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.geometry.transforms import look_at, rotate_covariance

# Columns of the table with their units, and the axes of the sight's frame (x right, y down, z along) behind them.
COLUMNS = {'across_m': (0, 1), 'along_m': (2,), 'tilt_rad': (3, 4), 'about_rad': (5,)}


def error_budget(cell: Cell, model: SuccessModel | None, bounds: Sequence[ViewBound], success: float,
                 chosen: Sequence[int]) -> list[dict]:
    """One row for each source and one for their sum: name, text, standard deviations by :data:`COLUMNS` (root mean
    square over the views), and the success to be expected if the source were not there.

    :param model: None where there is no grasp, and so no success to tell
    :param success: that is expected over all views
    :param chosen: numbers of the views that tell what a source costs, which stand for all
    """
    by_source = {name: np.array([source(bound) for bound in bounds]) for name, source in _sources(cell).items()}
    total = sum(by_source.values())
    with_all = _success(model, bounds, total, chosen)
    rows = []
    for name, covariances in by_source.items():
        without = None if model is None else changed_share(
            success, with_all, _success(model, bounds, total - covariances, chosen))
        rows.append(_row(name, bounds, covariances, without))
    worst = max(range(len(bounds)), key=lambda view: bounds[view].size_m)
    image_there = by_source['image'][worst:worst + 1]
    return [rows[0], _row('image, worst view', bounds[worst:worst + 1], image_there), *rows[1:],
            _row('total', bounds, total)]


_TEXTS = {
    'image': 'noise of the image: no estimator is better',
    'image, worst view': 'the same in the view that tells least',
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


def _row(name: str, bounds: Sequence[ViewBound], covariances: np.ndarray, without: float | None = None) -> dict:
    return {'name': name, 'text': _TEXTS[name], **_deviations(bounds, covariances), 'success_without': without}


def _deviations(bounds: Sequence[ViewBound], covariances: np.ndarray) -> dict[str, float]:
    """Standard deviations by column, root mean square over views and axes."""
    variances = np.array([np.diag(_in_sight(bound, covariance)) for bound, covariance in zip(bounds, covariances)])
    variances = variances.clip(0.0)  # about an axis of symmetry there is none, but for rounding
    return {name: float(np.sqrt(variances[:, list(axes)].mean())) for name, axes in COLUMNS.items()}


def _in_sight(bound: ViewBound, covariance: np.ndarray) -> np.ndarray:
    """A covariance of the base frame in axes of which the third points from the camera to the object."""
    eye, target = bound.view.base_from_camera[:3, 3], bound.view.base_from_object[:3, 3]
    return rotate_covariance(covariance, look_at(eye, target)[:3, :3].T)


def _success(model: SuccessModel | None, bounds: Sequence[ViewBound], covariances: np.ndarray,
             chosen: Sequence[int]) -> float | None:
    if model is None:
        return None
    return float(np.mean([model.success(bounds[k].view.base_from_object, covariances[k]) for k in chosen]))
