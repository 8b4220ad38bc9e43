# SPDX-License-Identifier: Apache-2.0
"""ViewerFiles: which files for viewers are asked for, and their writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.viewer_files.shown_frame import ShownFrame
from posegrasp_ros.viewer_files.viewer_image import ViewerImage, ViewerImages

Shows = Callable[[ShownFrame], None]


class ViewerFile(Protocol):
    """A file of one viewer."""

    def add(self, frame: ShownFrame, image: ViewerImage) -> None:
        """Write a frame."""

    def close(self) -> None:
        """Complete the file."""


@dataclass(frozen=True)
class ViewerFiles:
    """Files to write.

    :param mcap: for Foxglove; None for none
    :param rerun: for Rerun; None for none
    """

    mcap: Path | None = None
    rerun: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All that are asked for."""
        return [path for path in (self.mcap, self.rerun) if path is not None]

    def check(self, recordings: Iterable[str | Path] = ()) -> None:
        """Before minutes are spent: whether they can be written.

        :param recordings: that are read, and must not be written over
        :raises InvalidInputError: when a name will not do
        :raises ModuleNotFoundError: where Rerun is asked for and not installed
        """
        for path, suffix in ((self.mcap, '.mcap'), (self.rerun, '.rrd')):
            if path is not None and path.suffix != suffix:
                raise InvalidInputError(f'{path}: expected a name that ends in {suffix}')
        read = {Path(recording).resolve() for recording in recordings}
        for path in self.paths:
            if read & {path.resolve(), *path.resolve().parents}:
                raise InvalidInputError(f'{path}: expected a file outside of the recordings that are read')
        if self.rerun is not None:
            import rerun  # noqa: F401

    @contextmanager
    def opened(self) -> Iterator[Shows]:
        """What writes a frame to all of them; they are complete at the end, however it comes.

        :raises OSError: when one cannot be written
        """
        with ExitStack() as stack:
            files: list[ViewerFile] = []
            for path in self.paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b'')  # an error that names the file, whatever its writer would say
            if self.mcap is not None:
                from posegrasp_ros.viewer_files.foxglove_file import FoxgloveFile

                files.append(FoxgloveFile(self.mcap))
                stack.callback(files[-1].close)
            if self.rerun is not None:
                from posegrasp_ros.viewer_files.rerun_file import RerunFile

                files.append(RerunFile(self.rerun))
                stack.callback(files[-1].close)
            images = ViewerImages()

            def show(frame: ShownFrame) -> None:
                image = images.prepare(frame.image, frame.camera)
                for file in files:
                    file.add(frame, image)

            yield show
