# SPDX-License-Identifier: Apache-2.0
"""Wrong stamps: poses of some time ago under the stamps of new images, or a clock that is off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.stamps import Time
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.fitting import searched_time
from posegrasp_ros.faults.pose_pairs import PosePairs

LEAST_S = 0.002
ROUNDING_NS = 1_000


def _shifts(pairs: PosePairs) -> list[Correction]:
    found = searched_time(pairs)
    return [found] if found and abs(found.shift_s) >= LEAST_S else []


def _is_lag(correction: Correction, pairs: PosePairs) -> bool:
    """Poses of some time ago have the stamps of images; those of another clock have not."""
    assert isinstance(correction, Time)
    return correction.shift_s < 0 and bool(np.abs(pairs.said_ns - pairs.stamps_ns).max() <= ROUNDING_NS)


def _is_clock(correction: Correction, pairs: PosePairs) -> bool:
    return not _is_lag(correction, pairs)


def _says_lag(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Time)
    return (f'poses are those of {-1e3 * correction.shift_s:.0f} ms before the image whose stamp they have: keep '
            'the stamp of the image that was processed')


def _says_clock(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Time)
    late = 'ahead of' if correction.shift_s < 0 else 'behind'
    return (f'the stamps of the poses are {1e3 * abs(correction.shift_s):.0f} ms {late} those of the images: '
            'synchronise the clocks, or take the stamp of the image')


TIME_FAULTS: Sequence[FaultKind] = (
    FaultKind('lag', _shifts, _says_lag, _is_lag),
    FaultKind('clock_offset', _shifts, _says_clock, _is_clock),
)
