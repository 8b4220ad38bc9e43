"""Whether the gripper, anywhere on a straight way, touches an obstacle; for many grasps at once."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.scene import Scene

# candidates times balls in one go: bounds the memory at about 50 MB
_CHUNK = 500_000
STEP_M = 0.02


class GripperBoxes:
    """Fingers and palm at several openings: boxes along the TCP frame's axes.

    :param centers: (N, B, 3) metres
    :param half_extents: (B, 3)
    """

    def __init__(self, gripper: Gripper, openings_m: np.ndarray):
        boxes = gripper.finger_boxes(0.0) + gripper.palm_boxes
        self.half_extents = np.array([box.half_extents for box in boxes])
        self.centers = np.tile([box.center for box in boxes], (len(openings_m), 1, 1))
        self.centers[:, 0, 0] -= openings_m / 2
        self.centers[:, 1, 0] += openings_m / 2

    def lowest(self, up_in_tcp: np.ndarray) -> np.ndarray:
        """(N, P) least height over the TCP, metres.

        :param up_in_tcp: (3, N, P) of P ways to hold each of them
        """
        heights = np.inf
        for box, half in enumerate(self.half_extents):
            middle = sum(self.centers[:, box, axis, None] * up_in_tcp[axis] for axis in range(3))
            reach = sum(half[axis] * np.abs(up_in_tcp[axis]) for axis in range(3))
            heights = np.minimum(heights, middle - reach)
        return heights


def touches(base_from_tcp: np.ndarray, boxes: GripperBoxes, of: np.ndarray, ways: np.ndarray, scene: Scene,
            clearance_m: float) -> np.ndarray:
    """(N,) whether a gripper that goes straight from each pose to ``ways`` (N, 3) metres beyond touches anything.

    :param base_from_tcp: (N, 4, 4)
    :param boxes: of all grasps; ``of`` (N,) tells which of them each pose is of
    :param ways: (N, 3) base frame; zeros for a gripper that stays
    :param clearance_m: what comes this close counts as touched
    """
    ways_in_tcp = np.einsum('nji,nj->ni', base_from_tcp[:, :3, :3], ways)
    centers = boxes.centers[of] + ways_in_tcp[:, None] / 2
    half_extents = boxes.half_extents + clearance_m
    hit = np.zeros(len(base_from_tcp), dtype=bool)
    if scene.boxes:
        hit |= _boxes_hit(base_from_tcp, centers, half_extents, ways_in_tcp / 2, scene)
    if scene.spheres or len(scene.points):
        free = np.flatnonzero(~hit)
        hit[free] = _balls_hit(base_from_tcp[free], centers[free], half_extents, ways_in_tcp[free] / 2, scene)
    return hit


def _boxes_hit(base_from_tcp: np.ndarray, centers: np.ndarray, half_extents: np.ndarray, half_ways: np.ndarray,
               scene: Scene) -> np.ndarray:
    """(N,) whether a swept box (center ± half extents, ± half way) touches an obstacle box.

    Separating axes of two convex solids: normals of faces and products of edges. A box swept along a straight
    way has the way as its fourth edge. The gripper's own axes part most pairs, so they come first.
    """
    poses = np.array([box.base_from_box for box in scene.boxes])
    sizes = np.array([box.half_extents for box in scene.boxes], dtype=float)
    # One product each for all pairs: the TCP's axes, side by side, on the obstacles' edges and middles.
    tcp_axes = np.ascontiguousarray(np.swapaxes(base_from_tcp[:, :3, :3], 1, 2)).reshape(-1, 3)
    count, shape = len(poses), (len(base_from_tcp), 3, len(poses))
    turned = (tcp_axes @ np.moveaxis(poses[:, :3, :3], 0, 1).reshape(3, -1)).reshape(*shape, 3)
    middles = (tcp_axes @ poses[:, :3, 3].T).reshape(shape)
    middles -= (tcp_axes.reshape(-1, 3, 3) @ base_from_tcp[:, :3, 3, None])
    reach = sum(np.abs(turned[..., edge]) * sizes[:, edge] for edge in range(3))
    near = np.ones((len(base_from_tcp), len(half_extents), count), dtype=bool)
    inside = np.full_like(near, _runs_along_z(half_ways))  # what is swept is a box then, and this a sure hit
    for axis in range(3):
        own = half_extents[:, axis] + np.abs(half_ways[:, None, axis])
        apart = np.abs(middles[:, None, axis] - centers[:, :, axis, None]) - own[..., None]
        near &= apart <= reach[:, None, axis]
        inside &= apart <= 0
    hit = inside.any(axis=(1, 2))
    pose, box, which = np.nonzero(near & ~hit[:, None, None])
    for axes_of in (_obstacle_axes, _edge_products):
        edges = np.swapaxes(turned[pose, :, which], 1, 2)
        axes = axes_of(edges, half_ways[pose])
        offsets = (middles[pose, :, which] - centers[pose, box])[..., None]
        own = (np.abs(axes) @ half_extents[box][..., None]) + np.abs(axes @ half_ways[pose][..., None])
        other = np.abs(axes @ np.swapaxes(edges, 1, 2)) @ sizes[which][..., None]
        touching = ~(np.abs(axes @ offsets) > own + other).any(axis=(1, 2))
        pose, box, which = pose[touching], box[touching], which[touching]
    hit[pose] = True
    return hit


def _runs_along_z(half_ways: np.ndarray) -> bool:
    """Whether all ways run along the TCP's z: a box swept along it is but a longer box."""
    return bool(np.abs(half_ways[:, :2]).max(initial=0.0) <= 1e-9)


