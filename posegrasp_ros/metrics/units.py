# SPDX-License-Identifier: Apache-2.0
"""Units of metrics: internal units, units accepted in files, and display units."""

from __future__ import annotations

import math

FACTORS = {
    'm': {'m': 1.0, 'mm': 1e-3, 'cm': 1e-2},
    'rad': {'rad': 1.0, 'deg': math.pi / 180},
    'px': {'px': 1.0},
    'ms': {'ms': 1.0, 's': 1e3},
    '1': {'1': 1.0, '%': 1e-2},
}
"""For each internal unit the units accepted in files, with the factor to the internal unit."""
SHOWN_UNITS = {'m': (1e3, 'mm'), 'rad': (180 / math.pi, '°'), '1': (100.0, '%'), 'ms': (1.0, 'ms'),
               'px': (1.0, 'px')}
"""For each internal unit the factor to the display unit, and its name."""
