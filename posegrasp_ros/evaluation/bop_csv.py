# SPDX-License-Identifier: Apache-2.0
"""Poses as the BOP benchmark's tools take them: ``scene_id,im_id,obj_id,score,R,t,time``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.runtime.errors import InvalidInputError

HEAD = 'scene_id,im_id,obj_id,score,R,t,time'
MM = 1000.0


class BopCsvError(InvalidInputError):
    """A file of results that cannot be written."""


class BopCsv:
    """Writes results as a context manager, an image at a time; what was written before an error stays.

    bop_toolkit wants the file's name to be ``<method>_<dataset>-<split>.csv``.

    :param object_id: number of the object in the dataset
    :raises BopCsvError: when the file cannot be written
    """

    def __init__(self, path: str | Path, object_id: int = 1):
        self.path = Path(path)
        self._object_id = object_id
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = self.path.open('w', encoding='ascii', newline='\n')
        except OSError as error:
            raise BopCsvError(f'{self.path}: expected a file that can be written: {error}') from error
        self._file.write(HEAD + '\n')

    def __enter__(self) -> BopCsv:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, scene: int, image: int, poses: Sequence[PoseEstimate], time_s: float) -> None:
        """All poses of an image.

        :param scene: number of the scene
        :param image: number of the image in it
        :param time_s: from the image to its poses; the same on each line, as BOP wants it
        """
        for pose in poses:
            rotation = ' '.join(f'{value:.9g}' for value in pose.camera_from_object[:3, :3].ravel())
            position = ' '.join(f'{MM * value:.9g}' for value in pose.camera_from_object[:3, 3])
            self._file.write(f'{scene},{image},{self._object_id},{pose.score:.9g},{rotation},{position},{time_s:.6f}\n')
