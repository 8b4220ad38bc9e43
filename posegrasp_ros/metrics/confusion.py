# SPDX-License-Identifier: Apache-2.0
"""Confusion of objects: which object's model found what in images that show several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from posegrasp_ros.metrics.frame_record import Point

NOT_FOUND, NOTHING = 'not found', 'nothing'
"""What an instance that no pose belongs to was taken for, and the place of a pose that belongs to no instance."""


class Sighting(NamedTuple):
    """One object in one image.

    :param centres: of the estimated poses, best first
    :param true_centres: of the instances
    :param radius_m: half the object's diameter
    """

    centres: Sequence[Point]
    true_centres: Sequence[Point]
    radius_m: float


def taken_for(sightings: Mapping[str, Sighting]) -> dict[str, tuple[tuple[str, ...], int]]:
    """What each instance in an image was taken for.

    The nearest pose and instance belong together, then the nearest of the others, and so on, whatever the pose's
    accuracy, as long as its centre lies within the instance's radius.

    :param sightings: by the object's name
    :return: by the object's name, for each of its instances the object of its pose or :data:`NOT_FOUND`, and how
        many of the object's poses are on :data:`NOTHING`; nothing of an image without a known instance
    """
    poses = [(name, centre) for name, each in sightings.items() for centre in each.centres]
    instances = [(name, centre) for name, each in sightings.items() for centre in each.true_centres]
    owner: dict[int, int] = {}
    if not instances:
        return dict.fromkeys(sightings, ((), 0))
    if poses:
        distances = np.linalg.norm(np.array([centre for _, centre in instances])[:, None]
                                   - np.array([centre for _, centre in poses]), axis=2)
        reach = np.array([sightings[name].radius_m for name, _ in instances])[:, None]
        for flat in np.argsort(distances, axis=None, kind='stable'):
            instance, pose = (int(index) for index in np.unravel_index(flat, distances.shape))
            if distances[instance, pose] < reach[instance] and instance not in owner \
                    and pose not in owner.values():
                owner[instance] = pose
    taken = [(name, poses[owner[index]][0] if index in owner else NOT_FOUND)
             for index, (name, _) in enumerate(instances)]
    stray = [name for index, (name, _) in enumerate(poses) if index not in owner.values()]
    return {name: (tuple(other for true, other in taken if true == name), stray.count(name))
            for name in sightings}
