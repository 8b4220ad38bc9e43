# SPDX-License-Identifier: Apache-2.0
"""Fisher information of a pose from noisy pixels, and the Cramér-Rao bound of its covariance.

With independent normal noise the information of an image is the sum over pixels of J^T J / variance, where J is
the derivative of the pixel value with respect to the pose. No unbiased estimator has a smaller covariance than its
inverse (Cramér 1946, Rao 1945; Kay, "Fundamentals of Statistical Signal Processing: Estimation Theory", section
3.9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.estimation.refinement.depth_map import NOISE_A_SQUARE_METRE, NOISE_FROM_M, NOISE_M
from posegrasp_ros.geometry.camera import Camera

#: Prior standard deviations of a pose: one metre, and a uniform orientation.
PRIOR_STD = np.repeat([1.0, np.pi / np.sqrt(3)], 3)
#: Depth errors are correlated between neighbouring pixels: an object counts as at most this many measurements.
DEPTH_SPOTS = 50.0


@dataclass(frozen=True)
class PixelNoise:
    """Sensor noise, independent between pixels and colour channels.

    :param read: read noise, standard deviation in grey levels of 255
    :param shot: shot noise, standard deviation at full scale, grey levels of 255
    """

    read: float = 2.0
    shot: float = 0.0

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Variance for these pixel values, grey levels squared, including quantisation."""
        return self.read**2 + self.shot**2 * np.clip(values, 0, 255) / 255 + 1 / 12


def pixel_jacobian(points_camera: np.ndarray, camera: Camera, origin_camera: np.ndarray) -> np.ndarray:
    """(N, 2, 6) derivative of the points' pixels with respect to the pose, see :func:`perturb`.

    :param points_camera: (N, 3) object points, camera frame, metres
    :param camera: without distortion
    :param origin_camera: (3,) object origin, about which the pose rotates
    """
    x, y, z = points_camera.T
    none = np.zeros_like(z)
    by_shift = np.stack([np.stack([camera.fx / z, none, -camera.fx * x / z**2], axis=-1),
                         np.stack([none, camera.fy / z, -camera.fy * y / z**2], axis=-1)], axis=1)
    # a rotation by w moves a point at r from the origin by w x r
    by_turn = np.cross((points_camera - origin_camera)[:, None], by_shift)
    return np.concatenate([by_shift, by_turn], axis=2)


def pose_information(points_camera: np.ndarray, pixel_information: np.ndarray, camera: Camera,
                     origin_camera: np.ndarray) -> np.ndarray:
    """(6, 6) information of a pose from points with known pixel information.

    :param points_camera: (N, 3) camera frame, metres
    :param pixel_information: (N, 2, 2) inverse covariance of each point's pixel, 1 / pixels²
    :param camera: without distortion
    :param origin_camera: (3,) the object's origin
    """
    jacobian = pixel_jacobian(points_camera, camera, origin_camera)
    return np.einsum('nai,nab,nbj->ij', jacobian, pixel_information, jacobian, optimize=True)


def depth_information(points_camera: np.ndarray, normals_camera: np.ndarray,
                      origin_camera: np.ndarray) -> np.ndarray:
    """(6, 6) information of a pose from a depth camera, with point-to-plane residuals.

    The noise model is that of a structured-light camera (Nguyen et al. 2012), as in simulated depth.

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
    """(6, 6) information after marginalising over displacements along (6,) directions (Schur complement)."""
    if not directions:
        return information
    along = np.column_stack(directions)
    crossed = information @ along
    rest = information - crossed @ np.linalg.pinv(along.T @ crossed, rcond=1e-9, hermitian=True) @ crossed.T
    return (rest + rest.T) / 2


def positive(covariance: np.ndarray) -> np.ndarray:
    """The (6, 6) covariance with its slightly negative eigenvalues, due to rounding, made positive."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 1e-14 * values[-1])) @ vectors.T


def bound(information: np.ndarray) -> np.ndarray:
    """(6, 6) Cramér-Rao bound with this (6, 6) information and the prior :data:`PRIOR_STD`; never singular."""
    # in units of the prior, as metres and radians differ by orders of magnitude
    scaled = np.outer(PRIOR_STD, PRIOR_STD) * information + np.eye(6)
    return np.outer(PRIOR_STD, PRIOR_STD) * np.linalg.inv((scaled + scaled.T) / 2)
