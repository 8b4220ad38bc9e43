# SPDX-License-Identifier: Apache-2.0
"""Metrics by how much of the object is visible."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.metrics.catalogue import LOWER, Metric, catalogue
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.measured import measured
from posegrasp_ros.metrics.observations import rate

TRUE, ESTIMATED = 'ground truth', 'estimated'
SLICED = ('recall_1cm_5deg', 'position_error_median', 'rotation_error_median', 'covariance_coverage_90',
          'score_ece')
ABSTENTION = Metric('abstention', '1', LOWER, 'No pose given',
                    lambda table: rate(~table.answered('perception'), table.inputs('perception'), table.blocks),
                    heading='no pose given')


class Slice(NamedTuple):
    """Frames in which a share of the object from ``low`` to below ``high`` is visible."""

    name: str
    low: float
    high: float


SLICES = (Slice('clearly visible', 0.9, np.inf), Slice('partly hidden', 0.7, 0.9), Slice('half hidden', 0.4, 0.7),
          Slice('mostly hidden', LEAST_VISIBLE, 0.4), Slice('hidden', 0.0, LEAST_VISIBLE))


def visible_share_slices(table: FrameTable, unlike: str = '') -> dict[str, Any] | None:
    """The metrics of the frames with the object by how much of it is visible, clearest first.

    Where the ground truth says of no frame how much is visible, the estimate of perception is used. It is known
    only of frames in which perception had a pose to judge, so there is no abstention then.

    :param unlike: see :func:`posegrasp_ros.metrics.measured.measured`
    :return: {source: ``ground truth`` or ``estimated``, unknown: frames that it does not tell of, slices: [{name,
        low, high, frames, metrics}]}, metrics as in the summary with ``abstention``, the share of frames without a
        pose; hidden objects have only that. None where nothing is known
    """
    present = table.inputs('perception') & ~table.is_without_object
    is_true = bool((present & np.isfinite(table.visible_share)).any())
    shares = table.visible_share if is_true else table.estimated_share
    known = present & (shares >= 0) & (shares <= 1)
    if not known.any():
        return None
    metrics = [*(catalogue()[name] for name in SLICED), *([ABSTENTION] if is_true else [])]
    slices = []
    for each in SLICES:
        frames = known & (shares >= each.low) & (shares < each.high)
        slices.append({**each._asdict(), 'high': min(each.high, 1.0), 'frames': int(np.count_nonzero(frames)),
                       'metrics': {metric.name: measured(metric, table, unlike, frames) for metric in metrics}})
    return {'source': TRUE if is_true else ESTIMATED, 'unknown': int((present & ~known).sum()), 'slices': slices}
