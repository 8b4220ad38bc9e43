# SPDX-License-Identifier: Apache-2.0
"""Likelihood of each place of an edge along lines across it, from the colours to either side and the contrast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import steepness
from posegrasp_ros.estimation.refinement.colour_statistics import bin_of
from posegrasp_ros.runtime.numba_cache import compiled

OF_MESH, OF_IMAGE, OF_ANYTHING = 0.6, 0.37, 0.03
"""Shares of the density of a pixel on the object: the mesh's colour at the place, the object's colours in the
image, any colour."""
CHANNELS = 1.5
"""Effective number of independent channels."""
TEMPER = 0.15
"""Number of independent measurements that a pixel of a line counts for."""
CONTRAST, STRONG, FAINT = 3.0, 30.0, 3.0
"""Weight of the logarithm of the gradient across the edge; gradients above and below which all count as equal, of
255 per pixel."""
PRINT_STEPS, OUTLINE_CHANGE = 4, 60.0
"""Steps from an edge within which print may be taken for it; assumed change of colour across an outline, of 255
and over the three channels."""
OTHER, UNKNOWN, AROUND, HIDDEN = range(4)
"""What log densities are of: a pixel of the object if the mesh's colour at the place is not this one, or is not
known; a pixel around the object; one of an edge that something hides."""
NOTHING = -1e9
"""Logarithm that stands for that of zero."""
TABLE_A_UNIT, TABLE_END = 32, 16
_LOG_1_PLUS_EXP = np.log1p(np.exp(-np.arange(TABLE_A_UNIT * TABLE_END + 1) / TABLE_A_UNIT))
MOST_RATIO = 4.0
"""Largest logarithm of a ratio of densities that counts in their balance."""


class Lines(NamedTuple):
    """Lines across edges.

    :param centres: (N, 2) pixels
    :param across: (N, 2) unit, from the first side to the second
    :param places_px: (K,) along the lines
    :param reads_px: (R,) where pixels are read
    """

    centres: np.ndarray
    across: np.ndarray
    places_px: np.ndarray
    reads_px: np.ndarray


class Sides(NamedTuple):
    """Expected colours on both sides of edges.

    :param colours: (N, 2, S, 3) in steps from the edge, NaN beyond the face
    :param sigmas: (N, 2, S) standard deviations
    :param log_peaks: (N, 2, S) :func:`log_peak` of them
    :param steps_px: (N, 2) length of a step in the image
    :param second_shown: (N,) whether the second side is a face of the object; else it is what is around it
    """

    colours: np.ndarray
    sigmas: np.ndarray
    log_peaks: np.ndarray
    steps_px: np.ndarray
    second_shown: np.ndarray


@compiled
def log_peak(sigma: float) -> float:
    """Log density of a pixel whose colour is exactly as expected: the peak of a Gaussian of :data:`CHANNELS`
    dimensions."""
    return np.log(OF_MESH) + CHANNELS * np.log(256 / (np.sqrt(2 * np.pi) * sigma))


@compiled
def log_densities(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Logarithms of relative densities by colour, (BINS, BINS, BINS, 4), the last axis as :data:`OTHER` and so on.

    :param inside: density of the object's colours, see :func:`colour_statistics.densities`
    :param outside: density of the colours around it
    """
    table = np.empty((*inside.shape, 4), np.float32)
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            for k in range(inside.shape[2]):
                own, around = inside[i, j, k], outside[i, j, k]
                table[i, j, k, OTHER] = np.log(np.float32(OF_IMAGE) * own + np.float32(OF_ANYTHING))
                table[i, j, k, UNKNOWN] = np.log(np.float32(OF_MESH + OF_IMAGE) * own + np.float32(OF_ANYTHING))
                table[i, j, k, AROUND] = np.log(around)
                table[i, j, k, HIDDEN] = np.log(np.float32(0.5) * around + np.float32(0.5))
    return table


