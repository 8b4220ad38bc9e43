# SPDX-License-Identifier: Apache-2.0
"""What tells a real object from its mesh: size, rounded edges, a print that is warped or faded, and gloss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.simulation.edge_rounding import rounded

SCALE_ERROR = 0.01
# Few different ones, because rounding takes a second for a mesh of many faces and is remembered.
EDGE_RADII_M = (0.001, 0.0015, 0.002, 0.0025, 0.003)
EDGE_SHARES = (0.3, 0.25, 0.2, 0.15, 0.1)
# No edge is rounded by more than this share of the object's smallest side.
THICKEST_EDGE = 0.15
PRINT_WARP = 0.015
# Print is warped by a smooth field with so many independent points along the texture's side.
WARP_POINTS = (5, 14)


@dataclass(frozen=True)
class ObjectWear:
    """How an object differs from its mesh.

    :param scale: factors along the mesh's axes, about its centre
    :param edge_radius_m: of its convex edges, where :func:`posegrasp_ros.simulation.edge_rounding.can_be_rounded`
    :param print_warp: largest displacement of the print, as a share of the side of a face
    :param warp_points, warp_seed: how fine the warp is, and which one
    :param contrast: of the print, about its mean colour
    :param saturation: of the print
    :param specular, shininess: of MuJoCo's material; 0.2 and 0.3 are those of other scenes
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    edge_radius_m: float = 0.0
    print_warp: float = 0.0
    warp_points: int = WARP_POINTS[0]
    warp_seed: int = 0
    contrast: float = 1.0
    saturation: float = 1.0
    specular: float = 0.2
    shininess: float = 0.3


def sample_wear(rng: np.random.Generator) -> ObjectWear:
    """Draw how an object differs from its mesh; each difference is there in most scenes, seldom at its largest."""
    share_of_scale, has_fading, is_glossy = rng.random(), rng.random() < 0.6, rng.random() < 0.4
    x, y, z = 1.0 + SCALE_ERROR * share_of_scale * rng.uniform(-1.0, 1.0, 3)
    return ObjectWear(
        scale=(float(x), float(y), float(z)),
        edge_radius_m=float(rng.choice(EDGE_RADII_M, p=EDGE_SHARES)),
        print_warp=float(PRINT_WARP * rng.random() ** 1.5),
        warp_points=int(rng.integers(*WARP_POINTS)),
        warp_seed=int(rng.integers(2**31)),
        contrast=float(rng.uniform(0.55, 1.0)) if has_fading else 1.0,
        saturation=float(rng.uniform(0.5, 1.0)) if has_fading else 1.0,
        specular=float(rng.uniform(0.4, 1.0)) if is_glossy else 0.2,
        shininess=float(rng.uniform(0.3, 0.9)) if is_glossy else 0.3,
    )


def worn(mesh: Mesh, wear: ObjectWear) -> Mesh:
    """The mesh as the object is, in the mesh's frame, in triangles small enough for light that falls off."""
    radius_m = min(wear.edge_radius_m, THICKEST_EDGE * float(mesh.extents.min()))
    shape = rounded(mesh, radius_m)
    vertices = mesh.centre + (shape.vertices - mesh.centre) * wear.scale
    return replace(shape, vertices=vertices, texture=_faded(_warped(mesh, wear), wear))


def _faded(texture: np.ndarray, wear: ObjectWear) -> np.ndarray:
    if wear.contrast == 1.0 and wear.saturation == 1.0:
        return texture
    values = texture.astype(np.float32)
    grey = values @ np.array([0.114, 0.587, 0.299], np.float32)
    values = grey[..., None] + wear.saturation * (values - grey[..., None])
    middle = values.mean(axis=(0, 1))
    return np.clip(np.rint(middle + wear.contrast * (values - middle)), 0, 255).astype(np.uint8)


def _warped(mesh: Mesh, wear: ObjectWear) -> np.ndarray:
    """The texture with its print displaced smoothly, and less near the borders of its patches.

    So no pixel comes from outside of a patch, where textures have colours that the object does not show.
    """
    height, width = mesh.texture.shape[:2]
    if mesh.uv is None or wear.print_warp == 0.0 or min(height, width) < 2:
        return mesh.texture
    corners_px = mesh.uv[mesh.faces] * (width, -height) + (-0.5, height - 0.5)
    patches = np.zeros((height, width), np.uint8)
    for corners in np.rint(corners_px).astype(np.int32):
        cv2.fillConvexPoly(patches, corners, 1)
    most_px = wear.print_warp * _face_side_px(mesh, corners_px)
    field_px = most_px * displacement(np.random.default_rng(wear.warp_seed), wear.warp_points, height, width)
    room_px = cv2.distanceTransform(cv2.copyMakeBorder(patches, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0),
                                    cv2.DIST_L2, 5)[1:-1, 1:-1]
    field_px *= np.minimum(1.0, room_px / max(2 * most_px, 1e-6))[..., None]
    rows, columns = np.indices((height, width), dtype=np.float32)
    return cv2.remap(mesh.texture, columns + field_px[..., 0], rows + field_px[..., 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)


def displacement(rng: np.random.Generator, points: int, height: int, width: int) -> np.ndarray:
    """(H, W, 2) float32 smooth field of vectors of length 1 at most."""
    coarse = rng.normal(size=(points, points, 2)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return field / np.linalg.norm(field, axis=2).max()


def _face_side_px(mesh: Mesh, corners_px: np.ndarray) -> float:
    """Side in the texture of a square face of the object: the sixth part of its surface."""
    sides_px = np.diff(corners_px, axis=1)
    area_px = np.abs(np.linalg.det(sides_px)).sum() / 2
    return float(np.sqrt(area_px / 6))
