# SPDX-License-Identifier: Apache-2.0
"""True poses of the object on a board in all images of a recording."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.board.board_file import BoardError, BoardFile
from posegrasp_ros.board.left_out import LeftOut
from posegrasp_ros.board.object_truth import ObjectTruth, TruthFinder
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.progress import Progress

LOGGER = logging.getLogger(__name__)


@dataclass
class RecordedTruth:
    """What was found in a recording.

    :ivar truths: stamps in nanoseconds and poses
    :ivar is_complete: False after an interruption
    """

    truths: list[tuple[int, ObjectTruth]]
    left_out: LeftOut
    is_complete: bool = True


def find_truths(path: Path, board: BoardFile, options: SourceOptions,
                progress: bool = True) -> RecordedTruth:
    """The object's pose in every image of a recording.

    :param options: topics to read
    :param progress: whether to show it
    :raises InvalidInputError: when there is no recording, or the board in none of its images
    """
    source, = open_sources([path], options, {'': 1.0})
    if not isinstance(source, BagReader):
        raise BagError(f'{path}: expected a recording, whose images have stamps and intrinsics')
    finder, found = TruthFinder(board), RecordedTruth([], LeftOut())
    with interrupt_noted() as was_interrupted, logging_redirect_tqdm(), \
            Progress(source.undecoded(), 'board', source.image_count, unit='frame',
                     disable=not progress) as frames:
        for packed in frames:
            _look(packed.decode(), finder, found)
            if was_interrupted():
                LOGGER.warning('interrupted; what was found until then is kept')
                found.is_complete = False
                break
    for line in (*source.warnings, *found.left_out.lines()):
        LOGGER.warning('%s: %s', path, line.removeprefix(f'{path}: '))
    if not found.truths and found.is_complete:
        raise BoardError(f'{path}: expected the board of {board.object} in its images, found no pose of it in '
                         f'{found.left_out.frames}: {found.left_out.commonest()}')
    return found


def _look(frame: BagFrame, finder: TruthFinder, found: RecordedTruth) -> None:
    """Find the pose in one image, or count why there is none."""
    found.left_out.frames += 1
    if frame.reason:
        found.left_out.add(frame.reason, frame.problem)
        return
    try:
        found.truths.append((frame.stamp_ns, finder.find(*frame.view())))
    except NotSeen as error:
        found.left_out.add(error.reason, str(error))