@compiled
def place_likelihoods(image: np.ndarray, tensor: np.ndarray, lines: Lines, sides: Sides, densities: np.ndarray,
                      transition_px: float) -> tuple:
    """Log likelihood of every place of every line.

    :param image: (S, S, 3) float32
    :param tensor: of its derivatives, see :attr:`Picture.tensor`
    :param densities: see :func:`log_densities`
    :param transition_px: half width of the transition between the sides
    :return: (N, K), and (N,) of a line if something hides the edge
    """
    count, places, reads = len(lines.centres), len(lines.places_px), len(lines.reads_px)
    nearest, farthest = lines.places_px[0], lines.places_px[-1]
    most = sides.colours.shape[2]
    result, hidden = np.empty((count, places)), np.zeros(count)
    colour, temper = np.empty(3), TEMPER * (lines.reads_px[1] - lines.reads_px[0])
    # log densities by read and step from the edge; the last step is beyond what is known
    first, second = np.empty((count, reads, most + 1)), np.empty((count, reads, most + 1))
    for i in range(count):
        for r in range(reads):
            at = lines.reads_px[r]
            _read(image, lines.centres[i, 0] + at * lines.across[i, 0],
                  lines.centres[i, 1] + at * lines.across[i, 1], colour)
            logs = _look_up(densities, colour)
            hidden[i] += temper * logs[HIDDEN]
            # only the steps that some place asks for
            for k in range(_step(nearest - at, sides, i, 0), _step(farthest - at, sides, i, 0) + 1):
                first[i, r, k] = _log_beside(colour, sides, i, 0, k, logs)
            if sides.second_shown[i]:
                for k in range(_step(at - farthest, sides, i, 1), _step(at - nearest, sides, i, 1) + 1):
                    second[i, r, k] = _log_beside(colour, sides, i, 1, k, logs)
            else:
                second[i, r, :] = logs[AROUND]
    balance = _balance(first, second, lines, sides)
    log_first, log_second = _log_shares(lines, transition_px)
    for i in range(count):
        lean, contrast = 0.0 if sides.second_shown[i] else balance, contrast_weight(sides, i)
        for p in range(places):
            total = 0.0
            for r in range(reads):
                distance = lines.reads_px[r] - lines.places_px[p]
                one = first[i, r, _step(-distance, sides, i, 0)] - lean + log_first[p, r]
                other = second[i, r, _step(distance, sides, i, 1)] + log_second[p, r]
                total += log_sum(one, other)
            steep = steepness(tensor, lines.centres[i, 0] + lines.places_px[p] * lines.across[i, 0],
                              lines.centres[i, 1] + lines.places_px[p] * lines.across[i, 1],
                              lines.across[i, 0], lines.across[i, 1])
            change = contrast * np.log(min(steep, STRONG) + FAINT)
            result[i, p] = temper * total + change
            hidden[i] += change / places  # gradients are then those of any place
    return result, hidden


@compiled
def _log_shares(lines: Lines, transition_px: float) -> tuple:
    """Logarithms of the shares (K, R) of the first and the second side in a pixel, by place and read."""
    shape = len(lines.places_px), len(lines.reads_px)
    first, second = np.empty(shape), np.empty(shape)
    for p in range(shape[0]):
        for r in range(shape[1]):
            share = min(max(0.5 - 0.5 * (lines.reads_px[r] - lines.places_px[p]) / transition_px, 0.0), 1.0)
            first[p, r] = np.log(share) if share > 0 else NOTHING
            second[p, r] = np.log(1 - share) if share < 1 else NOTHING
    return first, second


@compiled
def log_sum(one: float, other: float) -> float:
    """log(exp(one) + exp(other)), to 1e-4: from a table, because exponentials would take most of the time."""
    distance = abs(one - other) * TABLE_A_UNIT
    index = int(distance)
    larger = max(one, other)
    if index >= len(_LOG_1_PLUS_EXP) - 1:
        return larger
    share = distance - index
    return larger + (1 - share) * _LOG_1_PLUS_EXP[index] + share * _LOG_1_PLUS_EXP[index + 1]


