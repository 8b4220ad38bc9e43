# SPDX-License-Identifier: Apache-2.0
"""Clips of simulated picks as they happen: the first that held and the first that failed, of each object."""

from __future__ import annotations

from pathlib import Path

from posegrasp_ros.report.clips import Clip, clip_addresses, write_clips
from posegrasp_ros.simulation.pick import PickOutcome
from posegrasp_ros.simulation.pick_film import FILM_HZ, MOST_FILMS
from posegrasp_ros.simulation.world import World


class PickClips:
    """Draws a few picks, and writes them to a file for the report.

    :param path: JSON file
    """

    def __init__(self, path: Path):
        self._path = path
        self._clips: dict[tuple[str, bool], Clip] = {}

    def consider(self, world: World, object_name: str, number: int, outcome: PickOutcome) -> None:
        """Draw a pick if it is the first of its kind; the world is at its end.

        :param number: of the pick, from 1
        :raises OSError: when the file cannot be written
        """
        key = object_name, outcome.ok
        if key in self._clips or len(self._clips) >= MOST_FILMS:
            return
        addresses = clip_addresses(world.film(outcome.states), FILM_HZ)
        self._clips[key] = Clip(object_name, outcome.ok, outcome.result, f'pick {number}', *addresses)
        write_clips(self._path, list(self._clips.values()))
