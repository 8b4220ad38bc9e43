# SPDX-License-Identifier: Apache-2.0
"""Corrections of poses that nodes apply: maps of the pose. Stamps join the stages and are never moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from posegrasp_ros.faults.correction_file import read_corrections
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.stamps import Time
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry


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
        tell(f'{path}: {", ".join(left_out)}: not applied by nodes, fix the cause')
    if others := stated.keys() - set(objects):
        tell(f'{path}: corrections of {", ".join(sorted(others))}, which this node does not have, are ignored')
    return {name: tuple(each for each in found if not isinstance(each, (Time, DeclaredSymmetry)))
            for name, found in stated.items() if name in objects}
