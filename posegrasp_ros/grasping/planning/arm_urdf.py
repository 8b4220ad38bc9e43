# SPDX-License-Identifier: Apache-2.0
"""Checks of an arm's URDF that its reader leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from posegrasp_ros.runtime.errors import InvalidInputError, quoted

FREE_JOINTS = ('floating', 'planar')
LIMITED_JOINTS = ('revolute', 'prismatic')
AXIS_JOINTS = (*LIMITED_JOINTS, 'continuous')


class ReachError(InvalidInputError):
    """An arm model that cannot be used."""


def checked_urdf(path: Path, tip: str) -> list[str]:
    """Check the joints between a URDF's root and its tip; what else may be wrong is left to the reader to find.

    :return: names of the floating and planar joints between the root and the arm, which are to be locked
    :raises ReachError: when the file is missing or xacro, or a joint of the arm is free or mimics another,
        or has no axis, or swapped limits
    """
    if not path.is_file():
        raise ReachError(f'{path}: no such URDF file')
    text = re.sub('<!--.*?-->', '', path.read_text(encoding='utf-8', errors='replace'), flags=re.DOTALL)
    if '<xacro:' in text:
        raise ReachError(f'{path}: expected a URDF, got a xacro file: run xacro first (xacro {path} > arm.urdf)')
    try:
        joints = {_link_of(joint, 'child'): joint for joint in ElementTree.fromstring(text).iter('joint')}
    except (ElementTree.ParseError, ValueError) as error:
        raise ReachError(f'{path}: expected a URDF that can be read: {error}') from error
    chain: list[ElementTree.Element] = []
    # A joint's name is a frame, too.
    link = next((child for child, joint in joints.items() if joint.get('name') == tip), tip)
    while link in joints and joints[link] not in chain:
        chain.insert(0, joints[link])
        link = _link_of(chain[0], 'parent')
    locked: list[str] = []
    is_arm = False
    for joint in chain:
        kind, name = joint.get('type', ''), joint.get('name', '')
        is_arm = is_arm or kind in AXIS_JOINTS
        if kind in FREE_JOINTS and not is_arm:
            locked.append(name)
        elif is_arm:
            _check_joint(f'{path}: joint {quoted(name)}', joint, kind)
    return locked


def _check_joint(where: str, joint: ElementTree.Element, kind: str) -> None:
    if kind in FREE_JOINTS:
        raise ReachError(f'{where}: expected joints that turn or slide from the first of the arm on, got a {kind} '
                         'one')
    mimic, axis, limit = joint.find('mimic'), joint.find('axis'), joint.find('limit')
    if mimic is not None:
        raise ReachError(f'{where}: expected joints of the arm that move by themselves, got one that mimics '
                         f'{quoted(mimic.get("joint", ""))}')
    direction = '1 0 0' if axis is None else axis.get('xyz', '1 0 0')
    if kind in AXIS_JOINTS and not any(_numbers(f'{where}: axis', direction)):
        raise ReachError(f'{where}: axis: expected a direction, got {direction}')
    if kind in LIMITED_JOINTS and limit is not None:
        low, high = (_numbers(f'{where}: {name}', limit.get(name, '0'))[0] for name in ('lower', 'upper'))
        if low > high:
            raise ReachError(f'{where}: expected a lower limit not above the upper one, got {low:g} and {high:g}; '
                             'are they swapped?')


def _numbers(where: str, text: str) -> list[float]:
    try:
        numbers = [float(each) for each in text.split()]
    except ValueError:
        numbers = []
    if not numbers or not np.isfinite(numbers).all():
        raise ReachError(f'{where}: expected finite numbers, got {quoted(text)}')
    return numbers


def _link_of(joint: ElementTree.Element, which: str) -> str:
    link = joint.find(which)
    return '' if link is None else link.get('link', '')
