# SPDX-License-Identifier: Apache-2.0
"""The shells of a triangle mesh: its connected surfaces, each closed and oriented by itself.

A shell that is inside another is a hollow of it where its triangles face the other way, and solid where they face
the same way. So a winding that is wrong in the whole file leaves hollows hollow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from posegrasp_ros.geometry.mesh_holes import hole_caps
from posegrasp_ros.geometry.mesh_winding import against_neighbours

# Vertices this fraction of the mesh's diameter apart are one: 1 to 100 µm in an object to be grasped.
GAP_SHARES = (1e-5, 1e-4, 5e-4)
THIN_SHARE = 1e-5  # what is thinner has no volume
# Of a shell, to tell whether it is inside another; and of these with the triangles of the other.
INSIDE_POINTS, INSIDE_TESTS = (10, 100), 3_000_000


@dataclass(frozen=True, eq=False)
class Shell:
    """A connected surface.

    :param triangles: (N, 3, 3) corners in metres, those that close it last
    :param faces: (N, 3) vertices, which are shared with other shells
    :param own: (M,) which of the mesh's triangles are its first M
    :param turned: (M,) whether it has them the other way round
    :param hollow_of: number of the larger shell that it is a hollow of, its volume negative; None if it is solid
    """

    triangles: np.ndarray
    faces: np.ndarray
    own: np.ndarray
    turned: np.ndarray
    hollow_of: int | None = None

    @property
    def is_hollow(self) -> bool:
        return self.hollow_of is not None

    @property
    def volume_m3(self) -> float:
        """Signed volume."""
        return float(_triple_products(self.triangles - self.triangles[0, 0]).sum() / 6)

    @property
    def areas_m2(self) -> tuple[float, float]:
        """Area of the mesh's triangles, and of those that close it."""
        along = np.diff(self.triangles, axis=1)
        areas = np.linalg.norm(np.cross(along[:, 0], along[:, 1]), axis=1) / 2
        return float(areas[:len(self.own)].sum()), float(areas[len(self.own):].sum())

    @property
    def mean_thickness_m(self) -> float:
        """What of thickness a plate of this volume and area has."""
        return 2 * abs(self.volume_m3) / max(sum(self.areas_m2), 1e-12)

    def reversed(self) -> Shell:
        """The same with all triangles the other way round."""
        return replace(self, triangles=self.triangles[:, ::-1], faces=self.faces[:, ::-1], turned=~self.turned)


def oriented_shells(merged: trimesh.Trimesh) -> list[Shell]:
    """The shells of a mesh whose coincident vertices are merged, without triangles of no or double extent."""
    vertices, (faces, kept) = merged.vertices, _welded(merged)
    turned = against_neighbours(faces[kept])
    faces = np.where(turned[:, None], faces[kept][:, ::-1], faces[kept])
    shells = []
    labels = _connected(faces)
    order = np.argsort(labels, kind='stable')
    for which in np.split(order, np.cumsum(np.bincount(labels))[:-1]):
        closed = np.vstack([faces[which], hole_caps(vertices, faces[which])])
        shells.append(Shell(vertices[closed], closed, kept[which], turned[which]))
    thin_m = THIN_SHARE * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    return _oriented([shell for shell in shells if shell.mean_thickness_m > thin_m])


