"""Candidate grasps from a mesh: antipodal contacts, rolled about the line between them, checked and thinned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.geometry import transform_points
from posegrasp_ros.grasping import quality
from posegrasp_ros.grasping.collision import boxes_hit_mesh
from posegrasp_ros.grasping.gripper import Box, Gripper
from posegrasp_ros.grasping.library import Grasp, GraspError, GraspSet
from posegrasp_ros.mesh import Mesh

CONTACT_PAIRS = 600
ROLLS = 12
CANDIDATES_PER_GRASP = 12
SIDE_GAP_M = 0.005  # least gap between pad and object on either side, on the way in
CLEARANCE_M = 0.003  # fingers and palm stay this far from the object until they close
PALM_GAP_M = 0.01  # and the palm this far above it, for a pose may be off along the approach
RETREAT_M = 0.10  # and do so all along the last stretch of the approach
RAY_NUDGE_M = 1e-5  # a ray must not meet the surface that it leaves
CONTACT_DEPTH_M = 0.002  # how far a soft pad gives way


@dataclass(frozen=True)
class Contacts:
    """Pairs of opposite contacts.

    :param points: (P, 2, 3) metres, object frame
    :param inward_normals: (P, 2, 3) into the object
    """

    points: np.ndarray
    inward_normals: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen) -> Contacts:
        return Contacts(self.points[chosen], self.inward_normals[chosen])

    @property
    def widths_m(self) -> np.ndarray:
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)


@dataclass(frozen=True)
class Candidates:
    """Gripper poses: ``pairs`` tells which contacts each closes on.

    :param object_from_tcp: (N, 4, 4)
    :param pairs: (N,) index into the contacts
    :param widths_m: (N,) distance between the pads when they touch
    :param openings_m: (N,) distance between the pads on the way in; NaN before it is known
    """

    object_from_tcp: np.ndarray
    pairs: np.ndarray
    widths_m: np.ndarray
    openings_m: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, chosen) -> Candidates:
        return Candidates(self.object_from_tcp[chosen], self.pairs[chosen], self.widths_m[chosen],
                          self.openings_m[chosen])


def sample_grasps(mesh: Mesh, gripper: Gripper, rng: np.random.Generator, count: int = 400) -> GraspSet:
    """Find grasps all over an object.

    :param count: at most so many, spread over position and direction
    :raises GraspError: when the mesh has no volume, is too wide everywhere, or leaves no room for the fingers
    """
    solid = mesh.solid
    size = ' x '.join(f'{1000 * side:.0f}' for side in mesh.extents) + ' mm'
    with np.errstate(invalid='ignore'):  # trimesh divides by the volume, on the way to other properties
        volume = solid.volume
    if not abs(volume) > 1e-9:
        raise GraspError(f'mesh of {size}: expected a closed surface around some volume, '
                         f'found {volume:g} m³')
    contacts = sample_contacts(solid, gripper, rng)
    if not len(contacts):
        raise GraspError(f'mesh of {size}: too_wide: found no opposite surfaces that {gripper.name} spans, '
                         f'expected some at most {1000 * (gripper.max_opening_m - 2 * SIDE_GAP_M):.0f} mm apart')
    candidates = _roll(contacts, solid)
    candidates = candidates[rng.permutation(len(candidates))[:CANDIDATES_PER_GRASP * count]]
    candidates = _open_clear(candidates, gripper, solid)
    if not len(candidates):
        raise GraspError(f'mesh of {size}: collides: expected room for the fingers of {gripper.name}, '
                         'found the object in the way of every grasp')
    confidences = _confidences(candidates, contacts, gripper, solid)
    chosen = _spread(candidates.object_from_tcp, confidences, count)
    chosen = chosen[np.argsort(-confidences[chosen], kind='stable')]
    grasps = [Grasp(f'grasp_{i:03d}', candidates.object_from_tcp[k], float(confidences[k]),
                    float(candidates.openings_m[k]), float(candidates.widths_m[k])) for i, k in enumerate(chosen)]
    return GraspSet(grasps, object_frame='object', gripper_frame=gripper.name)


def sample_contacts(solid: trimesh.Trimesh, gripper: Gripper, rng: np.random.Generator) -> Contacts:
    """Opposite contacts that the gripper spans, both friction cones holding the line between them."""
    points, faces = trimesh.sample.sample_surface(solid, 4 * CONTACT_PAIRS, seed=int(rng.integers(2**31)))
    inward = -solid.face_normals[faces]
    directions = _within_cone(inward, gripper.friction, rng)
    origins = points + RAY_NUDGE_M * directions
    exits, rays, exit_faces = solid.ray.intersects_location(origins, directions, multiple_hits=True)
    contacts = Contacts(np.stack([points[rays], exits], axis=1),
                        np.stack([inward[rays], -solid.face_normals[exit_faces]], axis=1))
    widths = contacts.widths_m
    spanned = (widths > gripper.min_opening_m) & (widths <= gripper.max_opening_m - 2 * SIDE_GAP_M)
    holds = quality.force_closure(contacts.points, contacts.inward_normals, gripper.friction)
    good = np.flatnonzero(spanned & holds & (widths > 1e-3))
    return contacts[rng.permutation(good)[:CONTACT_PAIRS]]


def _within_cone(axes: np.ndarray, friction: float, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) unit directions inside the friction cones about ``axes``, every other one straight along its axis."""
    tilts = np.arctan(friction) * rng.random(len(axes)) * (np.arange(len(axes)) % 2)
    sideways = np.cross(axes, rng.normal(size=axes.shape))
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    return np.cos(tilts)[:, None] * axes + np.sin(tilts)[:, None] * sideways


