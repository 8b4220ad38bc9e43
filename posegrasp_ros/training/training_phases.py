# SPDX-License-Identifier: Apache-2.0
"""Phases of a training, with the time that each takes."""

from __future__ import annotations

from collections.abc import Mapping

from posegrasp_ros.runtime.progress import Phases

READING, RENDERING, BACKGROUNDS = 'reading the recordings', 'rendering views', 'rendering backgrounds'
FITTING, MEASURING = 'fitting the score', 'measuring'
EXPECTED_S = {FITTING: 110.0, MEASURING: 90.0}
"""On two cores of a server, like the times below."""
VIEW_S, READING_S, BACKGROUNDS_S = 0.03, 20.0, 40.0
MEASURING_SHARE = 0.3
"""Fitting the score and measuring end after this share of the time for the networks, given enough scenes."""


def fit_of(part: str) -> str:
    """Name of the phase in which a network is trained."""
    return f'training the {part}'


def training_phases(views: int, is_like: bool, fits_s: Mapping[str, float], is_shown: bool = True) -> Phases:
    """The phases in order.

    :param views: number of views to render
    :param is_like: whether recordings are read
    :param fits_s: seconds of each network's training
    """
    share = min(1.0, MEASURING_SHARE * sum(fits_s.values()) / sum(EXPECTED_S.values()))
    fits = {fit_of(part): seconds for part, seconds in fits_s.items()}
    reading = {READING: READING_S} if is_like else {}
    measuring = {name: share * seconds for name, seconds in EXPECTED_S.items()}
    return Phases({**reading, RENDERING: VIEW_S * views, BACKGROUNDS: BACKGROUNDS_S, **fits, **measuring}, fits,
                  is_shown)
