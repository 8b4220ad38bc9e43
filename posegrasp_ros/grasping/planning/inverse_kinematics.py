# SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics of a chain of joints: damped least squares on the logarithm of the pose error, compiled.

Pinocchio's functions give the same numbers; called one by one from Python they take twenty times as long.
"""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled

ITERATIONS = 80
POSITION_M, ROTATION_RAD = 0.001, 0.01
_DAMPING = 1e-4
_STEP_RAD = 0.5  # largest change of a joint per iteration, the range of the linearisation
_PROGRESS = 0.9  # an error that has fallen below this share of the last one noted is progress
_SMALL_RAD = 1e-4


@compiled
def solve(joints: np.ndarray, slides: np.ndarray, limits: np.ndarray, last_from_tip: np.ndarray,
          root_from_tip: np.ndarray, start: np.ndarray, patience: int) -> tuple[bool, np.ndarray, float]:
    """Joint positions within limits that put the tip at a pose.

    :param joints: (J, 4, 4) of each joint at zero in the frame of the one before; the last row is its axis
    :param slides: (J,) whether it slides, rather than turns
    :param limits: (2, J) radians or metres
    :param last_from_tip: (4, 4) of the tip in the frame of the last joint
    :param start: (J,) where to start
    :param patience: end after so many iterations without progress
    :return: whether they were found, the positions, and the least error on the way, metres and radians alike
    """
    count = len(joints)
    posture, least, goal, waited = start.copy(), np.inf, np.inf, 0
    tip, jacobian, error = np.empty((4, 4)), np.empty((6, count)), np.empty(6)
    rotation, shift, weights, turned = np.empty((3, 3)), np.empty(3), np.empty((6, 6)), np.empty((6, count))
    system, step = np.empty((6, 6)), np.empty(6)
    for _ in range(ITERATIONS):
        kinematics(joints, slides, last_from_tip, posture, tip, jacobian)
        for i in range(3):
            shift[i] = 0.0
            for k in range(3):
                shift[i] += tip[k, i] * (root_from_tip[k, 3] - tip[k, 3])
            for j in range(3):
                rotation[i, j] = 0.0
                for k in range(3):
                    rotation[i, j] += tip[k, i] * root_from_tip[k, j]
        logarithm(rotation, shift, error)
        position, angle = 0.0, 0.0
        for i in range(3):
            position += error[i]**2
            angle += error[3 + i]**2
        if position < POSITION_M**2 and angle < ROTATION_RAD**2:
            return True, posture, 0.0
        least = min(least, math.sqrt(position + angle))
        if least < goal:
            goal, waited = _PROGRESS * least, 0
        else:
            waited += 1
            if waited >= patience:
                break
        _logarithm_by_motion(rotation, shift, error, weights)
        for i in range(6):
            for j in range(count):
                turned[i, j] = 0.0
                for k in range(6):
                    turned[i, j] += weights[i, k] * jacobian[k, j]
        for i in range(6):
            for j in range(i + 1):
                system[i, j] = _DAMPING if i == j else 0.0
                for k in range(count):
                    system[i, j] += turned[i, k] * turned[j, k]
        _solve_symmetric(system, error, step)
        _move(posture, turned, step, limits)
    return False, posture, least


@compiled
def kinematics(joints: np.ndarray, slides: np.ndarray, last_from_tip: np.ndarray, posture: np.ndarray,
               tip: np.ndarray, jacobian: np.ndarray) -> None:
    """Forward kinematics, into ``tip`` (4, 4) and ``jacobian`` (6, J) in the tip's frame, translation first."""
    count = len(joints)
    _set_identity(tip)
    axes, origins, turn, frame = np.empty((count, 3)), np.empty((count, 3)), np.empty((4, 4)), np.empty((4, 4))
    for joint in range(count):
        _multiply(tip, joints[joint], frame)
        axis = joints[joint, 3, :3]
        for i in range(3):
            origins[joint, i] = frame[i, 3]
            axes[joint, i] = 0.0
            for k in range(3):
                axes[joint, i] += frame[i, k] * axis[k]
        _motion(axis, posture[joint], slides[joint], turn)
        _multiply(frame, turn, tip)
    _multiply(tip, last_from_tip, frame)
    for i in range(3):
        for j in range(4):
            tip[i, j] = frame[i, j]
    lever, across = np.empty(3), np.empty(3)
    for joint in range(count):
        for i in range(3):
            lever[i] = tip[i, 3] - origins[joint, i]
        _cross(axes[joint], lever, across)
        for i in range(3):
            jacobian[i, joint], jacobian[3 + i, joint] = 0.0, 0.0
            for k in range(3):
                if slides[joint]:
                    jacobian[i, joint] += tip[k, i] * axes[joint, k]
                else:
                    jacobian[i, joint] += tip[k, i] * across[k]
                    jacobian[3 + i, joint] += tip[k, i] * axes[joint, k]


