# SPDX-License-Identifier: Apache-2.0
"""LabelFile: poses that a person labelled, a ground-truth CSV file whose comments say how each frame was labelled.

``read_ground_truth`` reads the poses and passes over the comments::

    # posegrasp labels/1 {"object": "box", "mesh": "5f0c…", "frames": 360, "first_ns": 1000000000, …}
    # refined 1000000000
    # absent 1033333333
    stamp_ns,x,y,z,qx,qy,qz,qw,cov_0_0,…
    1000000000,0.012,…
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from posegrasp_ros.datasets.ground_truth_file import GroundTruthError, ground_truth_lines, read_ground_truth
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.errors import quoted
from posegrasp_ros.runtime.file_lock import locked

REFINED, POINTS, MOVED = 'refined', 'points', 'moved'
SKIPPED, ABSENT = 'skipped', 'absent'
POSE_WAYS, NO_POSE_WAYS = (REFINED, POINTS, MOVED), (SKIPPED, ABSENT)
"""How a frame was labelled: pose aligned with the image by the refinement, solved from clicked points, or moved by
hand; left out, or without the object."""
HEAD = '# posegrasp labels/1 '
MARK = re.compile(rf'# ({"|".join((*POSE_WAYS, *NO_POSE_WAYS))}) (\d{{1,19}})\s*')


class Label(NamedTuple):
    """What a person stated about a frame.

    :param way: one of :data:`POSE_WAYS`, or of :data:`NO_POSE_WAYS`
    :param truth: in the camera's frame; None of a frame without a pose
    """

    way: str
    truth: TruePose | None = None


@dataclass(frozen=True)
class LabelledSource:
    """What labels belong to; labels of anything else are not continued.

    :param object: name of the object
    :param mesh: hash of its mesh, whose frame the poses are of
    :param frames: how many there are
    :param first_ns: stamp of the first
    :param last_ns: of the last
    :param camera: focal lengths and principal point of the first, pixels; empty where it has no camera
    """

    object: str
    mesh: str
    frames: int
    first_ns: int
    last_ns: int
    camera: str


class LabelFile:
    """The labels of a source's frames by their stamps; the file holds all that were set, and never half of one.

    :param stamps_ns: of the source's frames
    :ivar labels: by stamp
    :raises GroundTruthError: when the file exists and is none of this source
    """

    def __init__(self, path: Path, source: LabelledSource, stamps_ns: Sequence[int]):
        self.path, self._source = path, source
        self.labels: dict[int, Label] = {}
        self._remarks: list[str] = []
        if path.exists():
            self._check_head()
            lines = path.read_text(encoding='utf-8').splitlines()
            self._remarks = [line for line in lines[1:] if line.startswith('#') and not MARK.fullmatch(line)]
            self.labels = read_labels(path)
            unknown = sorted(set(self.labels) - set(stamps_ns))
            if unknown:
                raise GroundTruthError(f'{path}: expected labels for frames of the source, got one with the stamp '
                                       f'{unknown[0]} ns, which no frame has')

    def set(self, stamp_ns: int, label: Label) -> None:
        """Set the label of a frame and write the file.

        :raises OSError: when it cannot be written; the label is not set then
        """
        labels = dict(sorted({**self.labels, stamp_ns: label}.items()))
        marks = [f'# {each.way} {stamp}' for stamp, each in labels.items()]
        poses = [(stamp, each.truth) for stamp, each in labels.items() if each.truth is not None]
        lines = [HEAD + json.dumps(asdict(self._source)), *self._remarks, *marks, *ground_truth_lines(poses)]
        write_whole(self.path, '\n'.join(lines) + '\n')
        self.labels = labels

    def line(self, frames: int) -> str:
        """How far the labelling is, for people.

        :param frames: how many there are
        """
        counts = Counter(label.way for label in self.labels.values())
        ways = ', '.join(f'{counts[way]} {way}' for way in (*POSE_WAYS, *NO_POSE_WAYS) if counts[way])
        return f'{len(self.labels)} of {frames} frames labelled{f" ({ways})" if ways else ""}'

    def _check_head(self) -> None:
        found = stated_source(self.path)
        if found is None:
            raise GroundTruthError(f'{self.path}: expected labels written by posegrasp watch --label, or no such '
                                   'file; got another kind of file')
        for name, expected in asdict(self._source).items():
            if found.get(name) != expected:
                raise GroundTruthError(f'{self.path}: expected labels of this source and model, {name} '
                                       f'{expected}, got {quoted(found.get(name))}: name another file')


def mesh_name(mesh: Mesh) -> str:
    """A mesh as :attr:`LabelledSource.mesh` names it."""
    return mesh.sha256.hex()[:16]


def stated_source(path: Path) -> dict[str, Any] | None:
    """What labels belong to, as their file says it, see :class:`LabelledSource`; None where it does not."""
    with path.open(encoding='utf-8', errors='replace') as file:
        first = file.readline(10_000)
    try:
        found = json.loads(first.removeprefix(HEAD)) if first.startswith(HEAD) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_labels(path: Path) -> dict[int, Label]:
    """Labels by stamp; of a ground-truth file without such comments the poses, as moved by hand.

    :raises GroundTruthError: when it is no ground-truth file, a stamp has two poses, a pose is in another frame
        than the camera's, or the comments do not belong to the poses
    """
    poses: dict[int, TruePose] = {}
    for stamp_ns, frame, pose in read_ground_truth(path):
        if frame:
            raise GroundTruthError(f"{path}: expected labels in the camera's frame, got one in {quoted(frame)}")
        if stamp_ns in poses:
            raise GroundTruthError(f'{path}: expected one label a frame, got two of the stamp {stamp_ns} ns')
        poses[stamp_ns] = pose
    with path.open(encoding='utf-8') as file:
        found = [MARK.fullmatch(line) for line in file if line.startswith('#')]
    ways: dict[int, str] = {}
    for mark in filter(None, found):
        if ways.setdefault(int(mark[2]), mark[1]) != mark[1]:
            raise GroundTruthError(f'{path}: expected one comment on each frame, found {ways[int(mark[2])]} and '
                                   f'{mark[1]} of the stamp {mark[2]} ns')
    contradicting = [stamp for stamp, way in ways.items() if (way in POSE_WAYS) != (stamp in poses)]
    if contradicting:
        raise GroundTruthError(f'{path}: expected a pose of each frame that is labelled with one and of no other, '
                               f'found otherwise for the stamp {min(contradicting)} ns')
    return {**{stamp: Label(ways.get(stamp, MOVED), pose) for stamp, pose in poses.items()},
            **{stamp: Label(way) for stamp, way in ways.items() if way in NO_POSE_WAYS}}


@contextmanager
def labelling(path: Path) -> Iterator[None]:
    """Keep other processes from labelling to the same file within a ``with`` block.

    :raises GroundTruthError: when another one does, or the path is in no folder
    """
    if not path.parent.is_dir():
        raise GroundTruthError(f'{path}: expected a folder {path.parent} to write labels to, found none')
    with locked(path, 0.0) as held:
        if not held:
            raise GroundTruthError(f'{path}: another process is labelling to it')
        yield
