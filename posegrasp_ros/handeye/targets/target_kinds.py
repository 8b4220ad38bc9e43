# SPDX-License-Identifier: Apache-2.0
"""The kinds of targets by name: what ``--target`` and the node's parameter take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from posegrasp_ros.handeye.targets import april_tag, charuco, chessboard
from posegrasp_ros.handeye.targets.target import Target
from posegrasp_ros.runtime.resources import model_folder

KINDS: dict[str, tuple[Callable[[str], Target], str]] = {
    'charuco': (charuco.Charuco, charuco.FORM),
    'chessboard': (chessboard.Chessboard, chessboard.FORM),
    'apriltag': (april_tag.AprilTag, april_tag.FORM),
}
"""Word before the first colon -> what makes the target of the text, and how the text is formed."""
FORMS = ('board.yaml of posegrasp board', *(form for _, form in KINDS.values()),
         'a model folder or shipped model without symmetries')


def target_of(text: str, threads: int | None = None) -> Target:
    """The target that a text names; anything but a kind and a YAML file is a model.

    :param threads: of a model's networks
    :raises InvalidInputError: when it names none
    """
    kind, colon, _ = text.partition(':')
    if colon and kind in KINDS:
        return KINDS[kind][0](text)
    if Path(text).suffix in ('.yaml', '.yml'):
        return charuco.PrintedBoard(Path(text))
    from posegrasp_ros.handeye.targets.modelled_object import ModelledObject  # slow to import

    return ModelledObject(model_folder(text), threads)