@compiled
def logarithm(rotation: np.ndarray, shift: np.ndarray, error: np.ndarray) -> None:
    """Logarithm of a rigid transform, into ``error`` (6,), translation first."""
    turn = error[3:]
    _rotation_vector(rotation, turn)
    angle = math.sqrt(_dot(turn, turn))
    if angle < _SMALL_RAD:
        alpha, beta = 1.0 - angle**2 / 12.0, 1.0 / 12.0
    else:
        half = angle * math.sin(angle) / (2.0 * (1.0 - math.cos(angle)))
        alpha, beta = half, (1.0 - half) / angle**2
    across = np.empty(3)
    _cross(turn, shift, across)
    along = _dot(turn, shift)
    for i in range(3):
        error[i] = alpha * shift[i] - 0.5 * across[i] + beta * along * turn[i]


@compiled
def _rotation_vector(rotation: np.ndarray, vector: np.ndarray) -> None:
    """Axis times angle, by the unit quaternion, which is well defined up to half a turn."""
    trace = rotation[0, 0] + rotation[1, 1] + rotation[2, 2]
    if trace > 0.0:
        real = trace + 1.0
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            vector[i] = rotation[k, j] - rotation[j, k]
    else:
        i = 0
        if rotation[1, 1] > rotation[0, 0]:
            i = 1
        if rotation[2, 2] > rotation[i, i]:
            i = 2
        j, k = (i + 1) % 3, (i + 2) % 3
        real = rotation[k, j] - rotation[j, k]
        vector[i] = 1.0 + rotation[i, i] - rotation[j, j] - rotation[k, k]
        vector[j] = rotation[j, i] + rotation[i, j]
        vector[k] = rotation[k, i] + rotation[i, k]
        if real < 0.0:
            real = -real
            for i in range(3):
                vector[i] = -vector[i]
    length = math.sqrt(_dot(vector, vector))
    scale = 2.0 * math.atan2(length, real) / length if length > 0.0 else 0.0
    for i in range(3):
        vector[i] *= scale


