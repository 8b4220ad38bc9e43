# SPDX-License-Identifier: Apache-2.0
"""Recorded frames that training images are to be like: their camera's figures, and backgrounds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.frame import BagFrame, PackedFrame, Undecoded
from posegrasp_ros.datasets.frame_sources import Source, SourceOptions, open_sources, total_count
from posegrasp_ros.datasets.paint_over import paint_over
from posegrasp_ros.datasets.photographs import Photograph
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.sensing.compressed_images import read_file
from posegrasp_ros.sensing.images import ByteData
from posegrasp_ros.sensing.packed_image import PackedImage
from posegrasp_ros.training.backgrounds import at_most
from posegrasp_ros.training.camera_figures import CameraFigures

MOST_FRAMES = 300
LEAST_FRAMES = 20
SURE_SCORE = 0.8
"""A model's poses are painted over when the best one's score is above this."""
Paint = Callable[[BagFrame], 'BagFrame | None']


@dataclass(frozen=True)
class LikeOptions:
    """What training images are to be like.

    :param paths: recordings, or folders of photographs
    :param is_empty: the object is in none of the frames that have no ground truth
    :param truth: CSV file with ground truth of a single recording
    """

    paths: tuple[Path, ...]
    is_empty: bool = False
    truth: Path | None = None

    @property
    def words(self) -> list[str]:
        """The options on the command line, without this machine's paths."""
        if not self.paths:
            return []
        words = [f'--like {" ".join(path.resolve().name for path in self.paths)}']
        words += ['--like-empty'] if self.is_empty else []
        return words + ([f'--like-truth {self.truth.name}'] if self.truth else [])

    def check(self) -> None:
        """Refuse what says something of frames that are not given.

        :raises InvalidInputError: when there are no frames
        """
        if not self.paths and (self.is_empty or self.truth):
            option = '--like-empty' if self.is_empty else '--like-truth'
            raise InvalidInputError(f'{option}: expected recordings that it is about, found none: add --like BAG')


@dataclass(frozen=True)
class LikeFrames:
    """What was read from the frames.

    :param names: of the recordings
    :param figures: of the camera, one for each frame
    :param backgrounds: (H, W, 3) uint8 blue green red, without the object and in neutral light
    :param unused: number of frames that are no backgrounds, because the object may be in them
    """

    names: tuple[str, ...]
    figures: list[CameraFigures]
    backgrounds: list[np.ndarray]
    unused: int

    @property
    def data(self) -> str:
        """The training data in words, for the card."""
        return (f'synthetic images of the mesh, like {len(self.figures)} frames of {", ".join(self.names)}, '
                f'{len(self.backgrounds)} of them as backgrounds')

    @property
    def identity(self) -> str:
        """Tells frames from others of the same name."""
        figures = [(each.width, each.height, round(each.noise, 3), each.jpeg_quality, round(each.level, 2))
                   for each in self.figures]
        return f'{", ".join(self.names)} (frames {hashlib.sha256(repr(figures).encode()).hexdigest()[:12]})'

    @property
    def measured(self) -> dict[str, float | int | list[float]]:
        """Medians of the camera's figures, for the card."""
        qualities = [each.jpeg_quality for each in self.figures if each.jpeg_quality is not None]
        blurs = [each.blur_px for each in self.figures if np.isfinite(each.blur_px)]
        cast = np.median([each.cast for each in self.figures], axis=0)
        return {'noise': round(float(np.median([each.noise for each in self.figures])), 2),
                **({'blur_px': round(float(np.median(blurs)), 2)} if blurs else {}),
                **({'jpeg_quality': round(float(np.median(qualities)))} if qualities else {}),
                'level': round(float(np.median([each.level for each in self.figures])), 1),
                'cast_bgr': [round(float(factor), 3) for factor in cast]}

    @property
    def line(self) -> str:
        """What is made of the frames, in one line."""
        figures = ', '.join(f'{name} {value}' for name, value in self.measured.items())
        said = (f'--like: the camera of {len(self.figures)} frames of {", ".join(self.names)} ({figures}); '
                f'{len(self.backgrounds)} of them are backgrounds')
        if self.unused:
            said += (f', {self.unused} are not, as the object may be in them: ground truth, a model of this '
                     'object in --start, or --like-empty would make them so')
        return said


