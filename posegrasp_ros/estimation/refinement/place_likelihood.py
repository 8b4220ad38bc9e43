"""Likelihood of each place of an edge along lines across it, from the colours to either side and the contrast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import steepness
from posegrasp_ros.estimation.refinement.colour_statistics import BINS
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
    :param steps_px: (N, 2) length of a step in the image
    :param second_shown: (N,) whether the second side is a face of the object; else it is what is around it
    :param contrast: (N,) weight of the gradient, see :func:`contrast_weights`
    """

    colours: np.ndarray
    sigmas: np.ndarray
    steps_px: np.ndarray
    second_shown: np.ndarray
    contrast: np.ndarray


def contrast_weights(colours: np.ndarray, second_shown: np.ndarray) -> np.ndarray:
    """(N,) how much gradients say of an edge: little where the print beside it changes more than across it.

    :param colours: see :class:`Sides`
    """
    sides = np.stack([np.ones(len(second_shown), bool), second_shown], axis=1)
    change = np.linalg.norm(np.diff(colours[:, :, :PRINT_STEPS], axis=2), axis=3)
    print_change = np.where(sides[:, :, None], np.nan_to_num(change), 0.0).max(axis=(1, 2))
    across = np.linalg.norm(colours[:, 0, 0] - colours[:, 1, 0], axis=1)
    edge_change = np.where(second_shown, np.nan_to_num(across), OUTLINE_CHANGE)
    return CONTRAST * edge_change / (edge_change + print_change + 1e-6)


@compiled
def place_likelihoods(image: np.ndarray, tensor: np.ndarray, lines: Lines, sides: Sides, inside: np.ndarray,
                      outside: np.ndarray, transition_px: float) -> tuple:
    """Log likelihood of every place of every line.

    :param image: (S, S, 3) float32
    :param tensor: of its derivatives, see :attr:`Picture.tensor`
    :param inside: density of the object's colours, see :func:`colour_statistics.densities`
    :param outside: density of the colours around it
    :param transition_px: half width of the transition between the sides
    :return: (N, K), and (N,) of a line if something hides the edge
    """
    count, places, reads = len(lines.centres), len(lines.places_px), len(lines.reads_px)
    most = sides.colours.shape[2]
    result, hidden = np.empty((count, places)), np.zeros(count)
    colour, temper = np.empty(3), TEMPER * (lines.reads_px[1] - lines.reads_px[0])
    # log densities by read and step from the edge; the last step is beyond what is known
    first, second = np.empty((count, reads, most + 1)), np.empty((count, reads, most + 1))
    for i in range(count):
        for r in range(reads):
            _read(image, lines.centres[i, 0] + lines.reads_px[r] * lines.across[i, 0],
                  lines.centres[i, 1] + lines.reads_px[r] * lines.across[i, 1], colour)
            own, around = _density(inside, colour), _density(outside, colour)
            hidden[i] += temper * np.log(0.5 * around + 0.5)
            for k in range(most + 1):
                first[i, r, k] = np.log(_beside(colour, sides, i, 0, k, own))
                if sides.second_shown[i]:
                    second[i, r, k] = np.log(_beside(colour, sides, i, 1, k, own))
                else:
                    second[i, r, k] = np.log(around)
    balance = _balance(first, second, lines, sides)
    for i in range(count):
        lean = 0.0 if sides.second_shown[i] else balance
        for p in range(places):
            total = 0.0
            for r in range(reads):
                distance = lines.reads_px[r] - lines.places_px[p]
                share = min(max(0.5 - 0.5 * distance / transition_px, 0.0), 1.0)  # of the first side
                one = first[i, r, min(int(max(-distance, 0.0) / sides.steps_px[i, 0]), most)] - lean
                other = second[i, r, min(int(max(distance, 0.0) / sides.steps_px[i, 1]), most)]
                if share == 1 or share == 0:
                    total += share * one + (1 - share) * other
                else:
                    larger = max(one, other)
                    total += larger + np.log(share * np.exp(one - larger) + (1 - share) * np.exp(other - larger))
            steep = steepness(tensor, lines.centres[i, 0] + lines.places_px[p] * lines.across[i, 0],
                              lines.centres[i, 1] + lines.places_px[p] * lines.across[i, 1],
                              lines.across[i, 0], lines.across[i, 1])
            result[i, p] = temper * total + sides.contrast[i] * np.log(min(steep, STRONG) + FAINT)
    return result, hidden


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
            k = min(int(max(-place, 0.0) / sides.steps_px[i, 0]), first.shape[2] - 1)
            ratio = min(max(first[i, r, k] - second[i, r, 0], -MOST_RATIO), MOST_RATIO)
            if place < -end:
                total_in, count_in = total_in + ratio, count_in + 1
            elif place > end:
                total_out, count_out = total_out + ratio, count_out + 1
    return 0.5 * (total_in / max(count_in, 1) + total_out / max(count_out, 1))


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
def _density(table: np.ndarray, colour: np.ndarray) -> float:
    scale = BINS / 256
    return table[min(max(int(colour[0] * scale), 0), BINS - 1), min(max(int(colour[1] * scale), 0), BINS - 1),
                 min(max(int(colour[2] * scale), 0), BINS - 1)]


@compiled
def _beside(colour: np.ndarray, sides: Sides, i: int, side: int, k: int, own: float) -> float:
    """Relative density of a colour k steps from the edge on a face of the object."""
    if k >= sides.colours.shape[2] or np.isnan(sides.colours[i, side, k, 0]):
        return (OF_MESH + OF_IMAGE) * own + OF_ANYTHING
    squared = 0.0
    for c in range(3):
        squared += (colour[c] - sides.colours[i, side, k, c]) ** 2
    ratio = 256.0 / sides.sigmas[i, side, k]
    # a Gaussian of CHANNELS dimensions
    exact = (ratio / 2.5066) ** CHANNELS * np.exp(-0.5 * squared * (CHANNELS / 3) * (ratio / 256) ** 2)
    return OF_MESH * exact + OF_IMAGE * own + OF_ANYTHING
