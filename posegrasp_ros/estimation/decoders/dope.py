# SPDX-License-Identifier: Apache-2.0
"""DOPE: networks that give belief maps of a cuboid's corners, and vectors to the centroid of each corner.

Deep Object Pose Estimation (Tremblay et al., CoRL 2018, arXiv:1809.10790), as NVIDIA's networks write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters, Lengths
from posegrasp_ros.estimation.decoders.keypoints import KeypointDecoder, KeypointInstance
from posegrasp_ros.estimation.decoders.letterbox import Fit
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError

CHANNELS = 25
CORNERS = 8
BELIEFS = CORNERS + 1
STRIDE = 8
FARTHEST_ANGLE_RAD = np.radians(30)
"""Between a corner's vector and the way to a centroid that it may belong to."""
MOST_STEPS = 50
CORNER_SIGNS = np.array([(1, -1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, 1),
                         (1, -1, -1), (-1, -1, -1), (-1, 1, -1), (1, 1, -1)], dtype=float)
"""(8, 3) corners in half extents, in the order of the maps, as NVlabs' code has them."""
CONVENTION_SIGNS = {'nvlabs': np.array([1.0, 1.0, 1.0]), 'isaac': np.array([-1.0, -1.0, 1.0])}
NO_OTHER_BOX = 0.1
"""The cuboid may differ from the mesh's box by this share of a side."""


class DopeParameters(DecoderParameters):
    """Parameters on the card."""

    corners: Literal['nvlabs', 'isaac']
    dimensions_m: Lengths | None = None
    threshold: float = Field(0.1, ge=0, le=1)
    smoothing_cells: float = Field(1.5, ge=0.5, le=5)
    # cell i averages eight pixels whose middle is 8 i + 3.5, so that pixels / 8 = cells + 0.4375
    offset_cells: float = Field(0.4375, ge=-1, le=1)
    fit: Fit = 'stretch'