@compiled
def _logarithm_by_motion(rotation: np.ndarray, shift: np.ndarray, error: np.ndarray, weights: np.ndarray) -> None:
    """How the logarithm falls as the tip moves, (6, 6): Jlog6 of the inverse of the transform."""
    turn, place = np.empty(3), np.empty(3)
    for i in range(3):
        turn[i], place[i] = -error[3 + i], 0.0
        for k in range(3):
            place[i] -= rotation[k, i] * shift[k]
    square = _dot(turn, turn)
    angle = math.sqrt(square)
    if angle < _SMALL_RAD:
        beta, beta_by_angle = 1.0 / 12.0 + square / 720.0, 1.0 / 360.0
    else:
        sine, inverse = math.sin(angle), 1.0 / (2.0 * (1.0 - math.cos(angle)))
        beta = 1.0 / square - sine / angle * inverse
        beta_by_angle = -2.0 / square**2 + (1.0 + sine / angle) / square * inverse
    along = _dot(turn, place)
    for i in range(3):
        for j in range(3):
            weights[i, j] = beta * turn[i] * turn[j] + (1.0 - beta * square if i == j else 0.0)
            weights[i, 3 + j] = (beta_by_angle * along * turn[i] - (square * beta_by_angle + 2.0 * beta) * place[i]
                                 ) * turn[j] + beta * turn[i] * place[j] + (beta * along if i == j else 0.0)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        weights[j, k], weights[k, j] = weights[j, k] - turn[i] / 2.0, weights[k, j] + turn[i] / 2.0
        weights[j, 3 + k] -= place[i] / 2.0
        weights[k, 3 + j] += place[i] / 2.0
    for i in range(3):
        for j in range(3):
            weights[3 + i, j], weights[3 + i, 3 + j] = 0.0, weights[i, j]
    for i in range(3):
        a, b, c = weights[i, 3], weights[i, 4], weights[i, 5]
        for j in range(3):
            weights[i, 3 + j] = a * weights[3, 3 + j] + b * weights[4, 3 + j] + c * weights[5, 3 + j]


@compiled
def _solve_symmetric(matrix: np.ndarray, right: np.ndarray, solution: np.ndarray) -> None:
    """Solve a positive definite system of which the lower triangle is given; it is overwritten (Cholesky)."""
    count = len(right)
    for i in range(count):
        solution[i] = right[i]
        for j in range(i + 1):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = math.sqrt(matrix[i, i]) if i == j else matrix[i, j] / matrix[j, j]
        for k in range(i):
            solution[i] -= matrix[i, k] * solution[k]
        solution[i] /= matrix[i, i]
    for i in range(count - 1, -1, -1):
        for k in range(i + 1, count):
            solution[i] -= matrix[k, i] * solution[k]
        solution[i] /= matrix[i, i]


@compiled
def _move(posture: np.ndarray, turned: np.ndarray, step: np.ndarray, limits: np.ndarray) -> None:
    """Move the joints by the step, shortened to the range of the linearisation, and back within their limits."""
    changes, most = np.zeros(len(posture)), 1e-12
    for joint in range(len(posture)):
        for i in range(6):
            changes[joint] += turned[i, joint] * step[i]
        most = max(most, abs(changes[joint]))
    share = min(1.0, _STEP_RAD / most)
    for joint in range(len(posture)):
        moved = posture[joint] + share * changes[joint]
        posture[joint] = min(max(moved, limits[0, joint]), limits[1, joint])


@compiled
def _motion(axis: np.ndarray, position: float, slides: bool, motion: np.ndarray) -> None:
    """(4, 4) transform of a joint by its position."""
    _set_identity(motion)
    if slides:
        for i in range(3):
            motion[i, 3] = position * axis[i]
        return
    sine, cosine = math.sin(position), math.cos(position)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for n in range(3):
            motion[i, n] = (1.0 - cosine) * axis[i] * axis[n] + (cosine if i == n else 0.0)
        motion[i, j] -= sine * axis[k]
        motion[i, k] += sine * axis[j]


@compiled
def _set_identity(transform: np.ndarray) -> None:
    for i in range(4):
        for j in range(4):
            transform[i, j] = 1.0 if i == j else 0.0


@compiled
def _multiply(first: np.ndarray, second: np.ndarray, product: np.ndarray) -> None:
    """Product of two rigid transforms (4, 4); last rows are not read."""
    for i in range(3):
        for j in range(4):
            product[i, j] = first[i, 3] if j == 3 else 0.0
            for k in range(3):
                product[i, j] += first[i, k] * second[k, j]


@compiled
def _dot(first: np.ndarray, second: np.ndarray) -> float:
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


@compiled
def _cross(first: np.ndarray, second: np.ndarray, product: np.ndarray) -> None:
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        product[i] = first[j] * second[k] - first[k] * second[j]