def read_like(options: LikeOptions, mesh: Mesh, start: Path | None, progress: bool = True) -> LikeFrames | None:
    """Read up to :data:`MOST_FRAMES` frames, evenly spaced.

    A frame becomes a background when its ground truth tells where to paint the object over, when a model of the
    same object is sure to have found it, or when it is stated to be in none. Otherwise the object, unlabelled in
    backgrounds, would teach the networks to overlook it.

    :param mesh: of the object
    :param start: model folder, which is asked for poses if it is of the same object
    :return: None without paths
    :raises InvalidInputError: when a path cannot be read or there are fewer than :data:`LEAST_FRAMES` images
    """
    options.check()
    if not options.paths:
        return None
    find = None if options.is_empty or start is None else _finder(mesh, start)
    names = tuple(path.resolve().name for path in options.paths)
    figures: list[CameraFigures] = []
    backgrounds: list[np.ndarray] = []
    step, count = _spacing(options, mesh)
    spaced = _evenly_spaced(_sources(options, mesh), step)
    for undecoded in Progress(spaced, desc='reading frames', total=count, disable=not progress):
        frame = undecoded.decode()
        if frame.image is None:
            continue
        figures.append(CameraFigures.of(frame.image, _coded(undecoded)))
        background = _background(frame, mesh, options.is_empty, find)
        if background is not None:
            backgrounds.append(at_most(_in_neutral_light(background, figures[-1].cast)))
    if len(figures) < LEAST_FRAMES:
        raise InvalidInputError(f'{", ".join(map(str, options.paths))}: --like: expected at least {LEAST_FRAMES} '
                                f'images, found {len(figures)}')
    return LikeFrames(names, figures, backgrounds, len(figures) - len(backgrounds))


def _sources(options: LikeOptions, mesh: Mesh) -> Sequence[Source]:
    return open_sources(options.paths, SourceOptions(BagTopics(base_frame=None), options.truth),
                        {'': mesh.diameter})


def _spacing(options: LikeOptions, mesh: Mesh) -> tuple[int, int]:
    """The step between frames, and how many there will be."""
    sources = _sources(options, mesh)
    count = total_count(sources)
    if count is None:  # truncated recordings have no index
        count = sum(1 for source in sources for _ in source.undecoded())
    step = max(1, -(-count // MOST_FRAMES))
    return step, -(-count // step)


def _evenly_spaced(sources: Sequence[Source], step: int) -> Iterator[Undecoded]:
    return islice(chain.from_iterable(source.undecoded() for source in sources), 0, None, step)


def _coded(undecoded: Undecoded) -> ByteData:
    """The bytes of a frame's compressed image; none where it is not compressed."""
    if isinstance(undecoded, Photograph):
        return read_file(undecoded.file)
    if isinstance(undecoded, PackedFrame) and isinstance(undecoded.image, PackedImage):
        return b'' if undecoded.image.encoding else undecoded.image.data
    return b''


def _background(frame: BagFrame, mesh: Mesh, is_empty: bool, find: Paint | None) -> np.ndarray | None:
    """The frame (H, W, 3) without the object; None when it may be in it."""
    if frame.truths:
        painted = paint_over(frame, mesh)
        return None if painted is None else painted.image
    if is_empty:
        return frame.image
    found = find(frame) if find and not frame.reason else None
    painted = paint_over(found, mesh) if found else None
    return None if painted is None else painted.image


def _finder(mesh: Mesh, start: Path) -> Paint | None:
    """Looks for the object with the model in ``start``; None if that is of another object."""
    card = load_model_card(start)
    if not is_same_object(card.mesh, mesh):
        return None
    estimator = PoseEstimator(card)

    def find(frame: BagFrame) -> BagFrame | None:
        poses = estimator.estimate(*frame.view()).poses
        if not poses or not poses[0].score > SURE_SCORE:
            return None
        return frame.with_truths([TruePose(pose.camera_from_object) for pose in poses])

    return find


def is_same_object(first: Mesh, second: Mesh) -> bool:
    """Whether two meshes have the same vertices, to the rounding of a file, and the same texture."""
    return (first.vertices.shape == second.vertices.shape
            and np.allclose(first.vertices, second.vertices, atol=1e-6)
            and np.array_equal(first.texture, second.texture))


def _in_neutral_light(image: np.ndarray, cast: np.ndarray) -> np.ndarray:
    """Without the cast, which the camera augmentation adds to the whole picture."""
    return np.clip(np.rint(image / cast), 0, 255).astype(np.uint8)
