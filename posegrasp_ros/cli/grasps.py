"""Of grasp sets: ``grasps``."""

from __future__ import annotations

import argparse
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import DONE, command, gripper_option
from posegrasp_ros.runtime.console import show

EXAMPLES = """Examples:
  posegrasp grasps mug.obj                                     Franka Hand, writes grasps.yaml
  posegrasp grasps mug.obj --gripper robotiq_2f_85 --out models/mug/grasps.yaml
  posegrasp grasps mug.obj --gripper my_gripper.yaml           a copy of config/grippers/franka_hand.yaml, edited

The mesh is in metres, its surface has a thickness; small holes and hollows do no harm. Each grasp closes on two
opposite surfaces within the friction cone, with room for fingers and palm all along the approach. The file is
isaac_grasp YAML, as Isaac Sim's grasp editor and GraspGen write it: poses of the gripper's base in the mesh's
frame, positions of the finger joints, and a confidence from 0 to 1: how well the pads resist what pulls at the
object (Ferrari-Canny epsilon), relative to the best grip of that width. Put it beside a model.yaml as grasps.yaml
and the planner uses it."""


def add_grasps(commands) -> None:
    """``posegrasp grasps``."""
    parser = command(commands, 'grasps', _grasps, 'find grasps of a mesh for a parallel gripper', EXAMPLES)
    parser.add_argument('mesh', type=Path, metavar='MESH',
                        help='.obj, .ply, .stl, .glb, ...: any mesh trimesh reads')
    gripper_option(parser)
    parser.add_argument('--out', type=Path, metavar='FILE', default=Path('grasps.yaml'), help='file to write')
    parser.add_argument('--count', type=option_types.positive, metavar='N', default=400,
                        help='at most so many grasps, spread over position and direction')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='same seed, same grasps')


def _grasps(options: argparse.Namespace) -> int:
    import numpy as np

    from posegrasp_ros.geometry.mesh import load_mesh
    from posegrasp_ros.grasping.generation.sampling import sample_grasps
    from posegrasp_ros.grasping.grasp_set import save_grasps
    from posegrasp_ros.grasping.gripper import load_gripper

    gripper, mesh = load_gripper(options.gripper), load_mesh(options.mesh)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    grasps = sample_grasps(mesh, gripper, np.random.default_rng(options.seed), options.count, progress=True)
    save_grasps(options.out, grasps, gripper)
    widths_mm = [1000 * grasp.width_m for grasp in grasps.grasps]
    confidences = [grasp.confidence for grasp in grasps.grasps]
    show(f'{options.out}: {len(grasps)} grasps for {gripper.name}, {min(widths_mm):.0f} to '
         f'{max(widths_mm):.0f} mm wide, confidence {min(confidences):.2f} to {max(confidences):.2f}')
    return DONE
