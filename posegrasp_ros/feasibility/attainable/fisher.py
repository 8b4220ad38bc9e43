"""Fisher information of a pose: how much pixels with noise say of it, and the least covariance that this allows.

With independent normal noise the information of an image is the sum over pixels of J^T J / variance, J being how
the pixel's value changes with the pose; no unbiased estimator has less covariance than its inverse (Cramér 1946,
Rao 1945; Kay, "Fundamentals of Statistical Signal Processing: Estimation Theory", section 3.9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.estimation.refinement.depth_map import NOISE_A_SQUARE_METRE, NOISE_FROM_M, NOISE_M
from posegrasp_ros.geometry.camera import Camera

#: What is known of any pose before looking: within a metre, and nothing of the orientation (a uniform turn).
PRIOR_STD = np.repeat([1.0, np.pi / np.sqrt(3)], 3)
#: Depth cameras err alike over a neighbourhood: an object's pixels count as this many measurements at most.
DEPTH_SPOTS = 50.0


@dataclass(frozen=True)
class PixelNoise:
    """A sensor's noise, independent between pixels and colour channels.

    :param read: standard deviation in the dark, grey levels of 255
    :param shot: that at full scale of what grows with the square root of the light
    """

    read: float = 2.0
    shot: float = 0.0

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Of pixels with these values, grey levels squared; rounding to whole levels adds its own."""
        return self.read**2 + self.shot**2 * np.clip(values, 0, 255) / 255 + 1 / 12


def pixel_jacobian(points_camera: np.ndarray, camera: Camera, origin_camera: np.ndarray) -> np.ndarray:
    """(N, 2, 6) how the pixels of points move with the pose, see :func:`perturb`.

    :param points_camera: (N, 3) of the object, camera frame, metres
    :param camera: without distortion
    :param origin_camera: (3,) the object's origin, which the pose shifts and turns about
    """
    x, y, z = points_camera.T
    none = np.zeros_like(z)
    by_shift = np.stack([np.stack([camera.fx / z, none, -camera.fx * x / z**2], axis=-1),
                         np.stack([none, camera.fy / z, -camera.fy * y / z**2], axis=-1)], axis=1)
    # a turn by w moves a point at r from the origin by w x r
    by_turn = np.cross((points_camera - origin_camera)[:, None], by_shift)
    return np.concatenate([by_shift, by_turn], axis=2)


def pose_information(points_camera: np.ndarray, pixel_information: np.ndarray, camera: Camera,
                     origin_camera: np.ndarray) -> np.ndarray:
    """(6, 6) information of a pose from points whose pixels are known to so much.

    :param points_camera: (N, 3) camera frame, metres
    :param pixel_information: (N, 2, 2) inverse covariance of each point's pixel, 1 / pixels²
    :param camera: without distortion
    :param origin_camera: (3,) the object's origin
    """
    jacobian = pixel_jacobian(points_camera, camera, origin_camera)
    return np.einsum('nai,nab,nbj->ij', jacobian, pixel_information, jacobian, optimize=True)


def depth_information(points_camera: np.ndarray, normals_camera: np.ndarray,
                      origin_camera: np.ndarray) -> np.ndarray:
    """(6, 6) information of a pose from a depth camera: each point's distance from the plane at it.

    The noise is that of a structured-light camera (Nguyen et al. 2012, as simulated depth has it).

    :param points_camera: (N, 3) one for each pixel, camera frame, metres
    :param normals_camera: (N, 3) unit
    """
    if len(points_camera) == 0:
        return np.zeros((6, 6))
    depth_m = points_camera[:, 2]
    noise_m = NOISE_M + NOISE_A_SQUARE_METRE * np.maximum(depth_m - NOISE_FROM_M, 0) ** 2
    along = np.abs(np.einsum('nd,nd->n', normals_camera, points_camera / depth_m[:, None]))
    rows = np.hstack([normals_camera, np.cross(points_camera - origin_camera, normals_camera)])
    rows /= (noise_m * np.maximum(along, 0.2))[:, None]
    return rows.T @ rows * min(1.0, DEPTH_SPOTS / len(rows))


def without_directions(information: np.ndarray, directions: list[np.ndarray]) -> np.ndarray:
    """(6, 6) information of what is left when nothing is known along some (6,) directions: Schur's complement."""
    if not directions:
        return information
    along = np.column_stack(directions)
    crossed = information @ along
    rest = information - crossed @ np.linalg.pinv(along.T @ crossed, rcond=1e-9, hermitian=True) @ crossed.T
    return (rest + rest.T) / 2


def positive(covariance: np.ndarray) -> np.ndarray:
    """The same (6, 6) covariance without the negative variances that rounding leaves where there is none."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 1e-14 * values[-1])) @ vectors.T


def bound(information: np.ndarray) -> np.ndarray:
    """(6, 6) least covariance of a pose with this (6, 6) information and :data:`PRIOR_STD`: never singular."""
    # in units of the prior, for metres and radians differ by orders of magnitude
    scaled = np.outer(PRIOR_STD, PRIOR_STD) * information + np.eye(6)
    return np.outer(PRIOR_STD, PRIOR_STD) * np.linalg.inv((scaled + scaled.T) / 2)
