# SPDX-License-Identifier: Apache-2.0
"""Poses as the BOP benchmark's tools take them, ``scene_id,im_id,obj_id,score,R,t,time``, by any method."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.pose_sources.pose_matching import ImagePlace
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

COLUMNS = ('scene_id', 'im_id', 'obj_id', 'score', 'R', 't', 'time')
MM = 1000.0
# Rotations are printed with few digits.
ROUNDING = 1e-3


@dataclass(frozen=True)
class BopPoses:
    """Poses by the scene and number of their image.

    :param by_image: best first
    :param object_id: of the object in the file
    """

    by_image: Mapping[tuple[int, int], Sequence[StatedPose]]
    object_id: str

    @property
    def frame_ids(self) -> Counter[str]:
        """None: they are in the camera's frame."""
        return Counter()

    @property
    def every(self) -> list[StatedPose]:
        """All poses."""
        return [pose for poses in self.by_image.values() for pose in poses]

    def of(self, image: ImagePlace) -> Sequence[StatedPose]:
        """Poses in an image, best first."""
        return self.by_image.get((image.scene, image.number), ())

    def account(self) -> dict:
        """How the poses were matched, as plain values."""
        return {'matched_by': 'scene and image number', 'object_id': self.object_id, 'images': len(self.by_image)}


def is_bop_csv(path: Path) -> bool:
    """Whether a file begins as the benchmark's results do."""
    try:
        with path.open(encoding='utf-8-sig', errors='replace') as file:
            return file.readline(1000).replace(' ', '').startswith('scene_id,im_id,')
    except OSError:
        return False


def read_bop_poses(path: str | Path, object_id: str | None = None) -> BopPoses:
    """Read a file of results.

    :param object_id: of the object in question; None where the file is about one
    :raises InvalidInputError: naming the line, what was found and what was expected
    """
    found: dict[str, dict[tuple[int, int], list[StatedPose]]] = defaultdict(lambda: defaultdict(list))
    try:
        with Path(path).open(encoding='utf-8-sig', newline='') as file:
            for row in (reader := csv.DictReader(file, skipinitialspace=True)):
                image, pose = _read_row(f'{path}: line {reader.line_num}', row)
                found[pose.class_id][image].append(pose)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f'{path}: expected a CSV file with the columns {", ".join(COLUMNS)}: {error}') \
            from error
    chosen = next(iter(found), None) if object_id is None and len(found) <= 1 else object_id
    if chosen not in found:
        raise InvalidInputError(f'{path}: expected poses of the object {object_id or "in question"}, found those '
                                f'of obj_id {", ".join(sorted(found)) or "none"}: name the right one with '
                                '--pose-class')
    return BopPoses({image: sorted(poses, key=lambda pose: -pose.score)
                     for image, poses in found[str(chosen)].items()}, str(chosen))


def _read_row(place: str, row: dict[str, str]) -> tuple[tuple[int, int], StatedPose]:
    try:
        rotation = np.array(row['R'].split(), dtype=float).reshape(3, 3)
        position_m = np.array(row['t'].split(), dtype=float).reshape(3) / MM
        score = float(row['score'])
        if not np.isfinite([*position_m, score]).all():
            raise ValueError('finite numbers')
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=ROUNDING) or np.linalg.det(rotation) < 0:
            raise ValueError('a rotation R')
        image = int(row['scene_id']), int(row['im_id'])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = quoted(', '.join(str(cell) for cell in row.values())[:200])
        raise InvalidInputError(f'{place}: expected {", ".join(COLUMNS)} with R as nine and t as three numbers in '
                                f'millimetres, got {found}: {error}') from error
    return image, StatedPose(make_transform(rotation, position_m), 0, score=score, class_id=str(row['obj_id']))
