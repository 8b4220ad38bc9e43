"""What an object is to the touch: convex solids, for physics engines know no others."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh

LOGGER = logging.getLogger(__name__)
# A solid that fills so much of its convex hull, or of its oriented box, is taken for it.
FILLED_SHARE = 0.97
# Of CoACD (Wei et al., "Approximate convex decomposition", SIGGRAPH 2022): a mug comes out 1.3 mm too thick at
# most places after 10 s; its own defaults take two minutes for the same.
COACD_OPTIONS = {'threshold': 0.04, 'mcts_iterations': 20, 'mcts_nodes': 10, 'mcts_max_depth': 2,
                 'resolution': 500, 'decimate': True, 'max_ch_vertex': 64, 'seed': 1}


@dataclass(frozen=True, eq=False)
class TouchBox:
    """A box to touch.

    :param object_from_box: (4, 4)
    :param half_extents: (3,) metres
    """

    object_from_box: np.ndarray
    half_extents: np.ndarray


@dataclass(frozen=True)
class MassProperties:
    """What gravity and shaking act on.

    :param center: (3,) of mass, object frame, metres
    :param inertia: (3, 3) about it, kg m²
    """

    mass_kg: float
    center: np.ndarray
    inertia: np.ndarray


def mass_properties(mesh: Mesh, density_kg_m3: float) -> MassProperties:
    """Those of the mesh if it is closed, else of its convex hull."""
    solid = mesh.solid if mesh.solid.is_volume else mesh.solid.convex_hull
    return MassProperties(density_kg_m3 * solid.volume, solid.center_mass, density_kg_m3 * solid.moment_inertia)


def touch_solids(mesh: Mesh, parts: Sequence[trimesh.Trimesh] | None = None,
                 fill_hollows: bool = False) -> list[TouchBox | trimesh.Trimesh]:
    """The convex solids that stand for a mesh in contacts.

    Contacts between a box and a box are exact, those between convex meshes come from an iterative search, so
    what fills its oriented bounding box becomes that box. A hollow or branched object, a mug, becomes several
    solids; an open mesh, whose inside nobody knows, its convex hull.

    :param parts: convex pieces if they are known; else :func:`convex_parts` finds them
    :param fill_hollows: the convex hull will do: for what lies on a table and is looked at
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
    """Decompose a closed mesh into convex pieces; kept in the user's cache folder, for it takes a while."""
    path = _cache_path(solid)
    if path.is_file():
        with np.load(path) as arrays:
            return tuple(trimesh.convex.convex_hull(arrays[name]) for name in arrays.files)
    import coacd  # its library announces itself on import, so only where it is needed

    coacd.set_log_level('error')
    LOGGER.warning('finding the convex pieces of a hollow mesh with %d faces, once; %s keeps them',
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
    """Write beside the file, then rename: processes that look at once see all of it or nothing."""
    partial = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, **{f'piece_{index:03d}': piece.vertices for index, piece in enumerate(pieces)})
        partial.replace(path)
    except OSError as error:
        LOGGER.warning('%s: cannot be written, the pieces will be looked for again: %s', path, error)
