# SPDX-License-Identifier: Apache-2.0
"""Lens models of sensor_msgs/CameraInfo: their names, and the range where they map rays to pixels one to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Coefficient counts that OpenCV accepts; the first ones have the same meaning in all of its pinhole models.
PINHOLE_LENGTHS = (4, 5, 8, 12, 14)
DISTORTION_LENGTHS = {'plumb_bob': PINHOLE_LENGTHS, 'rational_polynomial': PINHOLE_LENGTHS, 'equidistant': (4,)}
# Other names of these models in drivers and calibration tools.
OTHER_NAMES = {'radtan': 'plumb_bob', 'brown_conrady': 'plumb_bob', 'rational': 'rational_polynomial',
               'fisheye': 'equidistant', 'equi': 'equidistant', 'kannala_brandt': 'equidistant',
               'kannala_brandt4': 'equidistant'}
# Names that do not identify the model: plumb_bob is assumed if the coefficients are unambiguous.
OPEN_NAMES = ('', 'none', 'pinhole')
# No lens described by these models sees a ray farther off the axis than this.
MOST_TANGENT = 1e3


def lens_model(name: str, coefficients: np.ndarray) -> str | None:
    """The model in :data:`DISTORTION_LENGTHS` that a CameraInfo's ``distortion_model`` means.

    :param coefficients: (n,) D of the same CameraInfo
    :return: None where the name is unknown, or ambiguous with coefficients that fit several models
    """
    known = name.strip().lower().replace(' ', '_').replace('-', '_')
    known = OTHER_NAMES.get(known, known)
    if known not in OPEN_NAMES:
        return known if known in DISTORTION_LENGTHS else None
    if not np.any(coefficients):
        return 'plumb_bob'
    # Four coefficients could also be those of a fisheye lens; 'none' with coefficients is a contradiction.
    return 'plumb_bob' if known != 'none' and len(coefficients) in PINHOLE_LENGTHS[1:] else None


def fold_tangent(model: str, coefficients: np.ndarray) -> float:
    """Tangent of the angle off the axis up to which a lens model maps rays outwards one to one.

    Beyond it the polynomial folds back and pixels repeat for other rays, which no real lens does; points there are
    not in the image. Tangential and thin-prism terms are small and neglected.

    :param model: one of :data:`DISTORTION_LENGTHS`
    :param coefficients: (n,), none for no distortion
    :return: above 0, :data:`MOST_TANGENT` at most
    """
    if model == 'equidistant':
        powers = np.concatenate([coefficients, np.zeros(4 - len(coefficients))])
        angle_rad = _least_positive_root([(2 * i + 3) * powers[i] for i in (3, 2, 1, 0)] + [1.0]) ** 0.5
        return float(np.tan(angle_rad)) if angle_rad < np.arctan(MOST_TANGENT) else MOST_TANGENT
    k1, k2, _, _, k3, k4, k5, k6 = np.concatenate([coefficients, np.zeros(8)])[:8]
    above, below = np.poly1d([k3, k2, k1, 1.0]), np.poly1d([k6, k5, k4, 1.0])
    # With s = r², the radius r n(s) / d(s) grows while (n + 2 s n') d > 2 s n d'.
    two_s = np.poly1d([2.0, 0.0])
    growth = (above + two_s * above.deriv()) * below - two_s * above * below.deriv()
    least = min(_least_positive_root(growth.coeffs), _least_positive_root(below.coeffs))
    return float(min(least**0.5, MOST_TANGENT))


def _least_positive_root(coefficients: Sequence[float] | np.ndarray) -> float:
    """Smallest positive real root of a polynomial, highest power first; inf where there is none."""
    roots: np.ndarray = np.roots(coefficients)
    real = roots.real[(np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)]
    return float(real.min(initial=np.inf))