@compiled
def _balance(first: np.ndarray, second: np.ndarray, lines: Lines, sides: Sides) -> float:
    """What log densities of the object have over those of its surroundings where neither is right more often.

    The two are estimated in different ways. Where a picture shows one colour alone, their ratio must say nothing
    of the outline; it is taken in the middle between the ratios inside and outside of all places.

    :param first: (N, R, S + 1) log densities of the first side, and of the second
    """
    end = lines.places_px[-1]
    total_in, total_out, count_in, count_out = 0.0, 0.0, 0, 0
    for i in range(len(first)):
        if sides.second_shown[i]:
            continue
        for r in range(first.shape[1]):
            place = lines.reads_px[r]
            ratio = min(max(first[i, r, _step(-place, sides, i, 0)] - second[i, r, 0], -MOST_RATIO), MOST_RATIO)
            if place < -end:
                total_in, count_in = total_in + ratio, count_in + 1
            elif place > end:
                total_out, count_out = total_out + ratio, count_out + 1
    return 0.5 * (total_in / max(count_in, 1) + total_out / max(count_out, 1))


@compiled
def _step(distance_px: float, sides: Sides, i: int, side: int) -> int:
    """Index of the colour of a face at a distance from the edge; the last is beyond what is known."""
    return min(int(max(distance_px, 0.0) / sides.steps_px[i, side]), sides.colours.shape[2])


@compiled
def contrast_weight(sides: Sides, i: int) -> float:
    """How much gradients say of an edge: little where the print beside it changes more than across it."""
    print_change = 0.0
    for side in range(2 if sides.second_shown[i] else 1):
        for k in range(PRINT_STEPS - 1):
            print_change = max(print_change, _change(sides.colours[i, side, k], sides.colours[i, side, k + 1]))
    across = _change(sides.colours[i, 0, 0], sides.colours[i, 1, 0]) if sides.second_shown[i] else OUTLINE_CHANGE
    return CONTRAST * across / (across + print_change + 1e-6)


@compiled
def _change(one: np.ndarray, other: np.ndarray) -> float:
    """Distance of two colours; 0 where one is unknown."""
    squared = 0.0
    for c in range(3):
        squared += (one[c] - other[c]) ** 2
    return np.sqrt(squared) if squared > 0 else 0.0


@compiled
def _read(image: np.ndarray, u: float, v: float, colour: np.ndarray) -> None:
    """Interpolate an image bilinearly, in place of ``colour``; beyond its border the nearest pixel."""
    last = len(image) - 1.001
    u, v = min(max(u, 0.0), last), min(max(v, 0.0), last)
    column, row = int(u), int(v)
    right, below = u - column, v - row
    for c in range(3):
        colour[c] = ((1 - below) * ((1 - right) * image[row, column, c] + right * image[row, column + 1, c])
                     + below * ((1 - right) * image[row + 1, column, c] + right * image[row + 1, column + 1, c]))


@compiled
def _look_up(densities: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(4,) log densities of a colour, see :func:`log_densities`."""
    return densities[bin_of(colour[0]), bin_of(colour[1]), bin_of(colour[2])]


@compiled
def _log_beside(colour: np.ndarray, sides: Sides, i: int, side: int, k: int, logs: np.ndarray) -> float:
    """Log of the relative density of a colour k steps from the edge on a face of the object."""
    if k >= sides.colours.shape[2] or np.isnan(sides.colours[i, side, k, 0]):
        return logs[UNKNOWN]
    squared = 0.0
    for c in range(3):
        squared += (colour[c] - sides.colours[i, side, k, c]) ** 2
    return log_sum(sides.log_peaks[i, side, k] - 0.5 * squared * (CHANNELS / 3) / sides.sigmas[i, side, k] ** 2,
                   logs[OTHER])
