# SPDX-License-Identifier: Apache-2.0
"""Whether an arm's motions determine a hand-eye calibration, and which motion is missing.

Two turns about axes that are not parallel are needed (Tsai and Lenz 1989); translations alone say nothing about
the camera's orientation, and turns about one axis nothing about its position along that axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector, vector_from_rotation
from posegrasp_ros.handeye.sample import Sample
from posegrasp_ros.runtime.errors import InvalidInputError

FEWEST = 4
ENOUGH = 12
LEAST_TURN_RAD = np.radians(10.0)
LEAST_ACROSS_RAD = np.radians(5.0)
"""Largest turn between two samples about an axis across the main one."""
NEXT_TURN_RAD = np.radians(30.0)
AXES = ('x', 'y', 'z')
LARGEST_SIGMA_M, LARGEST_SIGMA_RAD = 0.01, np.radians(1.0)


class HandEyeError(InvalidInputError):
    """Samples that do not determine a calibration.

    :param reason: one word: ``few_samples``, ``little_rotation``, ``parallel_axes`` or ``near_singular``
    :param next_motion: that would help; None where it is not known
    """

    def __init__(self, reason: str, text: str, next_motion: NextMotion | None = None):
        super().__init__(text if next_motion is None else f'{text}: {next_motion}')
        self.reason, self.next_motion = reason, next_motion


@dataclass(frozen=True, eq=False)
class NextMotion:
    """A turn of the tool that a set of samples lacks.

    :param axis: of the tool, x, y or z
    :param angle_rad: with sign
    :param sample: place of the sample to start from
    :param base_from_tool: (4, 4) after the turn about the tool's origin; the target has to stay in view, so the
        position may be another
    """

    axis: str
    angle_rad: float
    sample: int
    base_from_tool: np.ndarray

    def __str__(self) -> str:
        return (f'next, turn the tool by {np.degrees(self.angle_rad):.0f} degrees about its {self.axis} axis, as '
                f'it was in sample {self.sample + 1}, and move it so that the target is in view')


def check_motions(samples: Sequence[Sample]) -> None:
    """Refuse samples whose motions cannot determine a calibration.

    :raises HandEyeError: with the reason, and the motion to make next
    """
    if len(samples) < FEWEST:
        raise HandEyeError('few_samples', f'expected at least {FEWEST} samples, better {ENOUGH}, found '
                                          f'{len(samples)}', next_motion(samples) if samples else None)
    largest, across = rotation_spread(samples)
    if largest < LEAST_TURN_RAD:
        raise HandEyeError('little_rotation', f'expected turns of the tool of at least '
                                              f'{np.degrees(LEAST_TURN_RAD):.0f} degrees, found '
                                              f'{np.degrees(largest):.1f}', next_motion(samples))
    if across < LEAST_ACROSS_RAD:
        raise HandEyeError('parallel_axes', 'expected turns of the tool about axes that are not parallel, found '
                                            f'at most {np.degrees(across):.1f} degrees across the main axis',
                           next_motion(samples))


def check_precision(samples: Sequence[Sample], camera_covariance: np.ndarray) -> None:
    """Refuse a calibration that its samples hardly determine.

    :param camera_covariance: (6, 6) of the mounted camera
    :raises HandEyeError: when a standard deviation is larger than :data:`LARGEST_SIGMA_M` or
        :data:`LARGEST_SIGMA_RAD`
    """
    sigma_m, sigma_rad = (float(np.sqrt(np.linalg.eigvalsh(camera_covariance[part, part])[-1]))
                          for part in (slice(3), slice(3, 6)))
    if not (sigma_m <= LARGEST_SIGMA_M and sigma_rad <= LARGEST_SIGMA_RAD):
        raise HandEyeError('near_singular', f'the camera is known to {1000 * sigma_m:.1f} mm and '
                                            f'{np.degrees(sigma_rad):.2f} degrees only, expected '
                                            f'{1000 * LARGEST_SIGMA_M:.0f} mm and '
                                            f'{np.degrees(LARGEST_SIGMA_RAD):.0f} degree', next_motion(samples))


def rotation_spread(samples: Sequence[Sample]) -> tuple[float, float]:
    """The largest turn between two samples, and the largest part of a turn across the main axis, radians."""
    turns = _turns([each.base_from_tool[:3, :3] for each in samples])
    main = np.linalg.svd(turns, full_matrices=False)[2][0]
    across = turns - np.outer(turns @ main, main)
    return float(np.linalg.norm(turns, axis=1).max()), float(np.linalg.norm(across, axis=1).max())


def next_motion(samples: Sequence[Sample]) -> NextMotion:
    """The turn about an axis of the tool that adds most across the axes of the turns so far."""
    rotations = [each.base_from_tool[:3, :3] for each in samples]
    last = len(samples) - 1

    def gain(choice: tuple[int, float]) -> tuple[float, float]:
        turns = _turns([*rotations, rotations[last] @ _turn(*choice)])
        spread = np.linalg.eigvalsh(turns.T @ turns)
        return round(float(spread[1]), 6), float(spread[0])

    axis, angle = max(((axis, sign * NEXT_TURN_RAD) for axis in range(3) for sign in (1, -1)), key=gain)
    turned = samples[last].base_from_tool @ make_transform(_turn(axis, angle))
    return NextMotion(AXES[axis], float(angle), last, turned)


def _turn(axis: int, angle_rad: float) -> np.ndarray:
    return rotation_from_vector(angle_rad * np.eye(3)[axis])


def _turns(rotations: Sequence[np.ndarray]) -> np.ndarray:
    """(M, 3) rotation vectors, tool frame, between all pairs of rotations."""
    found = [vector_from_rotation(first.T @ second) for place, first in enumerate(rotations)
             for second in rotations[:place]]
    return np.array(found).reshape(-1, 3) if found else np.zeros((1, 3))
