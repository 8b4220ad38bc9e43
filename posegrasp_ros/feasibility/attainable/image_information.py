# SPDX-License-Identifier: Apache-2.0
"""Fisher information of an object's image about its pose, by source: texture, contour and sharp edges.

A pixel value changes with the pose by the image gradient along the pixel's motion. Not every gradient moves with
the surface: shading of a round surface stays in place when the surface rotates. So gradients of texture and
contour always count, shading gradients only across sharp edges. The absolute brightness of a face is not used,
because the lighting is not known well enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from posegrasp_ros.feasibility.attainable.fisher import PixelNoise, depth_information, pose_information
from posegrasp_ros.simulation.object_renderer import ObjectImage

BLUR_PX = 0.6
"""Blur of a good lens, standard deviation."""
SHARP_COSINE = float(np.cos(np.radians(30)))
"""Normals that differ by more than this angle across two pixels form an edge, as in :mod:`edges`."""
STEP_SHARE = 0.04
"""A depth step above this share of the depth range is a contour, on its nearer side."""
AMBIENT, DIFFUSE = 0.45, 0.55
LIGHT_BASE = np.array([0.5, 0.3, 0.81]) / np.linalg.norm([0.5, 0.3, 0.81])
"""Direction towards a lamp above the table."""
BACKGROUND_LEVELS, BACKGROUND_PATCHES = (40.0, 215.0), 5
"""Grey levels of the background, and number of its patches per side."""
SOURCES = ('texture', 'contour', 'edges')


@dataclass(frozen=True)
class Imaging:
    """Imaging properties of the camera.

    :param noise: pixel noise
    :param blur_px: lens blur, standard deviation in camera pixels
    :param depth: whether there is also a depth camera
    """

    noise: PixelNoise = field(default_factory=PixelNoise)
    blur_px: float = BLUR_PX
    depth: bool = False


def image_information(image: ObjectImage, origin_camera: np.ndarray, light_camera: np.ndarray, imaging: Imaging,
                      rng: np.random.Generator) -> dict[str, np.ndarray]:
    """(6, 6) information about the pose from each of :data:`SOURCES`, and from ``depth`` where it is measured.

    :param origin_camera: (3,) object origin, camera frame
    :param light_camera: (3,) unit vector towards the lamp, camera frame
    :param rng: draws the background
    """
    surface = ImagedSurface.of(image)
    masks = _masks(surface, image, imaging)
    gradient, values = moving_gradient(surface, image, light_camera, imaging, rng)
    points = _near_points(surface, image, imaging, masks['contour'])
    weighted = gradient / (np.sqrt(imaging.noise.variance(values)) / image.binning)[..., None]
    found = {}
    for source in SOURCES:
        chosen = masks[source] & image.inside()
        information = np.einsum('nca,ncb->nab', weighted[chosen], weighted[chosen])
        found[source] = pose_information(points[chosen], information, image.camera, origin_camera)
    if imaging.depth:
        chosen = image.inside() & _to_window(surface.covered, image).astype(bool)
        normals = _to_window(surface.normals, image)[chosen]
        found['depth'] = depth_information(points[chosen], normals, origin_camera)
    return found


@dataclass(frozen=True, eq=False)
class ImagedSurface:
    """The object's surface per rendered pixel.

    :param colours: (S, S, 3) float32 unlit colour, 0 off the object
    :param covered: (S, S) uint8, 1 on the object
    :param filled_m: (S, S) float32 depth; off the object a depth well behind it
    :param normals: (S, S, 3) float32 unit normals, camera frame, towards the camera; off the object those nearby
    """

    colours: np.ndarray
    covered: np.ndarray
    filled_m: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, image: ObjectImage) -> ImagedSurface:
        on_object = np.isfinite(image.depth_m)
        nearest_m, farthest_m = np.nanmin(image.depth_m), np.nanmax(image.depth_m)
        far_m = farthest_m + max(farthest_m - nearest_m, 0.1 * nearest_m)
        points = _points(image.depth_m.astype(np.float64), image.rendered_rays())
        down, right = np.gradient(points, axis=(0, 1))
        normals = np.cross(right, down)
        normals /= -np.sqrt(_dot(normals, normals))[..., None]
        return cls(image.colours.astype(np.float32), on_object.astype(np.uint8),
                   np.where(on_object, image.depth_m, far_m).astype(np.float32), _spread_out(normals))

    def steps(self) -> np.ndarray:
        """(S, S) uint8, 1 at depth steps, by second differences, which ignore slopes."""
        least_m = STEP_SHARE * np.ptp(self.filled_m)
        jump_m = np.maximum(np.abs(cv2.Sobel(self.filled_m, -1, 2, 0, ksize=1)),
                            np.abs(cv2.Sobel(self.filled_m, -1, 0, 2, ksize=1)))
        return (jump_m > least_m).astype(np.uint8)

    def creases(self) -> np.ndarray:
        """(S, S) uint8, 1 where the surface has a sharp edge."""
        n = np.pad(self.normals, ((2, 2), (2, 2), (0, 0)), mode='edge')
        cosine = np.minimum(_dot(n[:-4, 2:-2], n[4:, 2:-2]), _dot(n[2:-2, :-4], n[2:-2, 4:]))
        return ((cosine < SHARP_COSINE) & (self.covered > 0)).astype(np.uint8)

    def lit(self, light_camera: np.ndarray) -> np.ndarray:
        """(S, S, 3) float32 colours of a matt surface lit from a direction (3,) and by ambient light."""
        shade = AMBIENT + DIFFUSE * np.maximum(self.normals @ light_camera.astype(np.float32), 0)
        return self.colours * shade[..., None]


def _spread_out(normals: np.ndarray) -> np.ndarray:
    """Normals (S, S, 3) with NaN replaced by the mean within two pixels, or else the direction to the camera."""
    known = np.isfinite(normals[..., 0])
    values = np.where(known[..., None], normals, 0).astype(np.float32)
    near = cv2.blur(values, (5, 5))
    length = np.sqrt(_dot(near, near))[..., None]
    spread = np.where(length > 1e-6, near / np.maximum(length, 1e-6), np.array([0, 0, -1], np.float32))
    return np.where(known[..., None], values, spread).astype(np.float32)


def _masks(surface: ImagedSurface, image: ObjectImage, imaging: Imaging) -> dict[str, np.ndarray]:
    """(side, side) bool for each of :data:`SOURCES`; contours and edges are widened by the blur."""
    widen = _widening(image, imaging)
    contour = _to_window(cv2.dilate(surface.steps(), widen), image) > 0
    edges = (_to_window(cv2.dilate(surface.creases(), widen), image) > 0) & ~contour
    texture = (_to_window(surface.covered, image) > 0) & ~contour & ~edges
    return {'texture': texture, 'contour': contour, 'edges': edges}


def _widening(image: ObjectImage, imaging: Imaging) -> np.ndarray:
    """Structuring element that reaches two standard deviations of the blur and half a pixel."""
    reach = int(np.ceil(image.samples * (2 * imaging.blur_px / image.binning + 0.5)))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)


def moving_gradient(surface: ImagedSurface, image: ObjectImage, light_camera: np.ndarray, imaging: Imaging,
                     rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image gradient that moves with the object, and the image.

    The image is lit + (1 - coverage) background, blurred. The background does not move, and the shading part of
    the gradient moves at sharp edges only.

    :return: (side, side, 3, 2) grey levels a pixel; (side, side, 3) the image
    """
    coverage = surface.covered.astype(np.float32)[..., None]
    planes = np.dstack([surface.lit(light_camera), surface.colours, coverage])
    planes = cv2.GaussianBlur(planes, (0, 0), max(imaging.blur_px / image.binning * image.samples, 0.3))
    by_pixel = [cv2.Sobel(planes, -1, *order, ksize=1, scale=image.samples / 2) for order in ((1, 0), (0, 1))]
    gradient = np.stack([_to_window(plane, image, cv2.INTER_AREA) for plane in by_pixel], axis=-1)
    planes, behind = _to_window(planes, image, cv2.INTER_AREA), _background(rng, image)[..., None]
    shade = planes[..., :3] / np.maximum(planes[..., 3:6], 1e-3)
    printed = shade[..., None] * gradient[:, :, 3:6]
    creases = _to_window(cv2.dilate(surface.creases(), _widening(image, imaging)), image) > 0
    shading = np.where(creases[..., None, None], _across(gradient[:, :, :3] - printed, surface.normals, image), 0)
    return (printed + shading - behind[..., None] * gradient[:, :, 6:],
            planes[..., :3] + (1 - planes[..., 6:]) * behind)


