# SPDX-License-Identifier: Apache-2.0
"""``posegrasp grasps``: finds grasps of a mesh."""

from __future__ import annotations

from pathlib import Path

from posegrasp_ros.cli.options import Count, File, Gripper, Seed
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER

EXAMPLES = """Examples:
  posegrasp grasps mug.obj
  posegrasp grasps mug.obj --gripper robotiq_2f_85 --out models/mug/grasps.yaml
  posegrasp grasps mug.obj --gripper my_gripper.yaml

The first one writes grasps.yaml for the Franka Hand; the last one's gripper is an edited copy of
config/grippers/franka_hand.yaml.

The mesh is in metres, its walls have a thickness; small holes and hollows do no harm. Each grasp closes on two
opposite surfaces within the friction cone, with room for fingers and palm along the whole approach. The file is
isaac_grasp YAML, as written by Isaac Sim's Grasp Editor and GraspGen: poses of the gripper's base in the mesh's
frame, positions of the finger joints, and a confidence from 0 to 1: how well the pads resist forces on the
object (Ferrari-Canny epsilon), relative to the best grasp of that width. Saved as grasps.yaml next to a
model.yaml, it is used by the planner."""
DEFAULT_OUT = Path('grasps.yaml')


def grasps(mesh: Path, /, *,
           gripper: Gripper = DEFAULT_GRIPPER,
           out: File = DEFAULT_OUT,
           count: Count = 400,
           seed: Seed = 0) -> int:
    """Find grasps on a mesh for a parallel gripper.

    :param mesh: .obj, .ply, .stl, .glb, ...: any mesh trimesh reads
    :param out: file to write
    :param count: maximum number of grasps, spread over position and direction
    :param seed: same seed, same grasps
    """
    import numpy as np

    from posegrasp_ros.geometry.mesh import load_mesh
    from posegrasp_ros.grasping.generation.sampling import sample_grasps
    from posegrasp_ros.grasping.generation.stable_poses import is_y_up, stable_poses
    from posegrasp_ros.grasping.grasp_set import save_grasps
    from posegrasp_ros.grasping.gripper import load_gripper

    figures, solid = load_gripper(gripper), load_mesh(mesh)
    out.parent.mkdir(parents=True, exist_ok=True)
    found = sample_grasps(solid, figures, np.random.default_rng(seed), count, progress=True)
    save_grasps(out, found, figures)
    widths_mm = [1000 * grasp.width_m for grasp in found.grasps]
    confidences = [grasp.confidence for grasp in found.grasps]
    show(f'{out}: {len(found)} grasps for {figures.name}, {min(widths_mm):.0f} to '
         f'{max(widths_mm):.0f} mm wide, confidence {min(confidences):.2f} to {max(confidences):.2f}')
    poses = stable_poses(solid, found, figures)
    for pose in poses:
        if not pose.usable:
            show(f'{mesh}: {pose.problem(figures)}')
    if is_y_up(poses):
        show(f'{mesh}: stands with y up, not z, as in files from Y-up tools; grasps are in the axes of the file, '
             'as poses have to be')
    return DONE
