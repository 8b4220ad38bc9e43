"""Surface: points of a mesh with colour and normal, what the image is compared with when a pose is refined."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.mesh import Mesh

POINTS = 1500
DENSE_POINTS = 100_000
EDGE_POINTS = 300
SHARP_RAD = np.radians(30)


class Surface:
    """Random points of the surface, each with its normal and its colour at several blurs.

    :param mesh: textured, metres
    :param blurs_m: standard deviations of the Gaussians that the colours are averaged with over the surface
    """

    def __init__(self, mesh: Mesh, blurs_m: tuple[float, ...], seed: int = 0):
        dense, normals, colours = _sample(mesh, DENSE_POINTS, seed)
        self.points, self.normals = dense[:POINTS], normals[:POINTS]
        """(N, 3) metres and (N, 3) unit, object frame."""
        self.radius_m = float(np.linalg.norm(dense, axis=1).max())
        """Of the sphere about the object's origin that holds it."""
        density = DENSE_POINTS / mesh.solid.area
        self.area_m2 = mesh.solid.area
        """Of the whole surface."""
        blurred = [_blurred(dense, normals, colours, POINTS, blur, density) for blur in blurs_m]
        self.colours = [colour for colour, _ in blurred]
        """Per blur (N, 3) blue green red in 0 to 255."""
        self.inner = [share > 0.93 for _, share in blurred]
        """Per blur (N,) whether the point is farther from every sharp edge than the blur reaches."""

    def visible(self, camera_from_object: np.ndarray, level: int, least_cosine: float = 0.15) -> np.ndarray:
        """Indices of the points whose side faces the camera, not too grazing, and whose colour is their own.

        A blurred image mixes in what lies beyond an edge; comparing colours there makes things look smaller.
        """
        eye = -camera_from_object[:3, :3].T @ camera_from_object[:3, 3]
        rays = eye - self.points
        cosine = np.einsum('ij,ij->i', rays, self.normals) / np.linalg.norm(rays, axis=1)
        return np.flatnonzero((cosine > least_cosine) & self.inner[level])


class Edges:
    """Points on the mesh's edges: sharp ones, and those that are the outline from somewhere.

    :param mesh: metres
    """

    def __init__(self, mesh: Mesh, seed: int = 0):
        solid = mesh.solid
        # plain arrays: trimesh's own keep a hash up to date at every step of arithmetic
        ends = np.array(solid.vertices)[solid.face_adjacency_edges]
        vector = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(vector, axis=1)
        sharp = solid.face_adjacency_angles > SHARP_RAD
        curved = solid.face_adjacency_angles > 1e-3
        rng = np.random.default_rng(seed)
        chosen = np.concatenate([_spread(rng, length * sharp, EDGE_POINTS),
                                 _spread(rng, length * (curved & ~sharp), 8 * EDGE_POINTS)])
        place = rng.random((len(chosen), 1))
        self.points = ends[chosen, 0] + place * vector[chosen]
        """(N, 3) metres, object frame."""
        self.directions = vector[chosen] / length[chosen, None]
        """(N, 3) unit, along the edge."""
        self.length_m = length[sharp].sum() / EDGE_POINTS if sharp.any() else length[curved].sum() / len(chosen)
        """Of the edges that one point stands for."""
        self._normals = np.array(solid.face_normals)[solid.face_adjacency[chosen]]
        self._sharp = sharp[chosen]

    def visible(self, camera_from_object: np.ndarray) -> np.ndarray:
        """Indices of the points on the outline, and of those on sharp edges in front."""
        eye = -camera_from_object[:3, :3].T @ camera_from_object[:3, 3]
        facing = np.einsum('nd,nkd->nk', eye - self.points, self._normals) > 0
        outline = facing[:, 0] != facing[:, 1]
        return np.flatnonzero(outline | (self._sharp & facing.all(axis=1)))


def _spread(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """``count`` indices, as often as their weight; none when all weigh nothing."""
    if not weight.any():
        return np.zeros(0, int)
    return rng.choice(len(weight), count, p=weight / weight.sum())


def _sample(mesh: Mesh, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points uniform over the area, their normals and colours."""
    rng = np.random.default_rng(seed)
    triangles = mesh.vertices[mesh.faces]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    a, b = rng.random((2, count))
    folded = a + b > 1
    a[folded], b[folded] = 1 - a[folded], 1 - b[folded]
    corners = np.column_stack([1 - a - b, a, b])
    points = np.einsum('nk,nkd->nd', corners, triangles[face])
    normals = cross[face] / area[face, None]
    if mesh.uv is None:
        colours = np.broadcast_to(mesh.texture[0, 0].astype(float), (count, 3))
    else:
        uv = np.einsum('nk,nkd->nd', corners, mesh.uv[mesh.faces[face]])
        height, width = mesh.texture.shape[:2]
        pixels = np.column_stack([uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5]).astype(np.float32)
        # OpenCV reads at most 32,766 points a row
        colours = cv2.remap(mesh.texture, pixels.reshape(-1, 1000, 2), None, cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3).astype(float)
    return points, normals, colours


def _blurred(points: np.ndarray, normals: np.ndarray, colours: np.ndarray, count: int, blur_m: float,
             density: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian averages of colour about the first ``count`` points, over neighbours that face the same way.

    :param density: points a square metre
    :return: (N, 3) colours; (N,) share of the Gaussian that lies on the surface, 1 far from every edge
    """
    tree = cKDTree(points)
    result, share = np.empty((count, 3)), np.empty(count)
    whole = density * 2 * np.pi * blur_m ** 2 * (1 - np.exp(-2.5 ** 2 / 2))
    for index, near in enumerate(tree.query_ball_point(points[:count], 2.5 * blur_m)):
        squared = np.sum((points[near] - points[index]) ** 2, axis=1)
        weight = np.exp(-squared / (2 * blur_m ** 2)) * (normals[near] @ normals[index] > 0.8)
        result[index] = weight @ colours[near] / weight.sum()
        share[index] = weight.sum() / whole
    return result, share
