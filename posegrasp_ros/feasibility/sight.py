# SPDX-License-Identifier: Apache-2.0
"""Attainable accuracy over sampled views of a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.feasibility.attainable.attainable_accuracy import AttainableAccuracy, attainable_accuracy
from posegrasp_ros.feasibility.attainable.view_sampling import sample_views
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.runtime.progress import Progress


def look(cell: Cell, count: int, seed: int, free_axes: Sequence[np.ndarray] | None = None,
         chosen: Sequence[int] | None = None, progress: bool = False) -> AttainableAccuracy:
    """Compute the accuracy bounds of ``count`` views of a cell.

    :param free_axes: undeclared symmetry axes found earlier for the same object; None to search for ambiguities
    :param chosen: indices of the views to evaluate; None for all
    """
    views = sample_views(cell.mesh, cell.camera, cell.distances_m, count=count, seed=seed)
    if chosen is not None:
        views = [views[number] for number in chosen]
    with Progress(total=len(views), desc='views', unit='view', disable=not progress) as bar:
        return attainable_accuracy(cell.mesh, cell.camera, views, cell.imaging, cell.named.symmetry, seed,
                                   progress=bar.update, free_axes=free_axes)
