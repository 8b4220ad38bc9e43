# SPDX-License-Identifier: Apache-2.0
"""Paths of the package's data files: config/, models/, launch/, rviz/."""

from __future__ import annotations

from pathlib import Path

from posegrasp_ros.runtime.errors import InvalidInputError

PACKAGE = 'posegrasp_ros'
SHIPPED_MODELS = ('box', 'can')
DEFAULT_MODEL = Path(SHIPPED_MODELS[0])
DEFAULT_GRIPPER = 'franka_hand'


class ResourceError(InvalidInputError):
    """A data file of the package is missing."""


def share_folder() -> Path:
    """The folder that holds config/, models/, launch/ and rviz/.

    In a source checkout they are next to the package. pip, colcon and Debian packages all install them as
    share/posegrasp_ros below the prefix that contains the package's lib/pythonX.Y/..., so they are found by
    walking up from this file, without environment variables or an index.

    :raises ResourceError: when the package was copied out of its install
    """
    package = Path(__file__).resolve().parents[1]
    for folder in package.parents:
        if folder == package.parent and (folder / 'package.xml').is_file():
            return folder
        if (folder / 'share' / PACKAGE).is_dir():
            return folder / 'share' / PACKAGE
    raise ResourceError(f'{package}: expected share/{PACKAGE} in a folder above, found none; reinstall it')


def resource_path(name: str) -> Path:
    """Path of a shipped file or folder, such as ``config/baselines.yaml`` or ``models/box``.

    :raises ResourceError: when there is none of that name
    """
    path = share_folder() / name
    if not path.exists():
        raise ResourceError(f'{path}: expected a file or folder that comes with {PACKAGE}, found none')
    return path


def model_folder(given: str | Path | None = None) -> Path:
    """The model folder for a path or the name of a shipped model; the box by default."""
    if given and (str(given) not in SHIPPED_MODELS or Path(given).is_dir()):
        return Path(given)
    return resource_path(f'models/{given or SHIPPED_MODELS[0]}')


def shipped_grippers() -> list[str]:
    """Names of the grippers that come with the package."""
    return sorted(path.stem for path in resource_path('config/grippers').glob('*.yaml'))