class Dope(KeypointDecoder):
    """The eight corners and the centroid of the object's cuboid."""

    family = 'dope'
    parameters = DopeParameters
    input_defaults = {'colour': 'rgb', 'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]}
    least_sigma_px = 2.0  # a quarter of a cell

    @classmethod
    def check_card(cls, card: ModelCard) -> None:
        """Refuse a cuboid that cannot be this mesh's: in other units, or with its axes swapped."""
        sides = card.network.parameters.dimensions_m
        if sides is not None and (np.abs(sides - card.mesh.extents) > NO_OTHER_BOX * card.mesh.extents).any():
            raise card.parameter_error('dimensions_m', f'the sides of {card.mesh_path.name} along its x, y, z, '
                                                       f'{np.round(card.mesh.extents, 4).tolist()} m')

    @classmethod
    def object_keypoints(cls, card: ModelCard) -> np.ndarray:
        parameters: DopeParameters = card.network.parameters
        sides = card.mesh.extents if parameters.dimensions_m is None else parameters.dimensions_m
        return cuboid_keypoints(sides, card.mesh.centre, parameters.corners)

    def check_output(self, shape: Sequence[object]) -> None:
        width, height = self.network.card.size
        if list(shape) != [1, CHANNELS, height / STRIDE, width / STRIDE]:
            raise ModelCardError(f'{self.network.card.path}: decoder.family: dope reads an output of [1, 25, H/8, '
                                 f'W/8], or of [1, 9, H/8, W/8] and [1, 16, H/8, W/8], for its input of '
                                 f'{width}x{height}, the network gives {list(shape)}')

    def output(self, tensor: np.ndarray) -> np.ndarray | None:
        return joined_maps(list(self.network.run_all(tensor).values()))

    def decode(self, output: np.ndarray) -> list[KeypointInstance]:
        parameters: DopeParameters = self.network.card.parameters
        return decode_dope(output, parameters.threshold, parameters.smoothing_cells, parameters.offset_cells)

    def channels(self, section: str) -> str:
        return ("0 to 7 belief of the cuboid's corners, 8 of its centroid, 9 to 24 for each corner the vector "
                '(u, v) that points to its centroid')


@dataclass(frozen=True)
class Peaks:
    """Local maxima of one belief map.

    :param places: (N, 2) column and row, cells
    :param beliefs: (N,)
    """

    places: np.ndarray
    beliefs: np.ndarray


def cuboid_keypoints(extents_m: np.ndarray, centre_m: np.ndarray, convention: str) -> np.ndarray:
    """(9, 3) the corners in the order of the maps, then the centroid; object frame, metres.

    :param extents_m: (3,) side lengths
    :param convention: ``nvlabs``, or ``isaac`` where x and y are negated
    """
    corners = CORNER_SIGNS * CONVENTION_SIGNS[convention] * np.asarray(extents_m) / 2
    return np.vstack([corners, np.zeros(3)]) + centre_m


def joined_maps(outputs: Sequence[np.ndarray]) -> np.ndarray | None:
    """The maps of a network's last stage as one array (25, h, w).

    Isaac ROS exports them as one output. NVlabs' network has one output of beliefs and one of vectors, or such a
    pair for each of its six stages, all beliefs first; each stage mends what the one before found.

    :param outputs: in the order of the graph, with their batch dimensions
    :return: None when they are no such maps
    """
    of_length = {length: [each for each in outputs if each.ndim == 4 and each.shape[:2] == (1, length)]
                 for length in (CHANNELS, BELIEFS, CHANNELS - BELIEFS)}
    whole, beliefs, vectors = of_length.values()
    if whole:
        return whole[-1][0]
    if not beliefs or len(beliefs) != len(vectors) or beliefs[-1].shape[2:] != vectors[-1].shape[2:]:
        return None
    return np.concatenate([beliefs[-1][0], vectors[-1][0]])


def decode_dope(output: np.ndarray, threshold: float = 0.1, smoothing_cells: float = 1.5,
                offset_cells: float = 0.4375) -> list[KeypointInstance]:
    """The cuboids that the maps show, the surest first; nine keypoints each, the centroid last.

    :param output: (25, h, w) belief of corners 0 to 7, of the centroid, then per corner the unit vector's u and v
    :param threshold: least belief of a corner or centroid
    :param smoothing_cells: deviation of the Gaussian that the maps are smoothed with
    :param offset_cells: from a cell's index to where it lies in the input: pixels = (cells + offset) * 8
    """
    centroids = find_peaks(output[CORNERS], threshold, smoothing_cells)
    places = np.full((len(centroids.places), CORNERS + 1, 2), np.nan)
    places[:, CORNERS] = centroids.places
    for corner in range(CORNERS):
        peaks = find_peaks(output[corner], threshold, smoothing_cells)
        vectors = output[CORNERS + 1 + 2 * corner:CORNERS + 3 + 2 * corner]
        best = np.zeros(len(centroids.places))
        for place, belief, owner in zip(peaks.places, peaks.beliefs, assign(peaks, vectors, centroids)):
            if owner >= 0 and belief > best[owner]:
                places[owner, corner], best[owner] = place, belief
    pixels = (places + offset_cells) * STRIDE
    return [KeypointInstance(each, np.isfinite(each).all(axis=1), min(1.0, float(belief)))
            for each, belief in zip(pixels, centroids.beliefs)]


def find_peaks(belief: np.ndarray, threshold: float, smoothing_cells: float) -> Peaks:
    """Local maxima of the smoothed map, between the cells, the strongest first.

    :param belief: (h, w)
    """
    belief = np.maximum(np.nan_to_num(belief.astype(np.float32)), 0)
    smooth = cv2.GaussianBlur(belief, (0, 0), smoothing_cells, borderType=cv2.BORDER_CONSTANT)
    around = np.ones((3, 3), np.uint8)
    strength = cv2.dilate(belief, around)
    rows, columns = np.nonzero((smooth >= cv2.dilate(smooth, around)) & (smooth > 0) & (strength >= threshold))
    places: list[np.ndarray] = []
    beliefs = []
    for index in np.argsort(-strength[rows, columns], kind='stable'):
        place = weighted_mean(belief, columns[index], rows[index], smoothing_cells)
        # a maximum right between cells shows in both
        if all(np.linalg.norm(place - other) > 1 for other in places):
            places.append(place)
            beliefs.append(strength[rows[index], columns[index]])
    return Peaks(np.array(places).reshape(-1, 2), np.array(beliefs))


def weighted_mean(belief: np.ndarray, column: int, row: int, sigma_cells: float) -> np.ndarray:
    """(2,) column and row of a peak between the cells: the mean of the cells about it, weighed by their belief.

    Cells count less with a Gaussian of their distance, and the mean is taken again about itself until it rests:
    a window about the nearest cell would pull it there. It rests where the map smoothed with that Gaussian has its
    maximum (mean shift: Comaniciu and Meer, PAMI 2002). The Gaussian is narrower at the map's border, which would
    cut it off at one side.
    """
    reach = int(np.ceil(3 * sigma_cells))
    top, left = max(0, row - reach), max(0, column - reach)
    window = belief[top:row + reach + 1, left:column + reach + 1].astype(float)
    rows, columns = top + np.arange(window.shape[0]), left + np.arange(window.shape[1])
    place, last = np.array([column, row], dtype=float), np.array(belief.shape[::-1]) - 1
    for _ in range(MOST_STEPS):
        to_border = np.minimum(place, last - place) + 0.5
        sigma_u, sigma_v = np.clip(to_border / 2.5, 0.5, sigma_cells)
        across = np.exp(-0.5 * ((columns - place[0]) / sigma_u) ** 2)
        down = np.exp(-0.5 * ((rows - place[1]) / sigma_v) ** 2)
        mass = down @ window @ across
        mean = np.array([down @ window @ (across * columns), (down * rows) @ window @ across]) / mass
        before, place = place, mean
        if np.abs(place - before).max() < 1e-3:
            break
    return place


def assign(peaks: Peaks, vectors: np.ndarray, centroids: Peaks) -> np.ndarray:
    """(N,) index of the centroid that each corner's vector points at; -1 for none.

    Of the centroids within the angle, the one that the ray passes nearest. A corner seen in front of its centroid
    has no direction and belongs to that.

    :param vectors: (2, h, w) u and v, of any length
    """
    owners = np.full(len(peaks.places), -1)
    if len(centroids.places) == 0 or len(owners) == 0:
        return owners
    columns, rows = np.rint(peaks.places).astype(int).T
    directions = np.stack([cv2.blur(part.astype(np.float32), (3, 3))[rows, columns] for part in vectors], axis=1)
    ways = centroids.places[None] - peaks.places[:, None]  # (N, M, 2)
    distances = np.linalg.norm(ways, axis=2)
    lengths = np.linalg.norm(directions, axis=1)[:, None]
    cosines = np.einsum('nmd,nd->nm', ways, directions) / np.maximum(distances * lengths, 1e-9)
    misses = distances * np.sqrt(np.maximum(0, 1 - cosines ** 2))
    near = distances < 1
    misses[~near & (cosines < np.cos(FARTHEST_ANGLE_RAD))] = np.inf
    misses[near] = 0.0
    best = misses.argmin(axis=1)
    found = np.isfinite(misses[np.arange(len(best)), best])
    owners[found] = best[found]
    return owners
