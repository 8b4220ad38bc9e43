"""Collision geometry of an object as convex solids, and its mass properties."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.simulation.object_physics import ObjectPhysics

LOGGER = logging.getLogger(__name__)
# A solid that fills at least this fraction of its convex hull, or of its oriented box, is replaced by it.
FILLED_SHARE = 0.97
# Options of CoACD (Wei et al., "Approximate convex decomposition", SIGGRAPH 2022): a mug is at most places 1.3 mm
# too thick after 10 s; the default options take two minutes for the same result.
COACD_OPTIONS = {'threshold': 0.04, 'mcts_iterations': 20, 'mcts_nodes': 10, 'mcts_max_depth': 2,
                 'resolution': 500, 'decimate': True, 'max_ch_vertex': 64, 'seed': 1}


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
    """Mass properties of the mesh if it is closed, else of its convex hull."""
    solid = mesh.solid if mesh.solid.is_volume else mesh.solid.convex_hull
    density_kg_m3 = physics.density_of(solid.volume)
    return MassProperties(density_kg_m3 * solid.volume, solid.center_mass, density_kg_m3 * solid.moment_inertia)


def touch_solids(mesh: Mesh, parts: Sequence[trimesh.Trimesh] | None = None,
                 fill_hollows: bool = False) -> list[TouchBox | trimesh.Trimesh]:
    """The convex solids that represent a mesh in contacts.

    Contacts between boxes are exact, those between convex meshes come from an iterative search. A mesh that fills
    its oriented bounding box is therefore replaced by the box. A hollow or branched object such as a mug becomes
    several solids; an open mesh, whose inside is undefined, its convex hull.

    :param parts: convex pieces, if known; else from :func:`convex_parts`
    :param fill_hollows: use the convex hull, which is sufficient for objects that only rest on a table
    """
    solid = mesh.solid
    hull = solid.convex_hull
    if fill_hollows or not solid.is_volume or solid.volume > FILLED_SHARE * hull.volume:
        return [_box_or_hull(hull)]
    return [_box_or_hull(part.convex_hull) for part in (convex_parts(solid) if parts is None else parts)]


def _box_or_hull(hull: trimesh.Trimesh) -> TouchBox | trimesh.Trimesh:
    box_from_object, extents = trimesh.bounds.oriented_bounds(hull)
    if hull.volume > FILLED_SHARE * np.prod(extents):
        return TouchBox(np.linalg.inv(box_from_object), extents / 2)
    return hull


@lru_cache(maxsize=16)
def convex_parts(solid: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """Decompose a closed mesh into convex pieces; cached in the user's cache folder because it takes seconds."""
    path = _cache_path(solid)
    if path.is_file():
        with np.load(path) as arrays:
            return tuple(trimesh.convex.convex_hull(arrays[name]) for name in arrays.files)
    import coacd  # imported here because it prints a message on import

    coacd.set_log_level('error')
    LOGGER.warning('decomposing a hollow mesh with %d faces into convex pieces, once; cached in %s',
                   len(solid.faces), path)
    found = coacd.run_coacd(coacd.Mesh(solid.vertices, solid.faces), preprocess_mode='off', **COACD_OPTIONS)
    pieces = tuple(trimesh.convex.convex_hull(vertices) for vertices, _ in found)
    _keep(path, pieces)
    return pieces


def _cache_path(solid: trimesh.Trimesh) -> Path:
    content = hashlib.sha256(np.ascontiguousarray(solid.vertices, dtype='<f8').tobytes()
                             + np.ascontiguousarray(solid.faces, dtype='<i8').tobytes()
                             + repr(COACD_OPTIONS).encode())
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return folder / 'posegrasp_ros' / f'convex-{content.hexdigest()[:24]}.npz'


def _keep(path: Path, pieces: tuple[trimesh.Trimesh, ...]) -> None:
    """Write a temporary file, then rename it, so that concurrent processes never see a partial file."""
    partial = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {f'piece_{index:03d}': piece.vertices for index, piece in enumerate(pieces)}
        np.savez(partial, **arrays)
        partial.replace(path)
    except OSError as error:
        LOGGER.warning('%s: cannot be written, the decomposition is not cached: %s', path, error)
