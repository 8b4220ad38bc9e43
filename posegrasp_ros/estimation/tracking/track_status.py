# SPDX-License-Identifier: Apache-2.0
"""TrackStatus: what tracking knows of an object at an image."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros.metrics.track_states import ABSENT


class TrackStatus(NamedTuple):
    """One object at one image.

    :param state: ``found`` by the networks in this image; ``tracked``: followed from the last one; ``lost``: not
        seen in this one, but a moment ago; ``absent``: nothing is known of it
    :param number: which instance it is from image to image: the lowest that was free when it was first found
    :param unseen_s: since the image in which it was last seen; 0 in those
    :param sigma_m: standard deviation of its position, measured or predicted, root mean square of the axes, metres
    :param sigma_rad: the same of its rotation
    """

    state: str
    number: int = 0
    unseen_s: float = 0.0
    sigma_m: float = 0.0
    sigma_rad: float = 0.0


NOTHING_KNOWN = TrackStatus(ABSENT)
