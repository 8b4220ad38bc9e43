"""``posegrasp train`` and ``posegrasp calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import File, Folder, Seed, SymmetryAxis, SymmetryHalfTurns, option, options
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.exit_codes import DONE

TRAIN_EXAMPLES = """Examples:
  posegrasp train my_mesh.obj --out models/my_object --minutes 60
  posegrasp train my_mesh.obj --out models/my_object --like my_bag --like-empty

The mesh is in metres; its texture is what the network goes by."""
CALIBRATE_EXAMPLES = """Example: posegrasp calibrate models/mine

Training does this by itself; it is for a model made elsewhere."""
OBJECT, TRAINING = (Parameter(group=Group.create_ordered(title)) for title in ('Object', 'Training'))


def train(mesh: Path, /, *,
          out: Folder | None = None,
          symmetry_axis: Annotated[SymmetryAxis, OBJECT] = None,
          symmetry_half_turn: Annotated[SymmetryHalfTurns, OBJECT] = (),
          minutes: Annotated[float, option('MIN', option_types.minutes), TRAINING] = 60.0,
          seed: Annotated[Seed, TRAINING] = 0,
          backgrounds: Annotated[Path | None, option('DIR'), TRAINING] = None,
          like: Annotated[tuple[Path, ...], options('BAG...', Path), TRAINING] = (),
          like_empty: Annotated[bool, TRAINING] = False,
          like_truth: Annotated[File | None, TRAINING] = None,
          only: Annotated[Literal['detector', 'network'] | None, TRAINING] = None,
          start: Annotated[str, option('DIR'), TRAINING] = 'box',
          resume: Annotated[bool, TRAINING] = False) -> int:
    """Train a pose model for a mesh on synthetic images.

    :param mesh: .obj, .ply, .glb, ...: any mesh trimesh reads
    :param out: model folder to write; default: models/NAME, after the mesh file
    :param minutes: time for fitting; rendering and measuring come on top
    :param seed: of views, samples and first weights
    :param backgrounds: folder of photographs; default: those that scikit-image ships
    :param like: recordings, or folders of images, of the camera to train for: training images get their noise,
        blur, compression, level and colour cast, and their frames as backgrounds, with the object painted over
        where their ground truth has it or a model of it in --start surely finds it. Other frames may show the
        object, which the networks would learn to overlook: they give the camera's figures alone
    :param like_empty: the object is in none of the frames without ground truth: all of those are backgrounds too
    :param like_truth: CSV file with ground truth of a single recording, as posegrasp truth writes it
    :param only: train this one anew in a folder that has both
    :param start: model folder whose networks are the first weights, or none
    :param resume: go on where an interrupted training with the same options stood
    """
    from posegrasp_ros.geometry.mesh import load_mesh

    load_mesh(mesh)  # a mistyped path is reported before a missing package
    from posegrasp_ros.training import training_run

    card = training_run.train(mesh, out or Path('models') / mesh.stem, training_run.TrainingOptions(
        minutes=minutes, seed=seed, symmetry_axis=symmetry_axis, half_turns=tuple(symmetry_half_turn), start=start,
        backgrounds=backgrounds, like=like, like_empty=like_empty, like_truth=like_truth, only=only,
        resume=resume))
    show(f'model card: {card}')
    return DONE


def calibrate(model: Path, /, *, seed: Seed = 0) -> int:
    """Fit a model's score and covariance on simulated scenes, and measure it on others.

    :param model: model folder; its card is written anew
    :param seed: same seed, same scenes
    """
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.training.measure import measure

    load_model_card(model)
    show(f'model card: {measure(model, seed)}')
    return DONE
