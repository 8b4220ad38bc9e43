# SPDX-License-Identifier: Apache-2.0
"""HandEye: a hand-eye calibration from samples: what was left out and why, and how well it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.geometry.transforms import (
    make_transform,
    rotation_from_vector,
)
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.motions import FEWEST, check_motions, check_precision, rotation_spread
from posegrasp_ros.handeye.mount_solution import MountSolution, refit, solve
from posegrasp_ros.handeye.sample import Mounting, Sample

EXPLAINED = 0.25
"""An explanation holds when it takes a residual to less than this share of what it was."""
LATE_NS = tuple(int(10e6) * step for step in range(-50, 51) if step)


@dataclass(frozen=True)
class JudgedSample:
    """How a sample fits the calibration.

    :param stamp_ns: of its image
    :param position_m: distance between the target as seen and as expected
    :param rotation_rad: angle between them
    :param left_out: why it does not count; empty for one that does
    """

    stamp_ns: int
    position_m: float
    rotation_rad: float
    left_out: str = ''


@dataclass(frozen=True, eq=False)
class HandEye:
    """A calibration and what it rests on.

    :param samples: all, in the order given
    :param held_out_m: median distance of a sample to what the others predict
    :param held_out_rad: the same of its angle
    :param largest_turn_rad: between two samples that count
    :param across_rad: largest part of a turn across the main axis
    """

    solution: MountSolution
    samples: tuple[JudgedSample, ...]
    held_out_m: float
    held_out_rad: float
    largest_turn_rad: float
    across_rad: float

    @property
    def used(self) -> int:
        """How many samples count."""
        return int(self.solution.is_used.sum())


def calibrate(samples: Sequence[Sample], mounting: Mounting, track: ArmTrack | None = None) -> HandEye:
    """Calibrate, leave out what does not fit, and say why.

    :param track: of the arm, to recognise a stamp that is wrong; None where it is not known
    :raises posegrasp_ros.handeye.motions.HandEyeError: when the samples do not determine it
    """
    check_motions(samples)
    solution = solve(samples, mounting)
    used = [sample for sample, is_used in zip(samples, solution.is_used) if is_used]
    check_motions(used)
    check_precision(used, solution.camera_covariance)
    held_out = _held_out(used, solution) if len(used) > FEWEST else np.full((1, 2), np.nan)
    position, rotation = np.median(held_out, axis=0)
    return HandEye(solution, tuple(_judged(samples, solution, track)), float(position), float(rotation),
                   *rotation_spread(used))


def _held_out(samples: Sequence[Sample], solution: MountSolution) -> np.ndarray:
    """(N, 2) distance and angle of each sample to what the calibration from the others predicts."""
    found = []
    for place, sample in enumerate(samples):
        others = refit(solution, [*samples[:place], *samples[place + 1:]])
        found.append(_sizes(others.residuals([sample])[0]))
    return np.array(found)


def _judged(samples: Sequence[Sample], solution: MountSolution, track: ArmTrack | None) -> list[JudgedSample]:
    judged = []
    for sample, residual, is_used in zip(samples, solution.residuals(samples), solution.is_used):
        position, rotation = _sizes(residual)
        why = '' if is_used else _why(sample, solution, track, position, rotation)
        judged.append(JudgedSample(sample.stamp_ns, position, rotation, why))
    return judged


def _why(sample: Sample, solution: MountSolution, track: ArmTrack | None, position: float, rotation: float) -> str:
    """What explains that a sample does not fit."""
    found = f'{1000 * position:.1f} mm and {np.degrees(rotation):.1f} degrees from what the others say'
    for name, mirrored in _mirrored(sample.camera_from_target):
        turned = _sizes(solution.residuals([_with(sample, seen=mirrored)])[0])[1]
        if turned < EXPLAINED * rotation:
            return f'mirrored: {found}; {name} fits'
    late_ms = _late_ms(sample, solution, track)
    if late_ms:
        return (f'stamp: {found}; the arm was where the image shows it {abs(late_ms):.0f} ms '
                f'{"before" if late_ms < 0 else "after"} its stamp')
    return f'outlier: {found}'


def _mirrored(camera_from_target: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Poses that a flat target is mistaken for: the other tilt, and half a turn about its normal."""
    rotation, place = camera_from_target[:3, :3], camera_from_target[:3, 3]
    sight, normal = place / np.linalg.norm(place), rotation[:, 2]
    mirrored = 2 * (sight @ normal) * sight - normal
    axis = np.cross(normal, mirrored)
    sine, cosine = float(np.linalg.norm(axis)), float(normal @ mirrored)
    turn = rotation_from_vector(axis / max(sine, 1e-12) * np.arctan2(sine, cosine))
    half = rotation @ rotation_from_vector((0.0, 0.0, np.pi))
    return [('the other tilt of a flat target', make_transform(turn @ rotation, place)),
            ('the target turned by half a turn', make_transform(half, place))]


def _late_ms(sample: Sample, solution: MountSolution, track: ArmTrack | None) -> float:
    """Time to add to a stamp so that the arm's pose fits the image; 0 where none does."""
    if track is None:
        return 0.0

    def misfit(base_from_tool: np.ndarray) -> float:
        residual = solution.residuals([_with(sample, arm=base_from_tool)])[0]
        return float(residual @ np.linalg.solve(sample.covariance, residual))

    as_stamped = misfit(sample.base_from_tool)
    tried = [(misfit(pose), shift) for shift in LATE_NS if (pose := track.at(sample.stamp_ns + shift)) is not None]
    best, shift = min(tried, default=(as_stamped, 0))
    return shift / 1e6 if best < EXPLAINED**2 * as_stamped else 0.0


def _with(sample: Sample, seen: np.ndarray | None = None, arm: np.ndarray | None = None) -> Sample:
    return Sample(sample.base_from_tool if arm is None else arm,
                  sample.camera_from_target if seen is None else seen, sample.covariance, sample.stamp_ns)


def _sizes(residual: np.ndarray) -> tuple[float, float]:
    """Metres and radians of a residual (6,)."""
    return float(np.linalg.norm(residual[:3])), float(np.linalg.norm(residual[3:]))
