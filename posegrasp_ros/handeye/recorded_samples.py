# SPDX-License-Identifier: Apache-2.0
"""Samples of a recording: one for each pose in which the arm rests, with the time's uncertainty where it moves."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.geometry.transforms import invert, vector_from_rotation
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.sample import Sample
from posegrasp_ros.handeye.taken_samples import TakenSamples, take_sample
from posegrasp_ros.handeye.targets.target import Target
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.progress import Progress

LOGGER = logging.getLogger(__name__)
MOST_SAMPLES = 150
"""More, of an arm that never rests, add time and no accuracy: the arm's own errors remain."""
SAME_M, SAME_RAD = 0.002, np.radians(0.5)
"""The arm rests while its poses differ by less."""


def record_samples(path: Path, target: Target, track: ArmTrack, options: SourceOptions,
                   progress: bool = True) -> TakenSamples:
    """The samples of a recording.

    :param progress: whether to show it
    :raises InvalidInputError: when there is no recording
    """
    source, = open_sources([path], options, {'': 1.0})
    if not isinstance(source, BagReader):
        raise BagError(f'{path}: expected a recording, whose images have stamps and intrinsics')
    found = TakenSamples(topic=source.topics.image or '', recording=path.name)
    resting = _Rest()
    with interrupt_noted() as was_interrupted, logging_redirect_tqdm(), \
            Progress(source.undecoded(), 'target', source.image_count, unit='frame',
                     disable=not progress) as frames:
        for packed in frames:
            found.camera_frame = getattr(packed.image, 'frame_id', '') or found.camera_frame
            look = _look(packed.decode(), target, track, found)
            if look and not resting.takes(*look):
                resting.end(found)
                resting = _Rest()
                resting.takes(*look)
            if was_interrupted():
                LOGGER.warning('interrupted; the samples until then are used')
                found.is_complete = False
                break
    resting.end(found)
    if len(found.samples) > MOST_SAMPLES:
        LOGGER.warning('%s: of %d poses of the arm the most certain %d are used, spread over the recording', path,
                       len(found.samples), MOST_SAMPLES)
        _thin(found)
    for line in (*source.warnings, *found.left_out.lines()):
        LOGGER.warning('%s: %s', path, line.removeprefix(f'{path}: '))
    return found


def _thin(found: TakenSamples) -> None:
    """Of each of :data:`MOST_SAMPLES` stretches keep the most certain sample."""
    stretches = np.array_split(np.arange(len(found.samples)), MOST_SAMPLES)
    kept = [min(stretch, key=lambda place: _volume(found.samples[place])) for stretch in stretches]
    found.samples = [found.samples[place] for place in kept]
    found.pictures = [found.pictures[place] for place in kept]


def _look(frame: BagFrame, target: Target, track: ArmTrack,
          found: TakenSamples) -> tuple[Sample, bytes] | None:
    """The sample of one image; None, and noted why, where there is none."""
    found.left_out.frames += 1
    if found.first_ns is None:
        found.first_ns = frame.stamp_ns
    if frame.reason:
        found.left_out.add(frame.reason, frame.problem)
        return None
    try:
        return take_sample(frame, target, track)
    except NotSeen as error:
        found.left_out.add(error.reason, str(error))
        return None


class _Rest:
    """Looks while the arm rests, of which the most certain is kept: they share what is wrong with them."""

    def __init__(self) -> None:
        self._first: Sample | None = None
        self._best: tuple[Sample, bytes] | None = None

    def takes(self, sample: Sample, picture: bytes) -> bool:
        """Add a look; False, and nothing, where the arm has moved since the first."""
        if self._first and not _is_same(self._first, sample):
            return False
        self._first = self._first or sample
        if self._best is None or _volume(sample) < _volume(self._best[0]):
            self._best = sample, picture
        return True

    def end(self, found: TakenSamples) -> None:
        """Hand over the sample, if there is one."""
        if self._best:
            found.samples.append(self._best[0])
            found.pictures.append(self._best[1])


def _is_same(first: Sample, other: Sample) -> bool:
    """Whether the arm rests between two samples."""
    moved = invert(first.base_from_tool) @ other.base_from_tool
    return bool(np.linalg.norm(moved[:3, 3]) < SAME_M
                and np.linalg.norm(vector_from_rotation(moved[:3, :3])) < SAME_RAD)


def _volume(sample: Sample) -> float:
    """Logarithm of the volume of the sample's uncertainty."""
    return float(np.linalg.slogdet(sample.covariance)[1])