def _roll(contacts: Contacts, solid: trimesh.Trimesh) -> Candidates:
    """Every pair of contacts under :data:`ROLLS` approach directions around the line between them.

    Rolls count from an axis of the oriented bounding box, so that boxes and cans are approached squarely.
    """
    widths = contacts.widths_m
    x = (contacts.points[:, 1] - contacts.points[:, 0]) / widths[:, None]
    box_axes = solid.bounding_box_oriented.primitive.transform[:3, :3].T
    start = box_axes[np.argmin(np.abs(x @ box_axes.T), axis=1)]
    start = start - x * (start * x).sum(axis=1, keepdims=True)
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    angles = np.arange(ROLLS) * 2 * np.pi / ROLLS
    z = np.cos(angles)[:, None, None] * start + np.sin(angles)[:, None, None] * np.cross(x, start)
    poses = np.tile(np.eye(4), (ROLLS, len(x), 1, 1))
    poses[..., :3, 0] = x
    poses[..., :3, 1] = np.cross(z, x)
    poses[..., :3, 2] = z
    poses[..., :3, 3] = contacts.points.mean(axis=1)
    return Candidates(poses.reshape(-1, 4, 4), np.tile(np.arange(len(x)), ROLLS), np.tile(widths, ROLLS),
                      np.full(ROLLS * len(x), np.nan))


def _open_clear(candidates: Candidates, gripper: Gripper, solid: trimesh.Trimesh) -> Candidates:
    """The candidates that reach the object without touching it, opened as wide as it leaves room for."""
    openings = candidates.openings_m.copy()
    for opening in gripper.max_opening_m * np.array([1.0, 0.75, 0.5, 0.25]):
        todo = np.flatnonzero(np.isnan(openings) & (candidates.widths_m + 2 * SIDE_GAP_M <= opening + 1e-9))
        boxes = [_swept(box, CLEARANCE_M) for box in gripper.finger_boxes(opening)]
        boxes += [_swept(box, PALM_GAP_M) for box in gripper.palm_boxes]
        hit = boxes_hit_mesh(candidates.object_from_tcp[todo], boxes, solid)
        openings[todo[~hit]] = opening
    clear = ~np.isnan(openings)
    return Candidates(candidates.object_from_tcp, candidates.pairs, candidates.widths_m, openings)[clear]