def _welded(merged: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """(F, 3) triangles with one vertex for those in the same place, and which of them are to be kept, once each.

    Gaps are bridged up to the least of :data:`GAP_SHARES` that leaves the fewest edges open.
    """
    diameter_m = float(np.linalg.norm(merged.extents))
    tree = cKDTree(merged.vertices)
    tried: list[tuple[int, np.ndarray, np.ndarray]] = []
    for share in GAP_SHARES:
        labels = _labels(tree.query_pairs(share * diameter_m, output_type='ndarray'), len(merged.vertices))
        faces = np.unique(labels, return_index=True)[1][labels][merged.faces]
        kept = np.flatnonzero((faces != np.roll(faces, 1, axis=1)).all(axis=1))
        kept = kept[np.sort(np.unique(np.sort(faces[kept], axis=1), axis=0, return_index=True)[1])]
        edges = np.sort(faces[kept][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        still_open = len(trimesh.grouping.group_rows(edges, require_count=1))
        # a gap is not to be bridged by leaving out what is around it
        lost = 3 * (len(tried[0][2]) - len(kept)) if tried else 0
        tried.append((still_open + lost, faces, kept))
        if not still_open:
            break
    return min(tried, key=lambda each: each[0])[1:]


def _connected(faces: np.ndarray) -> np.ndarray:
    """(F,) number of the connected surface that a triangle belongs to; more than two at an edge do not connect."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return _labels(trimesh.grouping.group_rows(edges, require_count=2) // 3, len(faces))


def _labels(pairs: np.ndarray, count: int) -> np.ndarray:
    """(N,) number of the connected component."""
    pairs = pairs.astype(np.int32).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def _oriented(shells: list[Shell]) -> list[Shell]:
    """The shells, solid or hollow, from the largest to the smallest."""
    shells = sorted(shells, key=lambda shell: -abs(shell.volume_m3))
    low = np.array([shell.triangles.min(axis=(0, 1)) for shell in shells]).reshape(-1, 3)
    high = np.array([shell.triangles.max(axis=(0, 1)) for shell in shells]).reshape(-1, 3)
    found: list[Shell] = []
    for number, shell in enumerate(shells):
        larger = (low[:number] <= low[number]).all(axis=1) & (high[:number] >= high[number]).all(axis=1)
        # the smallest that encloses it decides
        around = next((k for k in np.flatnonzero(larger)[::-1].tolist() if _is_inside(shell, shells[k])), None)
        is_hollow = around is not None and not found[around].is_hollow \
            and (shell.volume_m3 > 0) != (shells[around].volume_m3 > 0)
        shell = shell if (shell.volume_m3 > 0) != is_hollow else shell.reversed()
        found.append(replace(shell, hollow_of=around if is_hollow else None))
    return found


def _is_inside(shell: Shell, other: Shell) -> bool:
    """Whether the middles of its triangles are all inside the other."""
    middles = shell.triangles[:len(shell.own)].mean(axis=1)
    count = int(np.clip(INSIDE_TESTS // len(other.triangles), *INSIDE_POINTS))
    middles = middles[::len(middles) // count + 1]
    return bool((np.abs(winding_numbers(middles, other.triangles)) > 0.5).all())


def winding_numbers(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N,) how often a surface winds around each point (N, 3): 1 inside a closed one that faces outward.

    Van Oosterom and Strackee, "The solid angle of a plane triangle", 1983.
    """
    return np.array([_solid_angles(triangles - point).sum() for point in points]) / (4 * np.pi)


def _solid_angles(corners: np.ndarray) -> np.ndarray:
    """(F,) signed, of triangles (F, 3, 3) seen from the origin."""
    lengths = np.linalg.norm(corners, axis=2)
    a, b, c = np.moveaxis(corners, 1, 0)
    below = (lengths.prod(axis=1) + (a * b).sum(axis=1) * lengths[:, 2] + (b * c).sum(axis=1) * lengths[:, 0]
             + (c * a).sum(axis=1) * lengths[:, 1])
    return 2 * np.arctan2(_triple_products(corners), below)


def _triple_products(corners: np.ndarray) -> np.ndarray:
    """(F,) of triangles (F, 3, 3); NumPy's determinant takes ten times as long."""
    a, b, c = np.moveaxis(corners, 1, 0)
    return (a * np.cross(b, c)).sum(axis=1)


def faces_to_turn(merged: trimesh.Trimesh, shells: Sequence[Shell]) -> np.ndarray:
    """(F,) which triangles of the mesh face inward; none of those that belong to no shell."""
    turn = np.zeros(len(merged.faces), bool)
    for shell in shells:
        turn[shell.own] = shell.turned
    return turn
