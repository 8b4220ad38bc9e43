# SPDX-License-Identifier: Apache-2.0
"""Error budget: sources of the pose error along and across the line of sight, and their effect on success."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from posegrasp_ros.feasibility.attainable.attainable_accuracy import ViewBound
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.expected_success import changed_share, estimator_error
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.geometry.transforms import look_at, rotate_covariance

# Columns of the table and their axes in the frame of the line of sight (x right, y down, z along it).
COLUMNS = {'across_m': (0, 1), 'along_m': (2,), 'tilt_rad': (3, 4), 'about_rad': (5,)}


def error_budget(cell: Cell, model: SuccessModel | None, bounds: Sequence[ViewBound], success: float,
                 chosen: Sequence[int]) -> list[dict]:
    """One row per source and one for their sum: name, text, standard deviations by :data:`COLUMNS` (root mean
    square over the views), and the expected success without the source.

    :param model: None where there is no grasp
    :param success: expected success over all views
    :param chosen: indices of representative views on which the effect of a source is evaluated
    """
    by_source = {name: np.array([source(bound) for bound in bounds]) for name, source in _sources(cell).items()}
    total = sum(by_source.values(), np.zeros((len(bounds), 6, 6)))
    rows = [_row(name, bounds, covariances) for name, covariances in by_source.items()]
    if model is not None:
        with_all = _success(model, bounds, total, chosen)
        for row, covariances in zip(rows, by_source.values()):
            without = _success(model, bounds, total - covariances, chosen)
            row['success_without'] = changed_share(success, with_all, without)
    worst = max(range(len(bounds)), key=lambda view: bounds[view].size_m)
    image_there = by_source['image'][worst:worst + 1]
    return [rows[0], _row('image, worst view', bounds[worst:worst + 1], image_there), *rows[1:],
            _row('total', bounds, total)]


_TEXTS = {
    'image': 'image noise: lower bound for any estimator',
    'image, worst view': 'the same in the least informative view',
    'estimator': 'excess of a good estimator over that bound',
    'focal length': 'error of the calibrated focal length',
    'mounting': 'error of the calibrated camera pose',
    'total': 'sum of all sources',
}


def _sources(cell: Cell) -> dict[str, Callable[[ViewBound], np.ndarray]]:
    """Functions from a view's bound to the (6, 6) covariance due to a source, base frame."""
    return {
        'image': estimator_error,
        'estimator': lambda bound: estimator_error(bound, cell.efficiency) - estimator_error(bound),
        'focal length': lambda bound: cell.calibration.focal(bound.view),
        'mounting': lambda bound: cell.calibration.mounting(bound.view),
    }


def _row(name: str, bounds: Sequence[ViewBound], covariances: np.ndarray) -> dict:
    return {'name': name, 'text': _TEXTS[name], **_deviations(bounds, covariances), 'success_without': None}


def _deviations(bounds: Sequence[ViewBound], covariances: np.ndarray) -> dict[str, float]:
    """Standard deviations by column, root mean square over views and axes."""
    variances = np.array([np.diag(_in_sight(bound, covariance)) for bound, covariance in zip(bounds, covariances)])
    variances = variances.clip(0.0)  # zero about a symmetry axis, except for rounding
    return {name: float(np.sqrt(variances[:, list(axes)].mean())) for name, axes in COLUMNS.items()}


def _in_sight(bound: ViewBound, covariance: np.ndarray) -> np.ndarray:
    """Rotate a covariance from the base frame to axes of which the third points from the camera to the object."""
    eye, target = bound.view.base_from_camera[:3, 3], bound.view.base_from_object[:3, 3]
    return rotate_covariance(covariance, look_at(eye, target)[:3, :3].T)


def _success(model: SuccessModel, bounds: Sequence[ViewBound], covariances: np.ndarray,
             chosen: Sequence[int]) -> float:
    return float(np.mean([model.success(bounds[k].view.base_from_object, covariances[k]) for k in chosen]))
