"""Samples of a recording: one for each pose in which the arm rests, with the time's uncertainty where it moves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from posegrasp_ros.board.left_out import LeftOut
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources
from posegrasp_ros.estimation.overlay import draw_axes
from posegrasp_ros.geometry.transforms import invert, vector_from_rotation
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.sample import Sample
from posegrasp_ros.handeye.targets.target import Target
from posegrasp_ros.runtime.interrupt import interrupt_noted

LOGGER = logging.getLogger(__name__)
SAME_M, SAME_RAD = 0.002, np.radians(0.5)
"""The arm rests while its poses differ by less."""
CLOCK_S = 0.005
"""Standard deviation of the time between an image and the arm's pose of the same stamp."""
FASTEST_M_S, FASTEST_RAD_S = 0.25, np.radians(60.0)
"""Looks at a faster arm say nothing."""


@dataclass
class RecordedSamples:
    """What was found in a recording.

    :ivar samples: in the order of time
    :ivar pictures: (H, W, 3) uint8 blue green red, each sample's image with the target's axes
    :ivar topic: of the images
    """

    samples: list[Sample] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    topic: str = ''
    camera_frame: str = ''
    is_complete: bool = True


def record_samples(path: Path, target: Target, track: ArmTrack, options: SourceOptions,
                   progress: bool | None = None) -> RecordedSamples:
    """The samples of a recording.

    :param progress: whether to show it; None if stderr is a terminal
    :raises InvalidInputError: when there is no recording
    """
    source, = open_sources([path], options, {'': 1.0})
    if not isinstance(source, BagReader):
        raise BagError(f'{path}: expected a recording, whose images have stamps and intrinsics')
    found = RecordedSamples(topic=source.topics.image or '')
    hidden = None if progress is None else not progress
    resting = _Rest()
    with interrupt_noted() as was_interrupted, logging_redirect_tqdm(), \
            tqdm(source.undecoded(), 'target', source.image_count, unit='frame', disable=hidden) as frames:
        for packed in frames:
            found.camera_frame = getattr(packed.image, 'frame_id', '') or found.camera_frame
            for sample, picture in _look(packed.decode(), target, track, found):
                if not resting.takes(sample, picture):
                    resting.end(found)
                    resting = _Rest()
                    resting.takes(sample, picture)
            if was_interrupted():
                LOGGER.warning('interrupted; the samples until then are used')
                found.is_complete = False
                break
    resting.end(found)
    for line in (*source.warnings, *found.left_out.lines()):
        LOGGER.warning('%s: %s', path, line.removeprefix(f'{path}: '))
    return found


def _look(frame: BagFrame, target: Target, track: ArmTrack,
          found: RecordedSamples) -> Iterator[tuple[Sample, np.ndarray]]:
    """The sample of one image, or none and why."""
    found.left_out.frames += 1
    if frame.reason:
        found.left_out.add(frame.reason, frame.problem)
        return
    base_from_tool = track.at(frame.stamp_ns)
    if base_from_tool is None:
        found.left_out.add('no_arm_pose', "the arm's pose is not known at the stamp of the image, and not "
                                          'extrapolated')
        return
    speed_m, speed_rad = track.speed(frame.stamp_ns)
    if speed_m > FASTEST_M_S or speed_rad > FASTEST_RAD_S:
        found.left_out.add('fast', f'the arm moves at {speed_m:.2f} m/s and {np.degrees(speed_rad):.0f} degrees/s')
        return
    image, camera = frame.view()
    try:
        seen = target.find(image, camera)
    except NotSeen as error:
        found.left_out.add(error.reason, str(error))
        return
    covariance = seen.covariance + _of_time(speed_m, speed_rad, seen.camera_from_target)
    picture = image.copy()
    draw_axes(picture, camera, seen.camera_from_target, target.size_m, max(2, image.shape[1] // 240))
    yield Sample(base_from_tool, seen.camera_from_target, covariance, frame.stamp_ns), picture


def _of_time(speed_m: float, speed_rad: float, camera_from_target: np.ndarray) -> np.ndarray:
    """(6, 6) of a target seen a moment before or after the arm's pose, in any direction."""
    speed_rad = np.nan_to_num(speed_rad)
    across = np.nan_to_num(speed_m) + speed_rad * float(np.linalg.norm(camera_from_target[:3, 3]))
    return np.diag(np.repeat([(CLOCK_S * across) ** 2, (CLOCK_S * speed_rad) ** 2], 3))


class _Rest:
    """Looks while the arm rests, of which the most certain is kept: they share what is wrong with them."""

    def __init__(self) -> None:
        self._first: Sample | None = None
        self._best: tuple[Sample, np.ndarray] | None = None

    def takes(self, sample: Sample, picture: np.ndarray) -> bool:
        """Add a look; False, and nothing, where the arm has moved since the first."""
        if self._first and not _is_same(self._first, sample):
            return False
        self._first = self._first or sample
        if self._best is None or _volume(sample) < _volume(self._best[0]):
            self._best = sample, picture
        return True

    def end(self, found: RecordedSamples) -> None:
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
