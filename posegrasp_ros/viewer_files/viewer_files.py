# SPDX-License-Identifier: Apache-2.0
"""ViewerFiles: which files for viewers are asked for, and their writers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mcap.exceptions import McapError
from mcap.reader import make_reader

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.file_lock import locked
from posegrasp_ros.viewer_files.shown_frame import ShownFrame
from posegrasp_ros.viewer_files.viewer_image import ViewerImage, ViewerImages

LIBRARY = 'posegrasp_ros'
"""Name of the writer in an MCAP file's header."""
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
    :param replace: whether files of the same names are replaced, if they are such files
    """

    mcap: Path | None = None
    rerun: Path | None = None
    replace: bool = False

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
            if (path.parent / 'metadata.yaml').exists():
                raise InvalidInputError(f'{path}: expected a file outside of recordings, found one beside it')
            if path.exists() and not (self.replace and _is_of_ours(path)):
                raise InvalidInputError(f'{path}: exists already: name another file')
        if self.rerun is not None:
            import rerun  # noqa: F401

    @contextmanager
    def opened(self) -> Iterator[Shows]:
        """What writes a frame to all of them; where the block fails, none is left.

        :raises InvalidInputError: when another process is writing one
        :raises OSError: when one cannot be written
        """
        partial = {path: path.with_name(f'.{path.stem}.partial{path.suffix}') for path in self.paths}
        with ExitStack() as stack:
            for path in self.paths:
                if not stack.enter_context(locked(path, 0.0)):
                    raise InvalidInputError(f'{path}: another process is writing it')
                stack.callback(partial[path].unlink, missing_ok=True)
            with self._written(partial) as show:
                yield show
            for path in self.paths:
                os.replace(partial[path], path)

    @contextmanager
    def _written(self, partial: Mapping[Path, Path]) -> Iterator[Shows]:
        """Writes to files of other names."""
        files: dict[Path, ViewerFile] = {}
        with ExitStack() as stack:
            for path, written in partial.items():
                with _named(path):
                    files[path] = file = _file_of(written)
                stack.callback(_close, file, path)
            images = ViewerImages()

            def show(frame: ShownFrame) -> None:
                image = images.prepare(frame.image, frame.camera)
                for path, file in files.items():
                    with _named(path):
                        file.add(frame, image)

            yield show


def _file_of(path: Path) -> ViewerFile:
    """The writer of a file, by its suffix."""
    path.write_bytes(b'')  # an error that names the file, whatever its writer would say
    if path.suffix == '.mcap':
        from posegrasp_ros.viewer_files.foxglove_file import FoxgloveFile

        return FoxgloveFile(path)
    from posegrasp_ros.viewer_files.rerun_file import RerunFile

    return RerunFile(path)


def _close(file: ViewerFile, path: Path) -> None:
    with _named(path):
        file.close()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of writing name the file that was asked for."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _is_of_ours(path: Path) -> bool:
    """Whether a file was written here, and is no recording of somebody's."""
    if path.suffix != '.mcap':
        return path.is_file()
    try:
        with path.open('rb') as file:
            return make_reader(file).get_header().library == LIBRARY
    except (OSError, McapError):
        return False