def _obstacle_axes(edges: np.ndarray, _half_ways: np.ndarray) -> np.ndarray:
    """(P, 3, 3) normals of a turned box's faces, from its edges (P, 3, 3)."""
    return edges


def _edge_products(edges: np.ndarray, half_ways: np.ndarray) -> np.ndarray:
    """(P, A, 3) products of one edge of each solid, and of two edges of a box swept along ``half_ways`` (P, 3)."""
    products = [_times_unit(axis, edges) for axis in range(3)]
    if not _runs_along_z(half_ways):
        products.append(np.cross(half_ways[:, None], edges))
        products += [_times_unit(axis, half_ways[:, None]) for axis in range(3)]
    return np.concatenate(products, axis=1)


def _times_unit(axis: int, vectors: np.ndarray) -> np.ndarray:
    """Cross product of a unit vector with ``vectors`` (..., 3)."""
    product = np.zeros_like(vectors)
    product[..., (axis + 1) % 3] = -vectors[..., (axis + 2) % 3]
    product[..., (axis + 2) % 3] = vectors[..., (axis + 1) % 3]
    return product


def _balls_hit(base_from_tcp: np.ndarray, centers: np.ndarray, half_extents: np.ndarray, half_ways: np.ndarray,
               scene: Scene) -> np.ndarray:
    """(N,) whether a ball's middle comes closer to a swept box than its radius.

    The way is walked in steps, the box grown along it by half a step: exact where it runs along the TCP's z, as
    the approach does, and on the careful side by up to :data:`STEP_M` / 2 elsewhere.
    """
    middles, radii = scene.balls
    hit = np.zeros(len(base_from_tcp), dtype=bool)
    if not len(hit):
        return hit
    longest_m = 2 * np.linalg.norm(half_ways, axis=1).max()
    steps = 1 if _runs_along_z(half_ways) else int(np.ceil(longest_m / STEP_M - 1e-6))
    chunk = max(1, _CHUNK // len(middles))
    for start in range(0, len(base_from_tcp), chunk):
        part = slice(start, start + chunk)
        seen = (middles - base_from_tcp[part, None, :3, 3]) @ base_from_tcp[part, :3, :3]
        for share in (2 * np.arange(steps) + 1) / steps - 1:
            for box, half in enumerate(half_extents):
                offsets = np.abs(seen - (centers[part, box] + share * half_ways[part])[:, None])
                beyond = np.maximum(offsets - (half + np.abs(half_ways[part]) / steps)[:, None], 0.0)
                hit[part] |= ((beyond**2).sum(axis=2) <= radii**2).any(axis=1)
    return hit
