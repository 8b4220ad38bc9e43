# SPDX-License-Identifier: Apache-2.0
"""Scripted baseline estimators with the interface of the network estimator."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.estimation.stopwatch import Stopwatch
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, transform_points

RATIO = 0.75  # best over second-best distance, Lowe 2004
MIN_MATCHES = 6
RANSAC_ITERATIONS = 500
INLIER_PX = 3.0
LOCALISATION_PX = 1.0  # typical error of a match, used as a lower bound
SCORE_PRIOR = 10.0  # virtual outliers added to the matches: four inliers of four do not give full confidence

# For a baseline without an estimate of its accuracy: standard deviations of 1 m and half a turn.
UNKNOWN_COVARIANCE = np.diag([1.0] * 3 + [np.pi**2] * 3)


class FeatureMatchEstimator:
    """SIFT features of the texture, matched and solved by PnP with RANSAC as in OpenCV's tutorials.

    The features are detected in the texture image and mapped to the surface by the texture coordinates, so any
    textured mesh can be used without rendering.

    :param mesh: textured, metres
    :param max_features: strongest features kept, of the texture and of each image
    """

    def __init__(self, mesh: Mesh, max_features: int = 4000):
        self._sift = cv2.SIFT.create(nfeatures=max_features)
        self._matcher = cv2.BFMatcher(cv2.NORM_L2)
        self._points, self._normals, self._descriptors = texture_features(mesh, self._sift)

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The pose with the most inliers; see :class:`posegrasp_ros.estimation.pose_estimate.Estimator`.

        Reasons for no pose: ``no_texture`` (of the mesh), ``no_features`` (in the image), ``too_few_matches``,
        ``no_pose`` (too few inliers).
        """
        watch = Stopwatch()
        if len(self._points) < MIN_MATCHES:
            return watch.answer('no_texture')
        keypoints, descriptors = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), None)
        watch.lap('features_ms', features=len(keypoints))
        if len(keypoints) < MIN_MATCHES:
            return watch.answer('no_features')
        pairs = self._match(descriptors)
        watch.lap('matching_ms', matches=len(pairs))
        if len(pairs) < MIN_MATCHES:
            return watch.answer('too_few_matches')
        pixels = camera.undistorted(np.array([keypoint.pt for keypoint in keypoints])[pairs[:, 0]])
        shown = np.isfinite(pixels).all(axis=1)  # NaN: outside the lens model's range
        pairs, pixels = pairs[shown], pixels[shown]
        if len(pairs) < MIN_MATCHES:
            return watch.answer('too_few_matches')
        pose, inliers = self._solve(pairs[:, 1], pixels, camera.matrix)
        watch.lap('solve_ms', inliers=len(inliers))
        if pose is None:
            return watch.answer('no_pose')
        covariance = pose_covariance(self._points[pairs[inliers, 1]], pixels[inliers], pose, camera.matrix,
                                     LOCALISATION_PX)
        score = len(inliers) / (len(pairs) + SCORE_PRIOR)
        return watch.answer(poses=[PoseEstimate(pose, score, covariance)])

    def _match(self, descriptors: np.ndarray) -> np.ndarray:
        """(M, 2) indices of image feature and texture feature that pass the ratio test."""
        found = self._matcher.knnMatch(descriptors, self._descriptors, k=2)
        kept = [(first.queryIdx, first.trainIdx) for first, second in found
                if first.distance < RATIO * second.distance]
        return np.array(kept, dtype=int).reshape(-1, 2)

    def _solve(self, chosen: np.ndarray, pixels: np.ndarray,
               matrix: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Pose and indices of its inliers; None and an empty array when there are too few."""
        points, none = self._points[chosen], np.zeros(0, dtype=int)
        cv2.setRNGSeed(0)  # deterministic results
        found, rotation, translation, inliers = cv2.solvePnPRansac(
            points, pixels, matrix, None, iterationsCount=RANSAC_ITERATIONS, reprojectionError=INLIER_PX,
            confidence=0.999, flags=cv2.SOLVEPNP_AP3P)
        if not found or inliers is None or len(inliers) < MIN_MATCHES:
            return None, none
        inliers = inliers.ravel()
        pose = refine(points[inliers], pixels[inliers], matrix, (rotation, translation))
        camera_seen = invert(pose)[:3, 3]
        faces_camera = np.einsum('nd,nd->n', self._normals[chosen[inliers]], camera_seen - points[inliers]) > 0
        in_front = transform_points(pose, points[inliers])[:, 2] > 0
        # The print is only visible from outside: a pose that shows it through the object is wrong.
        if not np.isfinite(pose).all() or np.mean(faces_camera & in_front) < 0.5:
            return None, none
        return pose, inliers


class MeanPoseEstimator:
    """Always returns the mean pose of the training set: the baseline that ignores the image.

    :param mean_camera_from_object: (4, 4), metres
    """

    def __init__(self, mean_camera_from_object: np.ndarray):
        self._pose = np.array(mean_camera_from_object, dtype=float)

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The mean pose for any image, with score 0 and :data:`UNKNOWN_COVARIANCE`."""
        return Stopwatch().answer(poses=[PoseEstimate(self._pose.copy(), 0.0, UNKNOWN_COVARIANCE.copy())])


class OracleEstimator:
    """Returns the ground truth, to measure the later stages with perfect poses."""

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The ground truth with score 1 and zero covariance; ``no_ground_truth`` when there is none."""
        if truth is None:
            return Stopwatch().answer('no_ground_truth')
        return Stopwatch().answer(poses=[PoseEstimate(np.array(truth, dtype=float), 1.0, np.zeros((6, 6)))])


def texture_features(mesh: Mesh, sift: cv2.SIFT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of a mesh's texture with their positions on its surface.

    :return: (N, 3) points in metres and (N, 3) unit outward normals in the object frame, (N, 128) descriptors;
        all empty for a mesh without texture
    """
    empty = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 128), dtype=np.float32)
    if mesh.uv is None:
        return empty
    keypoints, descriptors = sift.detectAndCompute(cv2.cvtColor(mesh.texture, cv2.COLOR_BGR2GRAY), None)
    if len(keypoints) == 0:
        return empty
    pixels = np.array([keypoint.pt for keypoint in keypoints])
    points, normals, on_surface = surface_points(mesh, pixels)
    return points[on_surface], normals[on_surface], descriptors[on_surface]


