# SPDX-License-Identifier: Apache-2.0
"""The decoder families by name: ours, and those that other installed packages add.

Another package adds one by an entry point, without a change here::

    [project.entry-points."posegrasp.decoders"]
    my_family = "my_package.my_module:MyDecoder"
"""

from __future__ import annotations

import importlib

from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.runtime.entry_points import described, entry_points, load_entry_point
from posegrasp_ros.runtime.errors import InvalidInputError

KIND, GROUP = 'decoder family', 'posegrasp.decoders'
OURS = {
    'object_coordinates': 'posegrasp_ros.estimation.decoders.object_coordinates:ObjectCoordinates',
    'dope': 'posegrasp_ros.estimation.decoders.dope:Dope',
    'yolo_pose': 'posegrasp_ros.estimation.decoders.yolo_pose:YoloPose',
}


class DecoderError(InvalidInputError):
    """A decoder family of another package that cannot be used."""


def decoder_families() -> tuple[str, ...]:
    """Names of all families, ours first."""
    return (*OURS, *(name for name in entry_points(GROUP) if name not in OURS))


def decoder_class(family: str) -> type[Decoder]:
    """The class of one of :func:`decoder_families`; it is imported now.

    :raises DecoderError: when the package that adds it cannot be used
    """
    if family in OURS:
        module, name = OURS[family].split(':')
        return getattr(importlib.import_module(module), name)
    found = load_entry_point(KIND, GROUP, family, DecoderError)
    if not (isinstance(found, type) and issubclass(found, Decoder) and getattr(found, 'family', '') == family):
        raise DecoderError(f'{described(KIND, GROUP, family)}: expected a subclass of '
                           f'{Decoder.__module__}.Decoder with family = {family!r}')
    return found
