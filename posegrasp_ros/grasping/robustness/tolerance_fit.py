# SPDX-License-Identifier: Apache-2.0
"""Fitting of a Tolerance to mesh and gripper: the smallest disturbances that make a grasp collide or slip.

The object's surface is a set of points. A grasp fails if one of them is in the volume that the gripper sweeps
during the approach, or if the gripper does not hold it there. Along the closing direction the object may be
anywhere between fingers, because closing pushes it to the centre.

The set of tolerated disturbances is not a polytope but star-shaped: there is no failure without disturbance, and
along each ray of disturbances there is a first failure. The planes that rays hit first are candidates; the few
that fit all first failures best form the tolerance.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet
from posegrasp_ros.grasping.robustness.tolerance import NEVER_M, Tolerance, spread_directions
from posegrasp_ros.runtime.numba_cache import compiled

SURFACE_POINTS = 2500
NEAR_POINTS = 240  # number of these that are tested: the nearest to the swept volume
PROBES = 128  # number of rays of disturbances
ROWS = 20
#: One unit of disturbance, metres and radians: a typical ratio of position and rotation errors.
UNITS = np.array([0.01, 0.01, 0.01, 0.12, 0.12, 0.12])
FARTHEST = 5.0  # units: limit of the search
WAY_BACK_M = 0.5  # length of the approach considered
LEAST_LIMIT_M = 1e-4
# All points of a flat side facing the palm are equally near, so the outermost in every direction are tested too.
_OUTWARD = spread_directions(18)[:, :3]
# Gauges of a grasp that closes on nothing: any disturbance is too large, and so is none.
_NEVER = np.concatenate([np.eye(6), -np.eye(6)]) * 2 / NEVER_M
_PROBES = np.concatenate([spread_directions(PROBES // 2), -spread_directions(PROBES // 2)]) * UNITS


@dataclass(frozen=True)
class _Surface:
    """Points (M, 3) of the object with outward normals (M, 3), in one frame."""

    points: np.ndarray
    normals: np.ndarray

    def seen_from(self, object_from_frame: np.ndarray) -> _Surface:
        inverse = invert(object_from_frame)
        return _Surface(self.points @ inverse[:3, :3].T + inverse[:3, 3], self.normals @ inverse[:3, :3].T)


class _Fits:
    """Gauges of single grasps, a few milliseconds each, cached for the last objects and grippers.

    The cache helps when a node is configured again, or when a study and picks use the same grasps.
    """

    def __init__(self, mesh: Mesh, gripper: EndEffector):
        self._solid, self._surface, self._gripper = mesh.solid, _sample_surface(mesh.solid), gripper
        self._kept = _kept_fits(mesh, pickle.dumps(gripper))

    def of(self, grasp: Grasp) -> np.ndarray:
        """(K, 6) see :func:`_fit_one`."""
        return self.of_all([grasp])[0]

    def of_all(self, grasps: list[Grasp]) -> list[np.ndarray]:
        """The same of several, which are closed on the mesh together."""
        keys = [(np.asarray(grasp.object_from_tcp).tobytes(), grasp.opening_m, grasp.width_m) for grasp in grasps]
        new = {key: grasp for key, grasp in zip(keys, grasps) if key not in self._kept}
        if new:
            closed = self._gripper.close(np.array([grasp.object_from_tcp for grasp in new.values()]),
                                         np.array([grasp.opening_m for grasp in new.values()]), self._solid)
            for (key, grasp), width_m in zip(new.items(), closed.widths_m):
                surface = self._surface.seen_from(grasp.object_from_tcp)
                self._kept[key] = _NEVER if np.isnan(width_m) else _fit_one(surface, self._gripper, grasp)
        return [self._kept[key] for key in keys]


@lru_cache(maxsize=16)
def _kept_fits(mesh: Mesh, gripper: bytes) -> dict[tuple[bytes, float, float], np.ndarray]:
    """Cache of gauges by pose, opening and width of a grasp, initially empty."""
    return {}


def fit_tolerance(mesh: Mesh, gripper: EndEffector, grasp_set: GraspSet) -> Tolerance:
    """The tolerance of every grasp of a set; takes a few milliseconds each."""
    fits = _Fits(mesh, gripper)
    return _stack(fits.of_all(grasp_set.grasps))


class ToleranceAsked:
    """Tolerance fitted lazily per grasp, for checks of only the few planned grasps."""

    def __init__(self, mesh: Mesh, gripper: EndEffector, grasp_set: GraspSet):
        self._fits, self._grasps = _Fits(mesh, gripper), grasp_set.grasps
        self._fitted: dict[int, Tolerance] = {}

    def contains(self, tcp_deltas: np.ndarray, grasps: np.ndarray) -> np.ndarray:
        """(N,) see :meth:`posegrasp_ros.grasping.robustness.tolerance.Tolerance.contains`."""
        only = np.zeros(1, dtype=int)
        return np.array([self._of(int(grasp)).contains(delta[None], only)[0]
                         for delta, grasp in zip(tcp_deltas, grasps)])

    def _of(self, grasp: int) -> Tolerance:
        if grasp not in self._fitted:
            self._fitted[grasp] = _stack([self._fits.of(self._grasps[grasp])])
        return self._fitted[grasp]


def tolerance_without_mesh(gripper: EndEffector, grasp_set: GraspSet) -> Tolerance:
    """The tolerance without a mesh: for a block of each grasp's width."""
    known = _kept_block_fits(pickle.dumps(gripper))
    for grasp in grasp_set.grasps:
        if (grasp.width_m, grasp.opening_m) not in known:
            block = gripper.unknown_object(grasp.width_m)
            solid = trimesh.creation.box(2 * block.half_extents, make_transform(translation=block.center))
            known[grasp.width_m, grasp.opening_m] = _fit_one(_sample_surface(solid), gripper, grasp)
    return _stack([known[grasp.width_m, grasp.opening_m] for grasp in grasp_set.grasps])


