"""Metrics by how much of the object is visible."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.observations import Observations, rate

TRUE, ESTIMATED = 'ground truth', 'estimated'
SLICED = ('recall_1cm_5deg', 'position_error_median', 'rotation_error_median', 'covariance_coverage_90',
          'score_ece')
ABSTENTION = 'abstention'


class Slice(NamedTuple):
    """Frames in which a share of the object from ``low`` to below ``high`` is visible."""

    name: str
    low: float
    high: float


SLICES = (Slice('clearly visible', 0.9, np.inf), Slice('partly hidden', 0.7, 0.9), Slice('half hidden', 0.4, 0.7),
          Slice('mostly hidden', LEAST_VISIBLE, 0.4), Slice('hidden', 0.0, LEAST_VISIBLE))


def visible_share_slices(table: FrameTable) -> dict[str, Any] | None:
    """The metrics of the frames with the object by how much of it is visible, clearest first.

    Where the ground truth says of no frame how much is visible, the estimate of perception is used. It is known
    only of frames in which perception had a pose to judge, so there is no abstention then.

    :return: {source: ``ground truth`` or ``estimated``, unknown: frames that neither tells, slices: [{name, low,
        high, frames, metrics}]}, metrics as in the summary with ``abstention``, the share of frames without a
        pose; hidden objects have only that. None where nothing is known
    """
    present = table.inputs('perception') & ~table.is_without_object
    is_true = bool((present & np.isfinite(table.visible_share)).any())
    shares = table.visible_share if is_true else table.estimated_share
    known = present & np.isfinite(shares)
    if not known.any():
        return None
    slices = [{**each._asdict(), 'high': min(each.high, 1.0),
               **_measured(table.chosen(known & (shares >= each.low) & (shares < each.high)), is_true)}
              for each in SLICES]
    return {'source': TRUE if is_true else ESTIMATED, 'unknown': int((present & ~known).sum()), 'slices': slices}


def _measured(table: FrameTable, is_true: bool) -> dict[str, Any]:
    metrics = {name: _stated(catalogue()[name].observe(table), catalogue()[name].unit) for name in SLICED}
    if is_true:
        silent = rate(~table.answered('perception'), np.ones(len(table), dtype=bool), table.blocks)
        metrics[ABSTENTION] = _stated(silent, '1')
    return {'frames': len(table), 'metrics': metrics}


def _stated(observed: Observations, unit: str) -> dict[str, Any]:
    interval = observed.interval if len(observed) else None
    return {'value': observed.value if len(observed) else None, 'unit': unit,
            'interval': list(interval) if interval else None, 'n': len(observed),
            'clusters': len(np.unique(observed.clusters))}
