# SPDX-License-Identifier: Apache-2.0
"""Where an object is expected in a frame, from the labels of frames before and after it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from posegrasp_ros.estimation.refinement.motion import difference
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, perturb
from posegrasp_ros.geometry.true_pose import TruePose

LONGEST_STEP_NS = 500_000_000
"""Motion is taken to go on for so long at most."""


def expected_pose(known: Mapping[int, TruePose], stamp_ns: int, mesh: Mesh) -> np.ndarray | None:
    """(4, 4) at a time: that of the nearest label in time, moved on as the label before it tells.

    :param known: by stamp, nanoseconds
    :return: None without a label
    """
    if not known:
        return None
    nearest = min(known, key=lambda stamp: abs(stamp - stamp_ns))
    before = max((stamp for stamp in known if stamp < nearest), default=None)
    pose = known[nearest].pose
    if before is None or not 0 < stamp_ns - nearest <= LONGEST_STEP_NS or nearest - before > LONGEST_STEP_NS:
        return pose
    # about the object's centre, which a turn does not move
    centred = make_transform(translation=mesh.centre)
    step = difference(known[before].pose @ centred, pose @ centred)
    return perturb(pose @ centred, step * ((stamp_ns - nearest) / (nearest - before))) @ invert(centred)
