# SPDX-License-Identifier: Apache-2.0
"""Collision geometry of an object as convex solids, and its mass properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.simulation.convex_decomposition import convex_parts, touchable_bodies
from posegrasp_ros.simulation.object_physics import ObjectPhysics

# A solid that fills at least this fraction of its convex hull, or of its oriented box, is replaced by it.
FILLED_SHARE = 0.97


@dataclass(frozen=True, eq=False)
class TouchBox:
    """A collision box.

    :param object_from_box: (4, 4)
    :param half_extents: (3,) metres
    """

    object_from_box: np.ndarray
    half_extents: np.ndarray


@dataclass(frozen=True)
class MassProperties:
    """Mass, centre of mass and inertia.

    :param center: (3,) of mass, object frame, metres
    :param inertia: (3, 3) about it, kg m²
    """

    mass_kg: float
    center: np.ndarray
    inertia: np.ndarray


def mass_properties(mesh: Mesh, physics: ObjectPhysics) -> MassProperties:
    """Mass properties of the repaired mesh; of its convex hull if it has no volume."""
    solid = mesh.solid if mesh.solid.is_volume else mesh.solid.convex_hull
    density_kg_m3 = physics.density_of(solid.volume)
    return MassProperties(density_kg_m3 * solid.volume, solid.center_mass, density_kg_m3 * solid.moment_inertia)


def touch_solids(mesh: Mesh, parts: Sequence[trimesh.Trimesh] | None = None,
                 fill_hollows: bool = False) -> list[TouchBox | trimesh.Trimesh]:
    """The convex solids that represent a mesh in contacts.

    Contacts between boxes are exact, those between convex meshes come from an iterative search. A mesh that fills
    its oriented bounding box is therefore replaced by the box. A hollow or branched object such as a mug becomes
    several solids.

    :param parts: convex pieces, if known; else from
        :func:`~posegrasp_ros.simulation.convex_decomposition.convex_parts`
    :param fill_hollows: use the convex hull, which is sufficient for objects that only rest on a table
    """
    solid = mesh.solid
    hull = solid.convex_hull
    if fill_hollows or not solid.is_volume:
        return [_box_or_hull(hull)]
    if sum(body.volume for body in touchable_bodies(solid)) > FILLED_SHARE * hull.volume:
        return [_box_or_hull(hull)]
    return [_box_or_hull(part.convex_hull) for part in (convex_parts(solid) if parts is None else parts)]


def _box_or_hull(hull: trimesh.Trimesh) -> TouchBox | trimesh.Trimesh:
    box_from_object, extents = trimesh.bounds.oriented_bounds(hull)
    if hull.volume > FILLED_SHARE * np.prod(extents):
        return TouchBox(np.linalg.inv(box_from_object), extents / 2)
    return hull