def _background(rng: np.random.Generator, image: ObjectImage) -> np.ndarray:
    """(side, side) grey levels of a random smooth background."""
    patches = rng.uniform(*BACKGROUND_LEVELS, (BACKGROUND_PATCHES, BACKGROUND_PATCHES)).astype(np.float32)
    return cv2.resize(patches, (image.side, image.side), interpolation=cv2.INTER_LINEAR)


def _across(gradient: np.ndarray, field: np.ndarray, image: ObjectImage) -> np.ndarray:
    """The part of gradients (side, side, 3, 2) along the direction in which a field (S, S, K) changes most.

    That is the first eigenvector of the field's structure tensor (Förstner and Gülch 1987).
    """
    right, down = (cv2.Sobel(field, -1, *order, ksize=3).reshape(field.shape) for order in ((1, 0), (0, 1)))
    tensor = np.dstack([_dot(a, b) for a, b in ((right, right), (down, down), (right, down))])
    xx, yy, xy = np.moveaxis(_to_window(cv2.GaussianBlur(tensor, (0, 0), 1.5 * image.samples), image), 2, 0)
    angle = np.arctan2(2 * xy, xx - yy) / 2
    direction = np.dstack([np.cos(angle), np.sin(angle)])
    along = np.einsum('vuca,vua->vuc', gradient, direction)
    return along[..., None] * direction[:, :, None]


def _near_points(surface: ImagedSurface, image: ObjectImage, imaging: Imaging, contour: np.ndarray) -> np.ndarray:
    """(side, side, 3) surface point of each pixel, camera frame; at a contour (side, side) on its nearer side."""
    nearer_m = _to_window(cv2.erode(surface.filled_m, _widening(image, imaging)), image)
    depth_m = np.where(contour, nearer_m, _to_window(surface.filled_m, image))
    return _points(depth_m, image.rays())


def _points(depth_m: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(H, W, 3) points, camera frame, from depths (H, W) along rays (H, W, 2) x/z, y/z."""
    return np.dstack([rays, np.ones(depth_m.shape)]) * depth_m[..., None]


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) dot product of two (H, W, K); numpy's sum along such a short axis is ten times slower."""
    return np.einsum('vuk,vuk->vu', first, second)


def _to_window(values: np.ndarray, image: ObjectImage, interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """Resample (S, S, ...) rendered pixels to (side, side, ...) window pixels."""
    return cv2.resize(values, (image.side, image.side), interpolation=interpolation)
