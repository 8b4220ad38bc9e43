"""Surface: points of a mesh with colour and normal, what the image is compared with when a pose is refined."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.estimation.edges import Edges
from posegrasp_ros.estimation.visibility import Visibility
from posegrasp_ros.mesh import Mesh

POINTS = 1200
DENSE_POINTS = 100_000
LEAST_COSINE = 0.08
"""Surface seen more grazing than this has no colour worth comparing."""
CLEAR_OF_EDGES = 1.5
"""Standard deviations of the blur: what is nearer to an edge mixes in what lies beyond, and looks smaller."""


class Surface:
    """Random points of the surface, each with its normal and its colour at several blurs.

    :param mesh: metres
    :param edges: of the mesh
    :param blurs_m: standard deviations of the Gaussians that the colours are averaged with, coarse to fine
    """

    def __init__(self, mesh: Mesh, edges: Edges, blurs_m: tuple[float, ...], seed: int = 0):
        dense, normals, colours = _sample(mesh, DENSE_POINTS, seed)
        self.points, self.normals = dense[:POINTS], normals[:POINTS]
        """(N, 3) metres and (N, 3) unit, object frame."""
        self.area_m2 = float(mesh.solid.area)
        """Of the whole surface."""
        self._blurs_m = np.array(blurs_m)
        self._colours = np.stack([_blurred(dense, normals, colours, POINTS, blur) for blur in blurs_m])
        sharp = edges.points[edges.sharp]
        self._to_edge_m = cKDTree(sharp).query(self.points)[0] if len(sharp) else np.full(POINTS, np.inf)
        self._visibility = Visibility(mesh, self.points, self.normals, seed)

    def cosines(self, eyes: np.ndarray, blurs_m: np.ndarray | None = None) -> np.ndarray:
        """(B, N) cosines of the angles at which the points are seen; 0 where an image does not show them.

        :param eyes: (B, 3) the camera in the object's frame
        :param blurs_m: (B,) of the image, at the object's distance: what is so near to an edge that this mixes in
            what lies beyond is not shown; None where colours do not matter
        """
        rays = eyes[:, None] - self.points
        cosine = np.einsum('bij,ij->bi', rays, self.normals) / np.sqrt(np.einsum('bij,bij->bi', rays, rays))
        shown = cosine > LEAST_COSINE
        if blurs_m is not None:
            shown &= self._to_edge_m * cosine > CLEAR_OF_EDGES * blurs_m[:, None]
        return np.where(shown & self._visibility.seen_from(eyes), cosine, 0.0)

    def colours(self, indices: np.ndarray, cosines: np.ndarray, blurs_m: np.ndarray) -> np.ndarray:
        """(B, K, 3) colours of points in a blurred image.

        Seen at an angle, a blur of the image covers more of the surface: the colour of a coarser blur is taken.

        :param indices: (B, K) of the points
        :param cosines: (B, K) of the angles at which they are seen
        :param blurs_m: (B,) of the image, at the object's distance
        """
        wanted = blurs_m[:, None] / np.sqrt(np.maximum(cosines, LEAST_COSINE))
        level = np.argmin(np.abs(np.log(self._blurs_m[:, None, None] / wanted)), axis=0)
        return self._colours[level, indices]


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
        return points, normals, np.broadcast_to(mesh.texture[0, 0].astype(float), (count, 3))
    uv = np.einsum('nk,nkd->nd', corners, mesh.uv[mesh.faces[face]])
    height, width = mesh.texture.shape[:2]
    pixels = np.column_stack([uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5]).astype(np.float32)
    # OpenCV reads at most 32,766 points a row
    colours = cv2.remap(mesh.texture, pixels.reshape(-1, 1000, 2), None, cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_WRAP).reshape(-1, 3)
    return points, normals, colours.astype(float)


def _blurred(points: np.ndarray, normals: np.ndarray, colours: np.ndarray, count: int,
             blur_m: float) -> np.ndarray:
    """(N, 3) Gaussian averages of colour about the first ``count`` points, over neighbours that face alike."""
    tree = cKDTree(points)
    result = np.empty((count, 3))
    for index, near in enumerate(tree.query_ball_point(points[:count], 2.5 * blur_m)):
        squared = np.sum((points[near] - points[index]) ** 2, axis=1)
        weight = np.exp(-squared / (2 * blur_m ** 2)) * (normals[near] @ normals[index] > 0.8)
        result[index] = weight @ colours[near] / weight.sum()
    return result
