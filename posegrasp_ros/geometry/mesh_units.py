# SPDX-License-Identifier: Apache-2.0
"""Units of length in mesh files: what a file states, and what fits where it states none or a wrong one."""

from __future__ import annotations

import numpy as np
import trimesh
from trimesh.units import unit_conversion

LEAST_SIZE_M, MOST_SIZE_M = 0.005, 2.0
# Units of modelling tools other than metres.
UNITS_M = {'millimetres': 0.001, 'centimetres': 0.01, 'inches': 0.0254}
# What most grippers hold: this long, and at most this wide on its narrowest side.
USUAL_LENGTH_M, GRIPPER_OPENING_M = 0.12, 0.08
TOO_WIDE_M = 0.3  # of the narrowest side: no gripper holds it


def stated_unit_m(loaded: trimesh.Trimesh) -> float | None:
    """The unit that a Collada, 3MF or glTF file states, in metres; None where the format or the file has none.

    :raises ValueError: for a unit that is not known
    """
    if loaded.units is None:
        return None
    try:
        unit_m = float(unit_conversion(loaded.units, 'meters'))
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'states the unit {loaded.units!r}, expected a unit of length') from error
    if not 0 < unit_m < np.inf:
        raise ValueError(f'states a unit of {unit_m:g} m, expected a positive length')
    # where it is metres all but the last digit, so that the vertices stay as they are
    return 1.0 if np.isclose(unit_m, 1.0, rtol=1e-9) else unit_m


def is_plausible(extents_m: np.ndarray) -> bool:
    """Whether something of this size may be an object to grasp."""
    return bool(LEAST_SIZE_M <= extents_m.max() <= MOST_SIZE_M)


def is_too_wide(extents_m: np.ndarray) -> bool:
    """Whether no gripper holds something of this size, so that the unit is in doubt."""
    return bool(extents_m.min() > TOO_WIDE_M)


def in_other_units(extents: np.ndarray) -> str:
    """The size in metres for each common unit that would make it plausible, likeliest first, as text."""
    fitting = sorted((name for name in UNITS_M if is_plausible(extents * UNITS_M[name])),
                     key=lambda name: _unlikeliness(extents * UNITS_M[name]))
    texts = [f'{name} ({extents.max() * UNITS_M[name]:.3g} m, scale by {UNITS_M[name]:g})' for name in fitting]
    return f'; is it in {" or ".join(texts)}?' if texts else ''


def _unlikeliness(extents_m: np.ndarray) -> tuple[bool, float]:
    """Things that a gripper can hold come first, then those of usual length."""
    return bool(extents_m.min() > GRIPPER_OPENING_M), float(abs(np.log(extents_m.max() / USUAL_LENGTH_M)))
