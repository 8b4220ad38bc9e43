# SPDX-License-Identifier: Apache-2.0
"""Kinds of grippers other than parallel jaws, as far as their names tell."""

from __future__ import annotations

_KINDS = {
    'a suction gripper': ('suction', 'vacuum', 'epick', 'vgc10', 'vg10'),
    'a hand with more than two fingers': (
        'barrett', 'bhand', 'allegro', 'shadow', 'leap_hand', 'inspire', 'ability_hand', 'three_finger',
        'threefinger', '3finger', '3_finger', '3f_gripper', 'robotiq_3f', 'sdh'),
}


def other_kind(*names: object) -> str:
    """The kind that any of these names, as of a gripper, a frame or joints, stands for; empty for none."""
    said = ' '.join(name.lower().replace('-', '_') for name in names if isinstance(name, str))
    return next((kind for kind, parts in _KINDS.items() if any(part in said for part in parts)), '')