@lru_cache(maxsize=16)
def _kept_block_fits(gripper: bytes) -> dict[tuple[float, float], np.ndarray]:
    """Cache of gauges by width and opening of a grasp, initially empty."""
    return {}


def _sample_surface(solid: trimesh.Trimesh) -> _Surface:
    """Corners of the convex hull and points sampled on the surface."""
    points, faces = trimesh.sample.sample_surface(solid, SURFACE_POINTS, seed=0)
    hull = solid.convex_hull
    step = max(1, len(hull.vertices) // 200)
    return _Surface(np.concatenate([hull.vertices[::step], points]),
                    np.concatenate([hull.vertex_normals[::step], solid.face_normals[faces]]))


def _fit_one(surface: _Surface, gripper: EndEffector, grasp: Grasp) -> np.ndarray:
    """(K, 6) gauges of one grasp: rows divided by their limits; ``surface`` is in the TCP frame."""
    room = _swept_room(gripper, grasp.opening_m)
    entries, ways = _entries(_nearest(surface.points, room), room)
    holding = _gauges(*gripper.hold_limits(surface.points, surface.normals, grasp.width_m))
    wanted = np.maximum(1.0 / ways, (holding @ _PROBES.T).max(axis=0, initial=0.0))
    return _fewest(np.unique(np.concatenate([entries, holding]).round(4), axis=0), wanted)


def _swept_room(gripper: EndEffector, opening_m: float) -> np.ndarray:
    """(B, 2, 3) low and high corners, TCP frame, of the boxes that the gripper sweeps during the approach."""
    corners = np.array([[box.center - box.half_extents, box.center + box.half_extents]
                        for box in gripper.boxes(opening_m)])
    corners[:, 0, 2] = -WAY_BACK_M
    return corners


def _nearest(points: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The points (at most :data:`NEAR_POINTS`) nearest to the swept volume, and the outermost ones."""
    outside = np.maximum(room[:, None, 0] - points, points - room[:, None, 1])
    distances = np.linalg.norm(np.maximum(outside, 0.0), axis=2)
    keep = [_smallest(distance, NEAR_POINTS // len(room)) for distance in distances]
    outermost = (points @ np.concatenate([_OUTWARD, -_OUTWARD]).T).argmax(axis=0)
    return points[np.unique(np.concatenate([*keep, outermost]))]


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """(count,) indices of the smallest of values (N,), the first of equal ones, as from a stable sort."""
    limit = np.partition(values, count - 1)[count - 1]
    below = np.flatnonzero(values < limit)
    return np.concatenate([below, np.flatnonzero(values == limit)[:count - len(below)]])


def _entries(points: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauges (H, 6) of the faces through which each probe first moves a point into the swept volume.

    :param points: (M, 3)
    :param room: (B, 2, 3)
    :return: and (P,) the distances along the probes, :data:`FARTHEST` where there is no entry
    """
    first, entered = _first_entries(_PROBES, points, room)
    hit = np.flatnonzero(first < FARTHEST)
    box, point, axis = entered[hit].T
    ways = _PROBES[hit, :3] + np.cross(_PROBES[hit, 3:], points[point])
    rising = ways[np.arange(len(hit)), axis] > 0
    low, high, at = room[box, 0, axis], room[box, 1, axis], points[point, axis]
    gaps = np.where(rising, low - at, at - high)
    gauges = _gauges(points[point], np.where(rising, 1, -1)[:, None] * np.eye(3)[axis], gaps)
    return gauges, np.maximum(first, 1e-2)


@compiled
def _first_entries(probes: np.ndarray, points: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance along each probe (P, 6) until a point enters the swept volume; at most :data:`FARTHEST`.

    Slab method: on a straight line a point is inside a box from the last of the three slabs that it enters to the
    first that it leaves. Single precision is sufficient.

    :return: (P,) and (P, 3) the box, the point and the axis of the face
    """
    first, entered = np.full(len(probes), FARTHEST), np.zeros((len(probes), 3), np.int64)
    to_room = np.empty((len(room), 2, 3, len(points)), np.float32)
    for axis in range(3):
        for m in range(len(points)):
            to_room[:, :, axis, m] = room[:, :, axis] - points[m, axis]
    inverse, enters = np.empty((3, len(points)), np.float32), np.empty(len(points), np.float32)
    for p in range(len(probes)):
        shift, turn = probes[p, :3], probes[p, 3:]
        for axis in range(3):
            one, other = (axis + 1) % 3, (axis + 2) % 3
            for m in range(len(points)):
                way = shift[axis] + (turn[one] * points[m, other] - turn[other] * points[m, one])
                inverse[axis, m] = 1.0 / (1e-9 if abs(way) < 1e-9 else way)
        for b in range(len(room)):
            _enter_box(to_room[b, 0], to_room[b, 1], inverse, enters)
            near = np.argmin(enters)
            if enters[near] < first[p]:
                first[p], entered[p, 0], entered[p, 1] = enters[near], b, near
                entered[p, 2] = np.minimum(to_room[b, 0, :, near] * inverse[:, near],
                                           to_room[b, 1, :, near] * inverse[:, near]).argmax()
    return first, entered


@compiled
def _enter_box(to_low: np.ndarray, to_high: np.ndarray, inverse: np.ndarray, enters: np.ndarray) -> None:
    """Compute when each point enters a box, into ``enters`` (M,); inf for never.

    There are no branches, so that the loop can be vectorised.

    :param to_low: (3, M) distances from the points to the box's lower sides, and ``to_high`` to the upper ones
    :param inverse: (3, M) inverse speed along each axis
    """
    for m in range(len(enters)):
        x, far_x = to_low[0, m] * inverse[0, m], to_high[0, m] * inverse[0, m]
        y, far_y = to_low[1, m] * inverse[1, m], to_high[1, m] * inverse[1, m]
        z, far_z = to_low[2, m] * inverse[2, m], to_high[2, m] * inverse[2, m]
        into = max(max(min(x, far_x), min(y, far_y)), min(z, far_z))
        out = min(min(max(x, far_x), max(y, far_y)), max(z, far_z))
        enters[m] = max(into, np.float32(0)) if into <= out and out > 0 else np.float32(np.inf)



def _gauges(points: np.ndarray, directions: np.ndarray, gaps_m: np.ndarray) -> np.ndarray:
    """(N, 6) gauges of the constraint that a point (3,) moves at most ``gap_m`` along ``direction`` (3,)."""
    gaps_m = np.maximum(gaps_m, LEAST_LIMIT_M)[:, None]
    return np.concatenate([directions, np.cross(points, directions)], axis=1) / gaps_m


def _fewest(candidates: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(K, 6) at most :data:`ROWS` gauges whose polytope fits the first failures along the probes best.

    A face is valid near the point where it is hit; farther away it may exclude disturbances that do not fail. The
    selection is greedy: each further gauge minimises the error of the logarithms of the distances.

    :param wanted: (P,) inverse distance to the first failure
    """
    if not len(candidates):
        return np.zeros((1, 6))
    along = np.log(np.maximum(candidates @ _PROBES.T, 1.0 / FARTHEST))
    wanted, reached, error = np.log(wanted), np.full(PROBES, -np.log(FARTHEST)), np.inf
    chosen: list[int] = []
    for _ in range(ROWS):
        errors = np.abs(np.maximum(along, reached) - wanted).mean(axis=1)
        best = int(errors.argmin())
        if errors[best] > error - 1e-4:
            break
        chosen.append(best)
        reached, error = np.maximum(reached, along[best]), errors[best]
    return candidates[chosen] if chosen else np.zeros((1, 6))


def _stack(gauges: list[np.ndarray]) -> Tolerance:
    """Gauges of all grasps as rows and limits; the shift part of a row has length 1, so limits are metres."""
    rows = np.zeros((len(gauges), ROWS, 6))
    limits = np.ones((len(gauges), ROWS))
    for grasp, of_grasp in enumerate(gauges):
        lengths = np.linalg.norm(of_grasp[:, :3], axis=1)
        scale = np.where(lengths > 0, lengths, 1.0)
        rows[grasp, :len(of_grasp)] = of_grasp / scale[:, None]
        limits[grasp, :len(of_grasp)] = 1.0 / scale
    return Tolerance(rows, limits)
