# SPDX-License-Identifier: Apache-2.0
"""Text descriptions of ambiguities: axes, rotations and faces."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.feasibility.attainable.look_alikes import SAME_COLOUR, LookAlikes
from posegrasp_ros.feasibility.attainable.turns import STEP_DEG, axis_angle

NAMED_COSINE = float(np.cos(np.radians(5)))
FACE_COSINE = float(np.cos(np.radians(30)))
FACE_TOLD_BY = 0.2
"""Two faces have the same artwork if less than this share of their points differs in colour."""
PRINTED = 0.03
"""A face is printed if more than this share of its points differs from the median colour."""
FACES = {f'{sign}{name}': (1 if sign == '+' else -1) * axis
         for name, axis in zip('xyz', np.eye(3)) for sign in '+-'}


def describe(kind: str, turns: np.ndarray, free_axes: list[np.ndarray], faces: list[tuple[str, str]]) -> str:
    """One sentence on rotations (K, 4, 4) that look alike.

    :param free_axes: axes about which any rotation looks alike
    :param faces: pairs with the same artwork, see :func:`alike_faces`
    """
    if kind == 'no orientation':
        return 'the object looks the same in any orientation'
    what = _any_turn(free_axes) if free_axes else _turns_in_words(turns)
    if kind == 'declared symmetry':
        return f'{what} looks the same, as declared on the model card'
    if kind == 'undeclared symmetry':
        return f'{what} looks the same, but the model card declares no such symmetry'
    if kind == 'hidden feature':
        return f'{what} looks nearly the same in some views: the distinguishing features are hidden or small'
    pairs = ', '.join(f'{first} and {second}' for first, second in faces)
    if kind == 'twin faces':
        return f'the faces {pairs} carry the same artwork: a view that shows mostly these faces is ambiguous'
    twins = f'the faces {pairs} carry the same artwork; ' if pairs else ''
    return f'{twins}{what} changes less than a fifth of the image in some views'


def continuous_axes(turns: np.ndarray) -> list[np.ndarray]:
    """Unit axes (3,) about which all multiples of 15° are among the rotations (K, 4, 4)."""
    angles_deg: dict[tuple, set[int]] = {}
    axes: dict[tuple, np.ndarray] = {}
    for turn in turns:
        axis, angle = axis_angle(turn)
        key = tuple(axis.round(1) + 0.0)
        axes.setdefault(key, axis)
        degrees = round(float(np.degrees(angle)))
        # a rotation by 180° is its own inverse
        angles_deg.setdefault(key, set()).update({degrees % 360, -degrees % 360} if abs(degrees) == 180
                                                 else {degrees % 360})
    steps = set(range(STEP_DEG, 360, STEP_DEG))
    return [axes[key] for key, found in angles_deg.items() if steps <= found]


def alike_faces(turn: np.ndarray, looks: LookAlikes) -> list[tuple[str, str]]:
    """Pairs of faces, such as ``+x`` and ``-x``, that a (4, 4) rotation swaps and that look alike."""
    tells, pairs = looks.tells(turn), []
    for first, direction in FACES.items():
        other = turn[:3, :3].T @ direction
        second = next((name for name, axis in FACES.items() if axis @ other > NAMED_COSINE), first)
        face = looks.normals @ direction > FACE_COSINE
        if first < second and face.any() and tells[face].mean() < FACE_TOLD_BY:
            pairs.append((first, second))
    return pairs


def share_of_faces(pairs: list[tuple[str, str]], looks: LookAlikes) -> float:
    """Share of the surface that lies on these faces."""
    on_one = [looks.normals @ FACES[name] > FACE_COSINE for name in {name for pair in pairs for name in pair}]
    return float(np.any(on_one, axis=0).mean()) if on_one else 0.0


def is_printed(face: str, looks: LookAlikes) -> bool:
    """Whether a face, such as ``+x``, has more than one colour."""
    colours = looks.colours[looks.normals @ FACES[face] > FACE_COSINE]
    other = np.linalg.norm(colours - np.median(colours, axis=0), axis=1) > SAME_COLOUR
    return bool(other.mean() > PRINTED)


def axis_name(axis: np.ndarray) -> str:
    """``its x axis``, or the direction as numbers."""
    named = next((name for name, unit in zip('xyz', np.eye(3)) if abs(axis @ unit) > NAMED_COSINE), None)
    return f'its {named} axis' if named else 'the axis ({:.2f}, {:.2f}, {:.2f})'.format(*axis)


def _any_turn(axes: list[np.ndarray]) -> str:
    return 'any turn about ' + ' or '.join(axis_name(axis) for axis in axes)


def _turns_in_words(turns: np.ndarray) -> str:
    """Such as ``half a turn about its x axis``."""
    axes = {tuple(axis_angle(turn)[0].round(1) + 0.0): axis_angle(turn)[0] for turn in turns}
    angles_deg = [abs(np.degrees(axis_angle(turn)[1])) for turn in turns]
    if len(axes) > 1:
        return f'each of {len(turns)} turns about {len(axes)} axes'
    name = axis_name(next(iter(axes.values())))
    if min(angles_deg) > 179:
        return f'half a turn about {name}'
    if len(turns) == 1 or np.ptp(angles_deg) < 1:
        return f'a turn by {min(angles_deg):.0f}° about {name}'
    return f'turns by {min(angles_deg):.0f}° to {max(angles_deg):.0f}° about {name}'
