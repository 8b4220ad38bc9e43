# SPDX-License-Identifier: Apache-2.0
"""Checks of parameters that name files or objects: what configure would refuse is refused when it is set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.ros.parameters import ParameterError
from posegrasp_ros.runtime.resources import model_folder


def is_model(value: str) -> None:
    """A model folder or the name of a shipped model.

    :raises InvalidInputError: when its card cannot be used
    """
    load_model_card(model_folder(value))


def are_models(values: Sequence[str]) -> None:
    """Several of them."""
    for value in values:
        is_model(value)


def is_gripper(value: str) -> None:
    """A gripper file or the name of a shipped gripper.

    :raises InvalidInputError: when it cannot be used
    """
    load_gripper(value)


def is_file(value: str) -> None:
    """A file that is there.

    :raises ParameterError: when it is not
    """
    if not Path(value).is_file():
        raise ParameterError(f'{value}: no such file')
