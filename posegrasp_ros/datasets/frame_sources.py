# SPDX-License-Identifier: Apache-2.0
"""Sources of frames to evaluate: recordings, BOP datasets and folders of photographs, read one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import JUMP_NS, BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bop_dataset import BopReader, is_bop_dataset
from posegrasp_ros.datasets.frame import Undecoded
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS, GroundTruth
from posegrasp_ros.datasets.ground_truth_file import read_ground_truth
from posegrasp_ros.datasets.photographs import PhotographReader, is_photograph_folder
from posegrasp_ros.runtime.errors import quoted
from posegrasp_ros.sensing.image_camera import ImageCamera

FIELD_OF_VIEW_RAD = math.radians(60.0)
GAP_NS = 10_000_000_000


@dataclass(frozen=True)
class SourceOptions:
    """Options for reading sources.

    :param topics: topics of a recording, and tf frames
    :param ground_truth: a CSV file instead of a topic, for a single recording or folder of images
    :param tolerance_ms: largest difference between the stamps of image and ground truth
    :param camera: of photographs
    :param bop_object: number of the object in a BOP dataset; None if the dataset has only one
    :param bop_sensor: for a BOP dataset with several sensors; None for the one that the benchmark evaluates
    """

    topics: BagTopics = field(default_factory=BagTopics)
    ground_truth: Path | None = None
    tolerance_ms: float = TOLERANCE_MS
    camera: ImageCamera = field(default_factory=lambda: ImageCamera(None, FIELD_OF_VIEW_RAD))
    bop_object: int | None = None
    bop_sensor: str | None = None


class Source(Protocol):
    """Interface of a source of frames.

    :ivar path: of the source
    """

    path: Path

    @property
    def warnings(self) -> list[str]:
        """Problems found so far, one line each."""

    @property
    def image_count(self) -> int | None:
        """None if it is not known in advance."""

    def undecoded(self) -> Iterator[Undecoded]:
        """The frames in order."""

    def warn_once(self, text: str) -> None:
        """Warn about something missing from a frame, once per text."""


class SourcedFrame(NamedTuple):
    """A frame and its source.

    :param shift_ns: offset to add to its stamp so that it is later than all frames before it
    :param scene: number of its scene, or of its recording if it has no scene
    :param number: of the image in the scene or recording
    """

    source: Source
    shift_ns: int
    undecoded: Undecoded
    scene: int
    number: int


def open_sources(paths: Sequence[str | Path], options: SourceOptions,
                 diameters_m: Mapping[str, float]) -> list[Source]:
    """Open the sources at the given paths.

    :param diameters_m: of the objects by name, to detect another object in a dataset; the only one has the name ''
    :raises InvalidInputError: when one cannot be read, or does not tell several objects apart
    """
    if options.ground_truth and len(paths) > 1:
        raise BagError(
            f'{options.ground_truth}: expected one recording for this ground truth, got {len(paths)}'
        )
    sources = [open_source(Path(path), options, diameters_m) for path in paths]
    for source in sources:
        if isinstance(source, PhotographReader) and options.camera.file is None:
            source.warn_once(f'{source.path}: camera: {options.camera.line}')
    return sources


def open_source(path: Path, options: SourceOptions, diameters_m: Mapping[str, float]) -> Source:
    """Open one source, see :func:`open_sources`."""
    is_folder = is_photograph_folder(path) and not is_bop_dataset(path)
    if options.camera.file is not None and not is_folder:
        raise BagError(f'{path}: expected no --camera for a recording, which has its own, got '
                       f'{options.camera.file}')
    if is_bop_dataset(path):
        if len(diameters_m) > 1:
            raise BagError(f'{path}: expected one model for a BOP dataset, got {", ".join(diameters_m)}: evaluate '
                           'one after the other')
        return BopReader(path, options.bop_object, next(iter(diameters_m.values())), sensor=options.bop_sensor)
    if is_folder:
        return PhotographReader(path, options.camera, _in_camera_frame(options))
    return BagReader(path, options.topics, stated_truths(options), options.tolerance_ms, tuple(diameters_m))


def stated_truths(options: SourceOptions) -> GroundTruth | None:
    """Ground truth from a file; None where it is to come with the recording."""
    if not options.ground_truth:
        return None
    truths = GroundTruth(int(options.tolerance_ms * 1e6))
    truths.add_all(read_ground_truth(options.ground_truth))
    if not truths.seen:
        raise BagError(f'{options.ground_truth}: expected poses below the column names, found none')
    return truths


def _in_camera_frame(options: SourceOptions) -> GroundTruth | None:
    """Ground truth from a file for images without /tf.

    :raises BagError: when a pose is in another frame than the camera's
    """
    truths = stated_truths(options)
    other = truths.frame_ids - {''} if truths else set()
    if other:
        raise BagError(f"{options.ground_truth}: expected poses in the camera's frame for a folder of images, got "
                       f'one in {quoted(min(other))}')
    return truths


def sourced_frames(sources: Sequence[Source], block_ns: int) -> Iterator[SourcedFrame]:
    """All frames, one source after the other.

    :param block_ns: length of a time block of correlated frames; no block spans two recordings or scenes
    :raises BagError: when a source has no frames
    """
    last_ns = None
    for place, source in enumerate(sources):
        shift_ns, newest_ns, count, scene = None, 0, 0, None
        for frame in source.undecoded():
            if shift_ns is None or frame.stamp_ns < newest_ns - JUMP_NS or frame.scene != scene:
                # Another recording or scene, or its clock was set back: overlapping stamps mean other times.
                shift_ns, newest_ns = shift_behind(last_ns, frame.stamp_ns, block_ns), frame.stamp_ns
                scene = frame.scene
            newest_ns = max(newest_ns, frame.stamp_ns)
            last_ns = max(frame.stamp_ns + shift_ns, -1 if last_ns is None else last_ns)
            yield SourcedFrame(source, shift_ns, frame, place if frame.scene is None else frame.scene,
                               count if frame.number is None else frame.number)
            count += 1
        if not count:
            raise BagError(f'{source.path}: expected images, found none')


def total_count(sources: Sequence[Source]) -> int | None:
    """Total number of frames; None if unknown."""
    counts = [source.image_count for source in sources]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def shift_behind(last_ns: int | None, first_ns: int, block_ns: int) -> int:
    """Offset, in nanoseconds, that moves a recording after the previous one and into a new block.

    It is a multiple of the block length, so that the blocks within the recording do not change.
    """
    if last_ns is None:
        return 0
    gap = -(-GAP_NS // block_ns)
    return (last_ns // block_ns - first_ns // block_ns + 1 + gap) * block_ns
