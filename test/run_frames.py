# SPDX-License-Identifier: Apache-2.0
"""Runs made of numbers, for tests of what is made of them."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport

SECOND = 1_000_000_000
TRUTH = make_transform(None, (0, 0, 0.6))
TARGET = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (60, 3)), 0.17)


def off_by(position_m: float = 0.0, angle_deg: float = 0.0) -> np.ndarray:
    """An estimate that is so far off :data:`TRUTH`."""
    return make_transform(rotation_from_vector([0, np.radians(angle_deg), 0]), (position_m, 0, 0.6))


def add_frame(run: RunMetrics, stamp_ns: int, estimate: np.ndarray | str | None = None, plan: str | None = None,
              pick: str | None = None, has_truth: bool = True) -> None:
    """One image and what the stages say of it.

    :param estimate: a pose, or why perception gave none; None for silence
    :param plan: empty for a plan, else why there is none; None for silence
    :param pick: the same of the pick
    """
    run.add_image(stamp_ns)
    if has_truth:
        run.add_truth(stamp_ns, TRUTH)
    if isinstance(estimate, np.ndarray):
        run.add_estimate(stamp_ns, estimate)
    for stage, said in (('perception', '' if isinstance(estimate, np.ndarray) else estimate), ('planning', plan),
                        ('execution', pick)):
        if said is not None:
            run.add_report(StageReport(stamp_ns, stage, not said, said))
