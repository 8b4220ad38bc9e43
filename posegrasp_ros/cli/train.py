# SPDX-License-Identifier: Apache-2.0
"""``posegrasp train`` and ``posegrasp calibrate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.evaluate import (
    RECORDINGS,
    TRUTH_SOURCE,
    Recordings,
    Robot,
    Truth,
    source_options,
    truth_sigmas,
)
from posegrasp_ros.cli.options import (
    File,
    Folder,
    Frame,
    Model,
    Seed,
    SymmetryAxis,
    SymmetryHalfTurns,
    Threads,
    option,
    option_group,
    options,
)
from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import model_folder, share_folder

TRAIN_EXAMPLES = """Examples:
  posegrasp train my_mesh.obj --out models/my_object --minutes 60
  posegrasp train my_mesh.obj --out models/my_object --like my_bag --like-empty

The mesh is in metres; the network learns from its texture."""
CALIBRATE_EXAMPLES = """Examples:
  posegrasp calibrate models/mine                          simulated scenes, for a model made elsewhere
  posegrasp calibrate box --bag monday tuesday --out models/my_box
  posegrasp calibrate models/my_box --forget

Training already does the first."""
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
    :param minutes: time for fitting; rendering and measuring come on top, measuring with fewer scenes where it is
        short
    :param seed: seed of views, samples and initial weights
    :param backgrounds: folder of photographs; default: those that scikit-image ships
    :param like: recordings, or folders of images, from the camera to train for: training images get their noise,
        blur, compression, level and colour cast, and their frames as backgrounds, with the object painted over
        where their ground truth has it or a model of it in --start reliably finds it. Other frames may show the
        object, which the networks would learn to overlook: only the camera's figures are taken from them
    :param like_empty: the object is in none of the frames without ground truth: all of those are backgrounds too
    :param like_truth: CSV file with ground truth of a single recording, as written by posegrasp truth
    :param only: retrain only this one in a folder that has both
    :param start: model folder whose networks are the initial weights, or none
    :param resume: continue an interrupted training with the same options
    """
    from posegrasp_ros.geometry.mesh import load_mesh

    load_mesh(mesh)  # a mistyped path is reported before a missing package
    from posegrasp_ros.training import training_run

    card = training_run.train(mesh, out or Path('models') / mesh.stem, training_run.TrainingOptions(
        minutes=minutes, seed=seed, symmetry_axis=symmetry_axis, half_turns=tuple(symmetry_half_turn), start=start,
        backgrounds=backgrounds, like=like, like_empty=like_empty, like_truth=like_truth, only=only,
        resume=resume))
    _show_reached(card)
    return DONE


@option_group(Group.create_ordered('On your camera'))
@dataclass(frozen=True)
class OnCamera:
    """On frames of a camera instead of simulated scenes.

    :param bag: recordings of the object, as for `posegrasp evaluate`; with ground truth, or with the camera's pose
        in /tf and a stationary object
    :param out: copy the model to this folder, and calibrate the copy
    :param forget: drop the calibration on the camera, so that the simulated one is used again
    :param block: frames within this many seconds, and later ones of the same view, are one scene
    :param base_frame: the frame in which the object is stationary; /tf gives the camera's pose in it
    """

    bag: Annotated[tuple[Path, ...], options('BAG...', Path)] = ()
    out: Folder | None = None
    forget: bool = False
    block: Annotated[float, option('S', option_types.block)] = 1.0
    base_frame: Frame = BASE_FRAME
    threads: Threads = None


ON_CAMERA = OnCamera()


def calibrate(model: Model, /, *, seed: Seed = 0, on_camera: OnCamera = ON_CAMERA,
              recordings: Recordings = RECORDINGS, truth: Truth = TRUTH_SOURCE) -> int:
    """Fit a model's score and covariance on simulated scenes and measure it on others, or fit them on your camera.

    The card keeps both calibrations; the one on your camera is used whenever there is one.

    :param seed: same seed, same simulated scenes
    """
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.training import calibrate_on_bag

    folder = model_folder(model)
    if (on_camera.bag and on_camera.forget) or (on_camera.out and not on_camera.bag):
        raise InvalidInputError('--forget: expected without --bag and --out; --out: expected with --bag')
    if on_camera.forget:
        show(f'model card: {calibrate_on_bag.forget(folder)}')
        return DONE
    if on_camera.bag:
        return _on_camera(folder, on_camera, recordings, truth)
    card = load_model_card(folder)
    from posegrasp_ros.training.measure import measure

    _show_reached(measure(folder, seed))
    if card.calibration.user_camera:
        remark('posegrasp: the calibration on your camera is still the one in use: calibrate with --bag again, or '
               'drop it with --forget')
    return DONE


def _on_camera(folder: Path, on_camera: OnCamera, recordings: Recordings, truth: Truth) -> int:
    from posegrasp_ros.training.calibrate_on_bag import BagCalibration, calibrate_on_bag, read_section, told

    if not on_camera.out and folder.resolve().parent == share_folder() / 'models':
        raise InvalidInputError(f'{folder}: part of the package: expected --out FOLDER for a copy to calibrate')
    source = source_options(recordings, truth, Robot(base_frame=on_camera.base_frame))
    card = calibrate_on_bag(folder, on_camera.bag, BagCalibration(
        source, on_camera.block, truth_sigmas(truth), on_camera.out, on_camera.threads))
    show(told(read_section(card)))
    show(f'model card: {card}')
    return DONE


def _show_reached(path: Path) -> None:
    """The path of a card, what its model reached, and what to do next."""
    from posegrasp_ros.estimation.held_out import next_command, reached
    from posegrasp_ros.estimation.model_card import load_model_card

    card = load_model_card(path.parent)
    show(f'model card: {path}\nreached: {reached(card)}\nnext: {next_command(card, path.parent)}')
