"""Of models: ``train`` and ``calibrate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import DONE, command, symmetry_options
from posegrasp_ros.runtime.console import show


def add_train(commands) -> None:
    """``posegrasp train``."""
    parser = command(commands, 'train', _train, 'train a pose model for a mesh on synthetic images',
                      'Example: posegrasp train my_mesh.obj --out models/my_object --minutes 60. The mesh is in '
                      'metres; its texture is what the network goes by.')
    parser.add_argument('mesh', type=Path, metavar='MESH', help='.obj, .ply, .glb, ...: any mesh trimesh reads')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='model folder to write (default: models/NAME, after the mesh file)')
    parser.add_argument('--minutes', type=option_types.minutes, default=60.0,
                        help='time for fitting; rendering and measuring come on top')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='of views, samples and first weights')
    parser.add_argument('--backgrounds', type=Path, metavar='DIR',
                        help='folder of photographs (default: those that scikit-image ships)')
    parser.add_argument('--only', choices=('detector', 'network'),
                        help='train this one anew in a folder that has both')
    symmetry_options(parser)
    parser.add_argument('--start', metavar='DIR', default='box',
                        help='model folder whose networks are the first weights, or none (default: box)')
    parser.add_argument('--resume', action='store_true',
                        help='go on where an interrupted training with the same options stood')


def _train(options: argparse.Namespace) -> int:
    from posegrasp_ros.geometry.mesh import load_mesh

    load_mesh(options.mesh)  # a mistyped path is told before what is not installed
    from posegrasp_ros.training.training_run import TrainingOptions, train

    out = options.out or Path('models') / options.mesh.stem
    card = train(options.mesh, out, TrainingOptions(
        minutes=options.minutes, seed=options.seed, symmetry_axis=options.symmetry_axis,
        half_turns=tuple(options.symmetry_half_turn), start=options.start, backgrounds=options.backgrounds,
        only=options.only, resume=options.resume))
    show(f'model card: {card}')
    return DONE


def add_calibrate(commands) -> None:
    """``posegrasp calibrate``."""
    parser = command(commands, 'calibrate', _calibrate,
                     "fit a model's score and covariance on simulated scenes, and measure it on others",
                     'Training does this by itself. For a model made elsewhere: posegrasp calibrate models/mine')
    parser.add_argument('model', type=Path, metavar='MODEL_DIR', help='model folder; its card is written anew')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='same seed, same scenes')


def _calibrate(options: argparse.Namespace) -> int:
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.training.measure import measure

    load_model_card(options.model)
    show(f'model card: {measure(options.model, options.seed)}')
    return DONE
