"""What an image of the object says of its pose, told apart by what says it: texture, contour, sharp edges.

A pixel's value changes with the pose by its gradient along the pixel's motion. Not every gradient moves with the
surface, though: shading of a round surface stays where it is when the surface turns under it. So the print and
the outline count wherever they are, what light adds to them at sharp edges only, and across those. How bright a
face is as a whole says nothing: nobody knows the light so well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from posegrasp_ros.feasibility.attainable.fisher import PixelNoise, depth_information, pose_information
from posegrasp_ros.simulation.object_renderer import ObjectImage

BLUR_PX = 0.6
"""Standard deviation of a decent lens' blur."""
SHARP_COSINE = float(np.cos(np.radians(30)))
"""Normals that differ by more across two pixels make an edge, as in :mod:`edges`."""
STEP_SHARE = 0.04
"""Of the object's depth range in the image and more: a step in depth, its nearer side a contour."""
AMBIENT, DIFFUSE = 0.45, 0.55
LIGHT_BASE = np.array([0.5, 0.3, 0.81]) / np.linalg.norm([0.5, 0.3, 0.81])
"""Towards a lamp above the table."""
BACKGROUND_LEVELS, BACKGROUND_PATCHES = (40.0, 215.0), 5
"""Grey levels behind the object, and how many patches of them side by side."""
SOURCES = ('texture', 'contour', 'edges')


@dataclass(frozen=True)
class Imaging:
    """What the camera makes of light.

    :param noise: of the pixels
    :param blur_px: of the lens, standard deviation in the camera's pixels
    :param depth: whether there is a depth camera too
    """

    noise: PixelNoise = field(default_factory=PixelNoise)
    blur_px: float = BLUR_PX
    depth: bool = False


def image_information(image: ObjectImage, origin_camera: np.ndarray, light_camera: np.ndarray, imaging: Imaging,
                      rng: np.random.Generator) -> dict[str, np.ndarray]:
    """(6, 6) information of the pose by each of :data:`SOURCES`, and by ``depth`` where it is measured.

    :param origin_camera: (3,) the object's origin
    :param light_camera: (3,) unit, towards the lamp
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
    """The object's surface, rendered pixel by rendered pixel.

    :param colours: (S, S, 3) float32, as printed, 0 off the object
    :param covered: (S, S) uint8, 1 on the object
    :param filled_m: (S, S) float32 depth, off the object that of something well behind it
    :param normals: (S, S, 3) float32 unit, camera frame, towards the camera; off the object those nearby
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
        """(S, S) uint8, 1 where the depth jumps: the second difference sees no slope."""
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
        """(S, S, 3) float32 what a matt surface shows in the light of a lamp in this direction (3,) and around."""
        shade = AMBIENT + DIFFUSE * np.maximum(self.normals @ light_camera.astype(np.float32), 0)
        return self.colours * shade[..., None]


def _spread_out(normals: np.ndarray) -> np.ndarray:
    """Normals (S, S, 3), those that are NaN made the mean of those within two pixels, else towards the camera."""
    known = np.isfinite(normals[..., 0])
    values = np.where(known[..., None], normals, 0).astype(np.float32)
    near = cv2.blur(values, (5, 5))
    length = np.sqrt(_dot(near, near))[..., None]
    near = np.where(length > 1e-6, near / np.maximum(length, 1e-6), np.float32([0, 0, -1]))
    return np.where(known[..., None], values, near).astype(np.float32)


def _masks(surface: ImagedSurface, image: ObjectImage, imaging: Imaging) -> dict[str, np.ndarray]:
    """(side, side) bool for each of :data:`SOURCES`; contours and edges as wide as the blur makes them."""
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
    """What of the image's gradient moves with the object, and the image.

    The image is lit + (1 - coverage) background, blurred. Of this the background stays where it is, and what the
    light adds to the print's gradient moves at sharp edges only.

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
    """(side, side) grey levels of something blotched behind the object."""
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
    """(side, side, 3) what moves with each pixel, camera frame: at a contour (side, side) its nearer side."""
    nearer_m = _to_window(cv2.erode(surface.filled_m, _widening(image, imaging)), image)
    depth_m = np.where(contour, nearer_m, _to_window(surface.filled_m, image))
    return _points(depth_m, image.rays())


def _points(depth_m: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(H, W, 3) camera frame, of depths (H, W) along rays (H, W, 2) x/z, y/z."""
    return np.dstack([rays, np.ones(depth_m.shape)]) * depth_m[..., None]


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) of two (H, W, K); numpy's own sums along so short an axis take ten times as long."""
    return np.einsum('vuk,vuk->vu', first, second)


def _to_window(values: np.ndarray, image: ObjectImage, interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """(S, S, ...) of rendered pixels as (side, side, ...) of the window's."""
    return cv2.resize(values, (image.side, image.side), interpolation=interpolation)
