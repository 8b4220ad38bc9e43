# SPDX-License-Identifier: Apache-2.0
"""Wrong lengths: another unit, a mesh of another size, a wrong focal length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.lengths import Depth, Scale, Unit
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.pose_pairs import PosePairs

UNITS = {'millimetres': 1e-3, 'centimetres': 1e-2, 'inches': 0.0254, 'feet': 0.3048, 'kilometres': 1e3}
NEAR_UNIT = 0.15
# Factors nearer to 1 than this are nobody's mistake but noise.
LEAST_FACTOR = 0.003


def _ratio(pairs: PosePairs) -> float:
    """True distance by stated distance; no rotation changes it."""
    stated = np.linalg.norm(pairs.estimates[:, :3, 3], axis=1)
    return float(np.median(np.linalg.norm(pairs.truths[:, :3, 3], axis=1) / np.maximum(stated, 1e-12)))


def _unit(pairs: PosePairs) -> list[Correction]:
    ratio = _ratio(pairs)
    return [Unit(factor) for factor in UNITS.values() if abs(np.log(ratio / factor)) < NEAR_UNIT]


def _mesh_scale(pairs: PosePairs) -> list[Correction]:
    return [Scale(_ratio(pairs))]


def _focal_length(pairs: PosePairs) -> list[Correction]:
    with np.errstate(divide='ignore', invalid='ignore'):
        ratio = float(np.nanmedian(pairs.truths[:, 2, 3] / pairs.estimates[:, 2, 3]))
    return [Depth(ratio)] if 0 < ratio < np.inf else []


def _says_unit(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Unit)
    name = next(name for name, factor in UNITS.items() if factor == correction.factor)
    return f'positions are in {name}: multiply them by {correction.factor:g}'


def _says_mesh_scale(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Scale)
    return (f'distances are too {"small" if correction.factor > 1 else "large"}: multiply positions by '
            f'{correction.factor:.4f} (the mesh has another size than the object)')


def _says_focal_length(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Depth)
    text = f'depth is to be multiplied by {correction.factor:.4f}: the focal length that was used is wrong'
    if pairs.camera is None:
        return text
    right_px = float(pairs.camera.matrix[0, 0])
    return f'{text}, {right_px / correction.factor:.1f} px in the place of {right_px:.1f} px'


def _is_far_from_1(correction: Correction, pairs: PosePairs) -> bool:
    assert isinstance(correction, (Scale, Depth))
    return abs(np.log(correction.factor)) > LEAST_FACTOR


SCALE_FAULTS: Sequence[FaultKind] = (
    FaultKind('unit', _unit, _says_unit),
    FaultKind('mesh_scale', _mesh_scale, _says_mesh_scale, _is_far_from_1),
    FaultKind('focal_length', _focal_length, _says_focal_length, _is_far_from_1),
)
