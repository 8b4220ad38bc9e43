"""The decoder families by name: ours, and those that other installed packages add.

Another package adds one by an entry point, without a change here::

    [project.entry-points."posegrasp.decoders"]
    my_family = "my_package.my_module:MyDecoder"
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.runtime.errors import InvalidInputError

GROUP = 'posegrasp.decoders'
OURS = {
    'object_coordinates': 'posegrasp_ros.estimation.decoders.object_coordinates:ObjectCoordinates',
    'dope': 'posegrasp_ros.estimation.decoders.dope:Dope',
    'yolo_pose': 'posegrasp_ros.estimation.decoders.yolo_pose:YoloPose',
}


class DecoderError(InvalidInputError):
    """A decoder family of another package that cannot be used."""


def decoder_families() -> tuple[str, ...]:
    """Names of all families, ours first."""
    return (*OURS, *(name for name in _of_others() if name not in OURS))


def decoder_class(family: str) -> type[Decoder]:
    """The class of one of :func:`decoder_families`; it is imported now.

    :raises DecoderError: when the package that adds it cannot be used
    """
    if family in OURS:
        module, name = OURS[family].split(':')
        return getattr(importlib.import_module(module), name)
    entry = _of_others()[family]
    package = entry.dist.name if entry.dist else 'another package'
    what = f'decoder family {family}: entry point {entry.value} of {package}'
    try:
        found = entry.load()
    except Exception as error:  # whatever the other package raises at its import
        raise DecoderError(f'{what}: cannot be imported: {error}') from error
    if not (isinstance(found, type) and issubclass(found, Decoder) and getattr(found, 'family', '') == family):
        raise DecoderError(f'{what}: expected a subclass of {Decoder.__module__}.Decoder with family = {family!r}')
    return found


@cache
def _of_others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
