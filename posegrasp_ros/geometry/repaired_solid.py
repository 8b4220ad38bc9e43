# SPDX-License-Identifier: Apache-2.0
"""One closed solid for a mesh as files have it, for whatever asks what is inside: grasps, contacts, mass.

A closed, outward facing mesh in one piece stays as it is. In any other, each connected surface is closed and
oriented by itself (:mod:`~posegrasp_ros.geometry.mesh_shells`), all are united, and the hollows taken out. A wall
without thickness has no inside: a tube or a cup of such a wall is filled. A surface that lids do not close is
replaced by its convex hull. What has been done is logged.

The union is by manifold3d, whose result is always closed, in a wheel of 1.4 MB for each of our Pythons. trimesh's
repair closes holes of three or four edges only, and unites nothing itself; pymeshlab has filters for all of it, in
106 MB; MeshFix keeps one body of several.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh_shells import THIN_SHARE, Shell, oriented_shells

if TYPE_CHECKING:
    import manifold3d

LOGGER = logging.getLogger(__name__)
LIDS_TO_MENTION, OVERLAP_TO_MENTION = 0.01, 0.01  # of the surface in lids; of the volume


def is_sound(merged: trimesh.Trimesh) -> bool:
    """Whether a mesh is one closed surface that faces outward."""
    return bool(merged.is_watertight and merged.is_volume) and merged.body_count == 1


def repaired_solid(merged: trimesh.Trimesh) -> trimesh.Trimesh:
    """The solid of a mesh whose coincident vertices are merged; the mesh itself if it has no volume."""
    if is_sound(merged):
        return merged
    shells = oriented_shells(merged)
    size = ' x '.join(f'{1000 * side:.0f}' for side in merged.extents) + ' mm'
    if not shells:
        LOGGER.warning('mesh of %s: expected a surface around some volume, found none', size)
        return merged
    solid, remarks = _united(shells)
    if remarks:
        LOGGER.warning('mesh of %s: repaired for grasps, contacts and mass: %s', size, '; '.join(remarks))
    return solid


def _united(shells: Sequence[Shell]) -> tuple[trimesh.Trimesh, list[str]]:
    """The union of the shells without their hollows, and what was to be repaired."""
    import manifold3d

    parts, remarks, volume_m3 = [], [], 0.0
    given_m2, lids_m2 = np.sum([shell.areas_m2 for shell in shells], axis=0)
    if (share := lids_m2 / (given_m2 + lids_m2)) > LIDS_TO_MENTION:
        remarks.append(f'holes closed by lids, {100 * share:.0f} % of the surface')
    for shell in shells:
        solid = _of_shell(shell)
        part = _manifold(solid)
        if part.is_empty():
            part, remark = _hull_instead(shell)
            remarks.append(remark)
        if len(shells) == 1 and solid.is_volume:
            return solid, remarks
        volume_m3 += part.volume() * (-1 if shell.is_hollow else 1)
        if shell.hollow_of is None:
            parts.append(part)
        else:
            parts[shell.hollow_of] -= part
            parts.append(manifold3d.Manifold())
    whole = manifold3d.Manifold.batch_boolean(parts, manifold3d.OpType.Add)
    if (overlap := volume_m3 / whole.volume() - 1) > OVERLAP_TO_MENTION:
        remarks.append(f'{len(shells)} bodies united, which overlapped by {100 * overlap:.0f} % of the volume')
    # without the slivers where surfaces cross, on which CoACD takes six times as long
    size_m = float(np.linalg.norm(np.subtract(whole.bounding_box()[3:], whole.bounding_box()[:3])))
    mesh = whole.set_tolerance(max(whole.get_tolerance(), THIN_SHARE * size_m)).to_mesh64()
    # copies: views would keep manifold3d's objects until the interpreter ends, which it complains about
    vertices, faces = np.array(mesh.vert_properties[:, :3], dtype=float), np.array(mesh.tri_verts, dtype=int)
    return trimesh.Trimesh(vertices, faces, process=False), remarks


def _of_shell(shell: Shell) -> trimesh.Trimesh:
    """Its triangles as a solid of positive volume."""
    used, faces = np.unique(shell.faces, return_inverse=True)
    vertices = np.empty((len(used), 3))
    vertices[faces.ravel()] = shell.triangles.reshape(-1, 3)
    faces = faces.reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces[:, ::-1] if shell.is_hollow else faces, process=False)


def _manifold(solid: trimesh.Trimesh) -> manifold3d.Manifold:
    """The solid for union; empty where it is not closed."""
    import manifold3d

    return manifold3d.Manifold(manifold3d.Mesh64(np.ascontiguousarray(solid.vertices, dtype=np.float64),
                                                 np.ascontiguousarray(solid.faces, dtype=np.uint64)))


def _hull_instead(shell: Shell) -> tuple[manifold3d.Manifold, str]:
    hull = trimesh.convex.convex_hull(shell.triangles.reshape(-1, 3))
    more = hull.volume / max(abs(shell.volume_m3), 1e-12) - 1
    return _manifold(hull), (f'a surface of {len(shell.own)} triangles, which lids did not close, replaced by its '
                             f'convex hull, {100 * more:+.0f} % of volume')
