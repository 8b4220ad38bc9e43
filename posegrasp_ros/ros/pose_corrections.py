# SPDX-License-Identifier: Apache-2.0
"""Corrections of poses that nodes apply: maps of the pose. Stamps join the stages and are never moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from posegrasp_ros.faults.correction import Correction, DeclaredSymmetry, Time
from posegrasp_ros.faults.correction_file import read_corrections


def corrections_of(path: str, objects: Sequence[str],
                   tell: Callable[[str], None]) -> dict[str, tuple[Correction, ...]]:
    """By object the corrections of a file that posegrasp evaluate wrote.

    :param path: empty for none
    :param objects: names of the node's objects, '' of the only one
    :param tell: takes a line about what is left out
    :raises InvalidInputError: when it is no such file
    """
    if not path:
        return {}
    stated = read_corrections(path)
    left_out = sorted({each.kind for found in stated.values() for each in found
                       if isinstance(each, (Time, DeclaredSymmetry))})
    if left_out:
        tell(f'{path}: {", ".join(left_out)}: not applied by nodes, mend the cause')
    if others := stated.keys() - set(objects):
        tell(f'{path}: corrections of {", ".join(sorted(others))}, which this node has not, are left out')
    return {name: tuple(each for each in found if not isinstance(each, (Time, DeclaredSymmetry)))
            for name, found in stated.items() if name in objects}


def corrected_pose(corrections: Sequence[Correction], camera_from_object: np.ndarray,
                   covariance: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A pose (4, 4) after corrections, in their order, and its (6, 6) covariance; None where it is not known."""
    for correction in corrections:
        camera_from_object = correction.apply(camera_from_object[None])[0]
        covariance = None if covariance is None else correction.moved_covariance(covariance)
    return camera_from_object, covariance if covariance is not None and covariance.any() else None
