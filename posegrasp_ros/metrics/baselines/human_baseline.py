# SPDX-License-Identifier: Apache-2.0
"""The human baseline: how well people label poses, from two labellings of the same frames.

Two labels of a frame differ by the errors of both. Where both labellers err independently and alike, with normal
errors, the difference is distributed as the square root of 2 times the error of one: each difference divided by it
stands for one error. What both have in common does not show in a difference: a wrong mesh or calibration, and the
refinement where both used it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.label_file import REFINED, Label, read_labels, stated_source
from posegrasp_ros.metrics.baselines.baselines import BaselineError, Entry
from posegrasp_ros.metrics.observations import MEDIAN, Observations
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.runtime.errors import quoted

KIND = 'human'
ERRORS_IN_A_DIFFERENCE = math.sqrt(2.0)
NOTE = ('difference of two labels of a frame divided by the square root of 2, the error of one of two equal, '
        'independent labellers; errors that both share do not show')


@dataclass(frozen=True)
class HumanBaseline:
    """What two labellings say of one labeller.

    :param position: errors of one labeller, metres
    :param rotation: likewise, radians
    :param only_in_one: frames with a pose in one of the labellings alone
    :param source: what was compared, for the entries
    """

    position: Observations
    rotation: Observations
    only_in_one: int
    source: str

    @property
    def has_interval(self) -> bool:
        """Whether the frames span enough blocks of time for an interval."""
        return self.position.interval is not None

    def entries(self, name: str) -> dict[str, Entry]:
        """Entries of a baselines file by their metrics."""
        today = datetime.date.today().isoformat()
        return {metric: Entry(name, KIND, each.value, self.source, today, note=NOTE, interval=each.interval)
                for metric, each in (('position_error_median', self.position),
                                     ('rotation_error_median', self.rotation))}


def human_baseline(first: Path, second: Path, target: ErrorTarget, block_s: float = 1.0,
                   mesh: str = '') -> HumanBaseline:
    """The errors of one labeller from two labellings.

    :param first: ground-truth CSV file with the poses of one person, or one time
    :param second: of the same frames, by another person or at another time
    :param target: the object, for its symmetries
    :param mesh: hash of the mesh of the object in question, as label files state it; empty where it is not known
    :param block_s: frames within so many seconds are one observation to the intervals
    :raises BaselineError: when the files are not of the same frames and object, or have the same poses
    :raises GroundTruthError: when a file is no ground-truth file
    """
    one, other = read_labels(first), read_labels(second)
    _check_sources(first, second, mesh)
    mine, theirs = _posed(one), _posed(other)
    stamps = sorted(set(mine) & set(theirs))
    if not stamps:
        raise BaselineError(f'{first}, {second}: expected two labellings of the same frames, found no stamp with '
                            'a pose in both')
    errors = [target.errors(mine[stamp], theirs[stamp]) for stamp in stamps]
    position, rotation = (np.array([getattr(each, name) for each in errors])
                          for name in ('position_m', 'rotation_rad'))
    if not (position.any() or rotation.any()):
        raise BaselineError(f'{first}, {second}: expected two labellings, found the same poses in both: label '
                            'anew, a copy tells nothing')
    blocks = np.array(stamps) // round(block_s * 1e9)
    refined = sum(one[stamp].way == other[stamp].way == REFINED for stamp in stamps)
    source = f'labels {first.name} and {second.name}; n = {len(stamps)}, refined in both {refined}'
    of_one = [Observations(values / ERRORS_IN_A_DIFFERENCE, blocks, MEDIAN) for values in (position, rotation)]
    return HumanBaseline(of_one[0], of_one[1], len(set(mine) ^ set(theirs)), source)


def _check_sources(first: Path, second: Path, mesh: str) -> None:
    """As far as both files say what they are of."""
    one, other = stated_source(first), stated_source(second)
    for name in (one.keys() & other.keys()) if one and other else ():
        if one and other and one[name] != other[name]:
            raise BaselineError(f'{first}, {second}: expected two labellings of the same frames and object, found '
                                f'{name} {quoted(one[name])} and {quoted(other[name])}')
    if mesh and one and one.get('mesh', mesh) != mesh:
        raise BaselineError(f'{first}: expected labels of the mesh of --model, {mesh}, got those of '
                            f'{quoted(one["mesh"])}, {one.get("object")}')


def _posed(labels: Mapping[int, Label]) -> dict[int, np.ndarray]:
    """(4, 4) by stamp, of the frames with a pose."""
    return {stamp: label.truth.pose for stamp, label in labels.items() if label.truth is not None}
