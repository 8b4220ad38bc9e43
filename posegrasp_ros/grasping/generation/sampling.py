# SPDX-License-Identifier: Apache-2.0
"""Grasp sampling from a mesh: antipodal contacts with several approach directions, checked, rated and selected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.generation import quality
from posegrasp_ros.grasping.generation.closing import close_on
from posegrasp_ros.grasping.generation.collision import boxes_hit_mesh
from posegrasp_ros.grasping.generation.contacts import Contacts, antipodal_contacts
from posegrasp_ros.grasping.generation.farthest_point_sampling import choose, usable_lying, ways_of_lying
from posegrasp_ros.grasping.generation.from_above import TIP_GAP_M, poses_from_above
from posegrasp_ros.grasping.generation.stable_poses import resting
from posegrasp_ros.grasping.grasp_set import Grasp, GraspError, GraspSet, NoGraspError
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.runtime.progress import Progress

NO_VOLUME_M3 = 1e-9
CONTACT_PAIRS = 1500
ROLLS = 12  # approach directions per pair, evenly around the line between its contacts
TOP_ROLLS = 8  # additional directions from above, for resting poses of the object
BLOCK = 600  # poses per batch
RATED_PER_GRASP = 4  # number of rated candidates per selected grasp
SHARE = 0.05  # of the selected grasps that there should be candidates for in each stable pose
FROM_ABOVE = 1200  # poses that are tried for a stable pose with fewer
SIDE_GAP_M = 0.005  # minimum gap between pad and object on either side during the approach
CLEARANCE_M = 0.003  # minimum distance of the fingers from the object before closing
PALM_GAP_M = 0.01  # minimum distance of the palm, larger because of pose errors along the approach
RETREAT_M = 0.10  # length of the approach that is checked for collision
OFF_CENTER_M = 0.005  # maximum sideways correction that brings both pads into contact together
LEAST_CONFIDENCE = 0.01
# Of two axes of the object's box that are equally near to a direction, the first counts. The last digits, which
# depend on NumPy's version and the processor, would decide otherwise, and change all that is drawn afterwards.
TIE_DECIMALS = 9


@dataclass(frozen=True)
class SampledGrasps:
    """Candidate gripper poses.

    :param object_from_tcp: (N, 4, 4)
    :param widths_m: (N,) distance between the pads at contact
    :param openings_m: (N,) distance between the pads during the approach
    :param confidences: (N,) in [0, 1]
    """

    object_from_tcp: np.ndarray
    widths_m: np.ndarray
    openings_m: np.ndarray
    confidences: np.ndarray

    def __len__(self) -> int:
        return len(self.widths_m)

    def __getitem__(self, chosen: np.ndarray) -> SampledGrasps:
        return SampledGrasps(*(values[chosen] for values in vars(self).values()))


def sample_grasps(mesh: Mesh, gripper: Gripper, rng: np.random.Generator, count: int = 400,
                  progress: bool = False) -> GraspSet:
    """Sample grasps all over an object.

    :param count: maximum number, spread over position and direction
    :param progress: show a progress bar when it takes more than two seconds
    :raises GraspError: when the mesh has no volume
    :raises NoGraspError: when it is too wide or too thin everywhere, has no opposite surfaces, or every grasp
        collides
    """
    size = ' x '.join(_millimetres(side) for side in mesh.extents) + ' mm'
    solid = _closed_solid(mesh, size)
    contacts = _graspable_contacts(solid, gripper, rng, size)
    poses, widths_m = _roll(_balanced(contacts, solid, rng), solid, rng)
    order = rng.permutation(len(poses))
    poses = _set_back(poses[order], gripper, solid, rng)
    candidates = _rate_enough(poses, widths_m[order], gripper, solid, RATED_PER_GRASP * count, progress)
    scarce = _scarce(candidates, gripper, solid, SHARE * count)
    candidates = _joined([candidates, *(
        rate(*poses_from_above(contacts, down, gripper, solid, FROM_ABOVE, rng), gripper, solid)
        for down in scarce)])
    if not len(candidates):
        raise NoGraspError(f'mesh of {size}: collides: expected room for the fingers of {gripper.name}, '
                           'found that every grasp collides with the object; use another gripper')
    ways = np.concatenate([ways_of_lying(solid), scarce])
    usable = usable_lying(candidates.object_from_tcp, candidates.openings_m, gripper, solid, ways)
    chosen = choose(candidates.object_from_tcp, candidates.confidences, usable, count)
    return GraspSet(_named(candidates[chosen]), object_frame='object', gripper_frame=gripper.base_frame)


def _scarce(candidates: SampledGrasps, gripper: Gripper, solid: trimesh.Trimesh, least: float) -> np.ndarray:
    """(K, 3) what points down in the stable poses in which fewer than this many candidates keep off the table."""
    downs, _ = resting(solid)
    usable = usable_lying(candidates.object_from_tcp, candidates.openings_m, gripper, solid, downs)
    return downs[usable.sum(axis=0) < least]


def _millimetres(length_m: float) -> str:
    """Without decimals, unless that leaves little."""
    return f'{1000 * length_m:.0f}' if length_m >= 0.002 else f'{1000 * length_m:.2g}'


def _rate_enough(poses: np.ndarray, widths_m: np.ndarray, gripper: Gripper, solid: trimesh.Trimesh, enough: int,
                 progress: bool) -> SampledGrasps:
    """Rate poses block by block until enough grasps are found."""
    rated, found = [], 0
    with Progress(total=len(poses), desc='checking grasps', unit='pose', delay=2.0, disable=not progress) as bar:
        for start in range(0, len(poses), BLOCK):
            block = slice(start, start + BLOCK)
            rated.append(rate(poses[block], widths_m[block], gripper, solid))
            found += len(rated[-1])
            bar.update(len(poses[block]))
            bar.set_postfix_str(f'{found} grasps', refresh=False)  # a refresh would ignore the delay
            if found >= enough:
                break
    return _joined(rated)


def _joined(parts: list[SampledGrasps]) -> SampledGrasps:
    return SampledGrasps(*(np.concatenate(values) for values in zip(*(vars(part).values() for part in parts))))


def rate(object_from_tcp: np.ndarray, widths_m: np.ndarray, gripper: Gripper,
         solid: trimesh.Trimesh) -> SampledGrasps:
    """Select those of N gripper poses that reach the object without collision and hold it, and rate them.

    :param object_from_tcp: (N, 4, 4)
    :param widths_m: (N,) expected distance between the pads at contact; it is recomputed
    """
    openings_m = _widest_clear(object_from_tcp, widths_m, gripper, solid)
    clear = ~np.isnan(openings_m)
    poses, openings_m = object_from_tcp[clear].copy(), openings_m[clear]
    grip = close_on(poses, openings_m, gripper, solid)
    shift_m, widths_m = grip.off_center_m, openings_m - grip.travels_m.sum(axis=1)
    good = (np.abs(shift_m) <= OFF_CENTER_M) & (openings_m - widths_m >= 2 * SIDE_GAP_M - 1e-9)
    good &= widths_m > gripper.min_opening_m
    poses, openings_m, widths_m, shift_m = (values[good] for values in (poses, openings_m, widths_m, shift_m))
    grip = grip[good]
    poses[:, :3, 3] += shift_m[:, None] * poses[:, :3, 0]
    confidences = quality.confidences(grip, gripper, quality.center_of_mass_of(solid))
    moved = np.flatnonzero(np.abs(shift_m) > CLEARANCE_M / 2)
    blocked = moved[~_is_clear(poses[moved], openings_m[moved], gripper, solid)]
    confidences[blocked] = 0.0
    return SampledGrasps(poses, widths_m, openings_m, confidences)[confidences >= LEAST_CONFIDENCE]


def _closed_solid(mesh: Mesh, size: str) -> trimesh.Trimesh:
    """The repaired mesh."""
    if not (mesh.solid.is_watertight and mesh.solid.volume > NO_VOLUME_M3):
        raise GraspError(f'mesh of {size}: expected a closed surface around some volume, found none; give the '
                         'surface a thickness')
    return mesh.solid


def _graspable_contacts(solid: trimesh.Trimesh, gripper: Gripper, rng: np.random.Generator,
                        size: str) -> Contacts:
    """All contacts that the gripper spans."""
    contacts = antipodal_contacts(solid, gripper.friction, rng)
    good = np.flatnonzero(gripper.spans(contacts.widths_m, SIDE_GAP_M))
    if not len(good):
        raise NoGraspError(f'mesh of {size}: {_why_none_spans(contacts.widths_m, gripper)}')
    return contacts[good]


def _balanced(contacts: Contacts, solid: trimesh.Trimesh, rng: np.random.Generator) -> Contacts:
    """At most :data:`CONTACT_PAIRS` of them, balanced over the axes of the object's box.

    Without balancing, the narrow sides of a plate would be rare compared with its faces.
    """
    box_axes = solid.bounding_box_oriented.primitive.transform[:3, :3]
    along = np.abs((contacts.points[:, 1] - contacts.points[:, 0]) @ box_axes).round(TIE_DECIMALS).argmax(axis=1)
    shares = 1.0 / np.bincount(along)[along]
    count = min(len(shares), CONTACT_PAIRS)
    return contacts[rng.choice(len(shares), count, replace=False, p=shares / shares.sum())]


def _why_none_spans(widths_m: np.ndarray, gripper: Gripper) -> str:
    """Reason and advice for an object with opposite surfaces at these distances (P,), none of which is spanned."""
    if not len(widths_m):
        return ('no_contact: expected two opposite surfaces that can be pressed against each other within the '
                f'friction of {gripper.name} ({gripper.friction:g}), found none')
    closest_m, most_m = widths_m.min(), gripper.max_opening_m - 2 * SIDE_GAP_M
    if closest_m <= most_m:
        return (f'too_thin: found opposite surfaces {1000 * closest_m:.2g} mm apart, which {gripper.name} cannot '
                f'hold, and none between that and {1000 * most_m:.0f} mm; hold it another way, such as by suction')
    return (f'too_wide: found no opposite surfaces that {gripper.name} can span (the closest are '
            f'{1000 * closest_m:.0f} mm apart), expected some at most {1000 * most_m:.0f} mm apart; use a wider '
            'gripper')


def _roll(contacts: Contacts, solid: trimesh.Trimesh, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of contacts with many approach directions: poses (N, 4, 4) and widths (N,).

    The evenly spaced directions start at an axis of the oriented bounding box, so that boxes and cans are
    approached squarely. The others come from above for an object that rests on a face of its convex hull, sampled
    by area.
    """
    x = (contacts.points[:, 1] - contacts.points[:, 0]) / contacts.widths_m[:, None]
    box_axes = solid.bounding_box_oriented.primitive.transform[:3, :3].T
    start = _across(box_axes[np.abs(x @ box_axes.T).round(TIE_DECIMALS).argmin(axis=1)], x)
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    angles = np.arange(ROLLS) * 2 * np.pi / ROLLS
    even = np.cos(angles)[:, None, None] * start + np.sin(angles)[:, None, None] * np.cross(x, start)
    hull = solid.convex_hull
    resting = rng.choice(len(hull.faces), (TOP_ROLLS, len(x)), p=hull.area_faces / hull.area_faces.sum())
    z = np.concatenate([even, _across(hull.face_normals[resting], x)])
    lengths = np.linalg.norm(z, axis=-1, keepdims=True)
    poses = np.tile(np.eye(4), (len(z), len(x), 1, 1))
    poses[..., :3, 0] = x
    poses[..., :3, 2] = z / np.maximum(lengths, 1e-9)
    poses[..., :3, 1] = np.cross(poses[..., :3, 2], x)
    poses[..., :3, 3] = contacts.points.mean(axis=1)
    # discard directions from above that are more than 30 degrees off the plane across the line; the faces of round
    # things are often exactly 30 off
    usable = lengths[..., 0] > np.cos(np.radians(30.001))
    return poses[usable], np.broadcast_to(contacts.widths_m, usable.shape)[usable]


