# SPDX-License-Identifier: Apache-2.0
"""Objects of a picking run: a model folder, a shipped model, one of the mesh family, or any mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from posegrasp_ros.estimation.model_card import ModelCard, load_model_card
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.planning.plan import PlannerOptions
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import SHIPPED_MODELS, model_folder
from posegrasp_ros.simulation.mesh_family import FAMILY, family_object
from posegrasp_ros.simulation.object_physics import DEFAULT_PHYSICS, ObjectPhysics

# Seed for the grasps of a mesh without a grasp file; independent of the run's seed.
GRASP_SEED = 0


@dataclass(frozen=True, eq=False)
class PickObject:
    """An object to pick, with its planner.

    :param convex_parts: of the mesh, if known
    :param model: folder of its model; None if there is none, and then no estimated pose
    :param physics: its mass and friction
    """

    name: str
    mesh: Mesh
    planner: GraspPlanner
    convex_parts: Sequence[trimesh.Trimesh] | None = None
    model: Path | None = None
    physics: ObjectPhysics = DEFAULT_PHYSICS


@dataclass(frozen=True, eq=False)
class NamedObject:
    """An object without grasps.

    :param card: of its model; None if there is none
    """

    name: str
    mesh: Mesh
    symmetry: Symmetry = NO_SYMMETRY
    convex_parts: Sequence[trimesh.Trimesh] | None = None
    card: ModelCard | None = None
    physics: ObjectPhysics = DEFAULT_PHYSICS


def load_object(given: str) -> NamedObject:
    """Load the object for a user's argument.

    :param given: ``box`` or ``can`` (the shipped models), a name of the mesh family, a model folder or a mesh file
    :raises InvalidInputError: when it is none of these, or cannot be used
    """
    path = Path(given)
    if given in SHIPPED_MODELS or path.is_dir():
        card = load_model_card(model_folder(given))
        return NamedObject(card.name, card.mesh, card.symmetry, card=card, physics=ObjectPhysics.of_card(card))
    if given in FAMILY:
        member = family_object(given)
        return NamedObject(given, member.mesh, convex_parts=member.convex_parts)
    if not path.is_file():
        raise InvalidInputError(f'object {given}: expected a model folder, a mesh file or one of '
                       f'{", ".join((*SHIPPED_MODELS, *FAMILY))}')
    return NamedObject(path.stem, load_mesh(path))


def load_pick_object(given: str, gripper: Gripper, options: PlannerOptions | None = None,
                     own_grasps: bool = True) -> PickObject:
    """Load the object for a user's argument, with its grasps.

    :param given: see :func:`load_object`
    :param own_grasps: use the grasps of a model folder, which must be for this gripper; otherwise, and for objects
        without grasps, sample new ones
    :raises InvalidInputError: when it is none of these, or cannot be used
    """
    return with_grasps(load_object(given), gripper, options, own_grasps)


def with_grasps(named: NamedObject, gripper: Gripper, options: PlannerOptions | None = None,
                own_grasps: bool = True) -> PickObject:
    """Add grasps to an object, see :func:`load_pick_object`.

    :raises GraspError: when there is no grasp for this gripper
    """
    card, mesh = named.card, named.mesh
    if own_grasps and card is not None and card.has_grasps:
        grasps = load_grasps(card.grasps_path, gripper, mesh)
    else:
        grasps = sample_grasps(mesh, gripper, np.random.default_rng(GRASP_SEED))
    planner = GraspPlanner(gripper, grasps, options, named.symmetry, mesh)
    return PickObject(named.name, mesh, planner, named.convex_parts, card.folder if card else None, named.physics)