def surface_points(mesh: Mesh, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map texture pixels to the surface by barycentric coordinates in the triangle at the pixel.

    :param pixels: (N, 2) texture pixels, centres at integers; texture coordinates beyond [0, 1] (a repeated
        texture) are not unique and not found
    :return: (N, 3) points, (N, 3) unit outward normals, (N,) whether there is a triangle at the pixel
    :raises ValueError: for a mesh without texture coordinates
    """
    if mesh.uv is None:
        raise ValueError('expected a mesh with texture coordinates, got one without')
    height, width = mesh.texture.shape[:2]
    # v = 1 is the upper edge of row 0, at pixel coordinate -0.5.
    corners_px = np.stack([mesh.uv[:, 0] * width - 0.5, (1 - mesh.uv[:, 1]) * height - 0.5], axis=-1)[mesh.faces]
    owner = np.full((height, width), -1, dtype=np.int32)
    for face, corners in enumerate(corners_px):
        cv2.fillConvexPoly(owner, np.rint(corners).astype(np.int32), face)
    column, row = np.rint(pixels).astype(int).T
    face = owner[row.clip(0, height - 1), column.clip(0, width - 1)]
    a, b, c = np.moveaxis(corners_px[face], 1, 0)
    area = _cross(b - a, c - a)
    with np.errstate(divide='ignore', invalid='ignore'):
        weights = np.stack([_cross(b - pixels, c - pixels), _cross(c - pixels, a - pixels),
                            _cross(a - pixels, b - pixels)], axis=-1) / area[:, None]
    # Accept pixels slightly outside the triangle because of rounding in the rasterisation.
    on_surface = (face >= 0) & (np.abs(area) > 1e-9) & (np.abs(weights - 0.5) < 0.6).all(axis=1)
    corners_m = mesh.vertices[mesh.faces[face]]
    normals = np.cross(corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return np.einsum('nk,nkd->nd', weights, corners_m), normals, on_surface


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def refine(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray,
           start: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The (4, 4) camera_from_object with the smallest squared reprojection error of all known minima.

    Coplanar points have two minima, mirrored about the line of sight (Collins and Bartoli, Infinitesimal
    plane-based pose estimation, 2014), so the optimisation is started from both.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) without distortion
    :param start: initial rotation vector and translation
    """
    starts = [start]
    if np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[2] < 1e-3 * np.sqrt(len(points)):
        _, rotations, translations, _ = cv2.solvePnPGeneric(points, pixels, matrix, None,
                                                            flags=cv2.SOLVEPNP_IPPE)
        starts += zip(rotations, translations)
    best, least = start, np.inf
    for rotation, translation in starts:
        found = cv2.solvePnPRefineLM(points, pixels, matrix, None, rotation.copy(), translation.copy())
        seen = cv2.projectPoints(points, *found, matrix, None)[0].reshape(-1, 2)
        error = float(np.sum((seen - pixels) ** 2))
        if error < least:
            best, least = found, error
    return make_transform(cv2.Rodrigues(best[0])[0], best[1].ravel())