def _across(directions: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Directions (..., N, 3) without their component along the unit vectors x (N, 3)."""
    return directions - x * (directions * x).sum(axis=-1, keepdims=True)


def _set_back(poses: np.ndarray, gripper: Gripper, solid: trimesh.Trimesh, rng: np.random.Generator) -> np.ndarray:
    """Move two of three poses back along the approach, so that flat objects on a table are held by the fingertips.

    The tips then end just before the object's far side. If that is far away, the contact is at a random position
    between the centre of the pads and the tips.
    """
    hull = solid.convex_hull.vertices
    z = poses[:, :3, 2]
    far_m = (z @ hull.T).max(axis=1) - (z * poses[:, :3, 3]).sum(axis=1)
    back_m = gripper.finger_reach_m - far_m + rng.uniform(*TIP_GAP_M, len(poses))
    anywhere_m = gripper.finger_reach_m * rng.random(len(poses))
    flat = (back_m > 0) & (back_m < 2 * gripper.finger_reach_m)
    back_m = np.where(flat, back_m, anywhere_m) * (np.arange(len(poses)) % 3 > 0)
    poses = poses.copy()
    poses[:, :3, 3] -= back_m[:, None] * z
    return poses


def _widest_clear(poses: np.ndarray, widths_m: np.ndarray, gripper: Gripper, solid: trimesh.Trimesh) -> np.ndarray:
    """(N,) the widest opening for an approach without collision, which tolerates the largest pose errors; NaN if
    there is none.
    """
    openings = np.full(len(poses), np.nan)
    palm = [_swept(box, PALM_GAP_M) for box in gripper.palm_boxes]
    free = ~boxes_hit_mesh(poses, palm, solid)
    for opening in gripper.openings_to_try_m():
        todo = np.flatnonzero(free & np.isnan(openings) & (widths_m + 2 * SIDE_GAP_M <= opening + 1e-9))
        fingers = [_swept(box, CLEARANCE_M) for box in gripper.finger_boxes(opening)]
        openings[todo[~boxes_hit_mesh(poses[todo], fingers, solid)]] = opening
    return openings


def _is_clear(poses: np.ndarray, openings_m: np.ndarray, gripper: Gripper, solid: trimesh.Trimesh) -> np.ndarray:
    """(N,) whether the fingers reach the object without collision at the given openings."""
    clear = np.ones(len(poses), dtype=bool)
    for opening in np.unique(openings_m):
        which = np.flatnonzero(openings_m == opening)
        fingers = [_swept(box, CLEARANCE_M / 2) for box in gripper.finger_boxes(opening)]
        clear[which] = ~boxes_hit_mesh(poses[which], fingers, solid)
    return clear


def _swept(box: Box, clearance_m: float) -> Box:
    """The volume swept by a box during the approach, with clearance on all sides."""
    half = box.half_extents + clearance_m
    return Box(box.center - (0, 0, RETREAT_M / 2), half + (0, 0, RETREAT_M / 2))


def _named(candidates: SampledGrasps) -> list[Grasp]:
    """Grasps with consecutive names."""
    return [Grasp(f'grasp_{i:03d}', candidates.object_from_tcp[i], float(candidates.confidences[i]),
                  float(candidates.openings_m[i]), float(candidates.widths_m[i])) for i in range(len(candidates))]
