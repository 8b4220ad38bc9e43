# SPDX-License-Identifier: Apache-2.0
"""FaultKind: one kind of systematic fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.pose_pairs import PosePairs


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault.

    :param name: of the kind, in files and options
    :param candidates: corrections to try on pairs, each near enough to be refined
    :param says: what is to be corrected, with its number and unit, as a sentence
    :param is_kept: whether a refined correction is still of this kind; another kind names it otherwise
    """

    name: str
    candidates: Callable[[PosePairs], Sequence[Correction]]
    says: Callable[[Correction, PosePairs], str]
    is_kept: Callable[[Correction, PosePairs], bool] = lambda correction, pairs: True
