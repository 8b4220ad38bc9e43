# SPDX-License-Identifier: Apache-2.0
"""Which poses are to be judged: topics, tf frames and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from posegrasp_ros.pose_sources.pose_matching import Matching


@dataclass(frozen=True)
class AskedSources:
    """The sources; the summary is about the first, topics before frames before files.

    :param topics: of poses, of any type in :data:`posegrasp_ros.pose_sources.pose_messages.READERS`
    :param frames: the object's frames in /tf, as published by the nodes in question
    :param files: poses as the BOP benchmark's tools take them, or as a ground-truth file has them
    :param classes: by object the class id in messages that name one; of others the object's name, or the only one
        that there is
    :param matching: how they are matched to images
    :param shift_ns: by object, added to the stamps of poses before they are matched
    """

    topics: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    classes: Mapping[str, str] = field(default_factory=dict)
    matching: Matching = field(default_factory=Matching)
    shift_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of the sources, in their order."""
        return [*self.topics, *(f'tf:{frame}' for frame in self.frames), *(path.name for path in self.files)]