def _swept(box: Box, clearance_m: float) -> Box:
    """The room that a box takes up on the way in, with clearance on all sides."""
    half = box.half_extents + clearance_m
    return Box(box.center - (0, 0, RETREAT_M / 2), half + (0, 0, RETREAT_M / 2))


def _confidences(candidates: Candidates, contacts: Contacts, gripper: Gripper,
                 solid: trimesh.Trimesh) -> np.ndarray:
    """(N,) in [0, 1]: share of the pads that touches, times epsilon over the best there is for that width, times
    a discount for holding the object far from its centre of mass, where it swings and the pose error's lever
    is long.
    """
    center_of_mass = solid.center_mass if solid.is_watertight else solid.convex_hull.center_mass
    pad_radius_m = float(gripper.pad_half_extents.min())
    of_pair = np.zeros(len(contacts))
    for k in np.unique(candidates.pairs):
        points, normals = contacts.points[k], contacts.inward_normals[k]
        best = quality.best_epsilon(round(contacts.widths_m[k], 3), gripper.friction, pad_radius_m)
        found = quality.epsilon(points, normals, gripper.friction, pad_radius_m, center_of_mass)
        of_pair[k] = min(1.0, found / best)
    offsets = quality.distance_from_line(center_of_mass, contacts.points)
    of_pair *= np.exp(-offsets / quality.LENGTH_SCALE_M)
    return of_pair[candidates.pairs] * pad_coverage(candidates, gripper, solid)


def pad_coverage(candidates: Candidates, gripper: Gripper, solid: trimesh.Trimesh) -> np.ndarray:
    """(N,) share of both pads' area that meets the object when they close, 15 rays a pad."""
    half_y, half_z = 0.9 * gripper.pad_half_extents
    y, z = (grid.ravel() for grid in np.meshgrid(np.linspace(-half_y, half_y, 3), np.linspace(-half_z, half_z, 5)))
    covered = np.zeros(len(candidates))
    for side in (-1.0, 1.0):
        origins, directions = [], []
        for pose, opening in zip(candidates.object_from_tcp, candidates.openings_m):
            starts = np.column_stack([np.full(y.size, side * opening / 2), y, z])
            origins.append(transform_points(pose, starts))
            directions.append(np.tile(-side * pose[:3, 0], (y.size, 1)))
        origins, directions = np.concatenate(origins), np.concatenate(directions)
        hits, rays, _ = solid.ray.intersects_location(origins, directions, multiple_hits=False)
        travel = np.full(len(origins), np.inf)
        travel[rays] = np.linalg.norm(hits - origins[rays], axis=1)
        expected = (candidates.openings_m - candidates.widths_m) / 2
        covered += (travel.reshape(len(candidates), -1) <= expected[:, None] + CONTACT_DEPTH_M).mean(axis=1) / 2
    return covered


def _spread(poses: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` poses far from each other, good ones first: farthest-point sampling, weighted.

    Two poses are one unit apart when they differ by 20 mm or by 30 degrees.
    """
    chosen = [int(np.argmax(weights))]
    distances = np.full(len(poses), np.inf)
    while len(chosen) < min(count, len(poses)):
        last = poses[chosen[-1]]
        shift = ((poses[:, :3, 3] - last[:3, 3]) ** 2).sum(axis=1) / 0.02**2
        cosines = (np.einsum('nij,ij->n', poses[:, :3, :3], last[:3, :3]) - 1) / 2
        turn = np.arccos(np.clip(cosines, -1, 1)) / np.radians(30)
        distances = np.minimum(distances, np.sqrt(shift + turn**2))
        chosen.append(int(np.argmax(distances * weights)))
        if distances[chosen[-1]] * weights[chosen[-1]] <= 0:
            return np.array(chosen[:-1])
    return np.array(chosen)
