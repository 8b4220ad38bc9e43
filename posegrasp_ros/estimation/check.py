# SPDX-License-Identifier: Apache-2.0
"""``posegrasp check``: how a model folder was interpreted, after one inference."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.held_out import reached
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError, load_model_card
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.network_card import NetworkCard
from posegrasp_ros.estimation.network_trial import TIME_LIMIT_S, try_network
from posegrasp_ros.estimation.overlay import draw_overlay
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import quaternion_from_matrix
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_check import told
from posegrasp_ros.grasping.grasp_set import GraspSet, load_grasps
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.text_layout import wrapped
from posegrasp_ros.sensing.compressed_images import decode_compressed, read_file
from posegrasp_ros.sensing.images import ImageError

NOISE_SIZE = (640, 480)


@dataclass(frozen=True)
class CheckedModel:
    """A model folder that was run once.

    :param report: what was understood, ready for JSON
    :param overlay: (H, W, 3) the image with the poses drawn in
    :param grasps: those that hold the object; None without a file of them
    """

    report: dict
    overlay: np.ndarray
    card: ModelCard
    grasps: GraspSet | None


def check_model(folder: Path, gripper: EndEffector, image: np.ndarray | None = None, camera: Camera | None = None,
                threads: int | None = None, time_limit_s: float = TIME_LIMIT_S) -> CheckedModel:
    """Validate a model folder and run it once.

    :param gripper: of the folder's grasps
    :param image: (H, W, 3) uint8 blue green red; None for grey noise
    :param camera: intrinsics of the image; needed with one
    :param time_limit_s: for the first run of each network
    :raises InvalidInputError: on anything wrong with the folder, such as grasps of which none holds, or intrinsics
        that are not the image's
    """
    card = load_model_card(folder)
    grasps = load_grasps(card.grasps_path, gripper, card.mesh) if card.has_grasps else None
    for network in filter(None, (card.detector, card.network)):
        try_network(network, time_limit_s)
    estimator = PoseEstimator(card, threads)
    source = 'the image'
    if image is None:
        source, image = 'grey noise', _noise()
        camera = Camera.from_field_of_view(*NOISE_SIZE, np.radians(60))
    if camera is None:
        raise InvalidInputError('camera: expected the intrinsics of the image, got none')
    estimation = estimator.estimate(image, camera)
    networks = {section: _network(network, estimator.decoder.channels(section))
                for section, network in estimator.decoder.networks.items()}
    if estimator.decoder.keypoints_m is not None:
        networks['network']['keypoints_m'] = estimator.decoder.keypoints_m.round(5).tolist()
    answer = {'image': source, 'size': list(image.shape[1::-1]), 'focal_px': round(camera.fx, 2),
              'ms': round(estimation.numbers['estimate_ms'], 1), 'reason': estimation.reason,
              'poses': [_pose(pose) for pose in estimation.poses]}
    report = {'folder': str(folder), 'name': card.name, 'object': _object(card), 'networks': networks,
              'score': dict(card.score) or None, 'calibrated_on': card.calibration.sentence,
            'covariance_scale': None if card.covariance_scale == (1.0, 1.0) else list(card.covariance_scale),
            'grasps': None if grasps is None else len(grasps),
            'grasps_left_out': {} if grasps is None else dict(grasps.left_out),
            'provenance': card.provenance, 'measured': card.measured,
              'reached': reached(card), 'inference': answer}
    overlay = draw_overlay(image, camera, card.mesh, estimation.poses, estimation.reason)
    return CheckedModel(report, overlay, card, grasps)


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 blue green red.

    :raises InvalidInputError: when the file is missing or no image
    """
    if not path.is_file():
        raise InvalidInputError(f'{path}: no such image')
    try:
        return decode_compressed(read_file(path))
    except ImageError as error:
        raise InvalidInputError(f'{path}: {error}') from error


def write_image(path: Path, image: np.ndarray) -> None:
    """Write a PNG or JPEG file.

    :raises InvalidInputError: on a name or a folder that cannot be
    """
    if path.suffix.lower() not in ('.png', '.jpg', '.jpeg') or not path.parent.is_dir():
        raise InvalidInputError(f'{path}: expected the name of a .png or .jpg file in a folder that exists')
    if not cv2.imwrite(str(path), image):
        raise InvalidInputError(f'{path}: cannot be written')


def _noise() -> np.ndarray:
    """Grey noise: no network should see an object in it."""
    width, height = NOISE_SIZE
    grey = np.random.default_rng(0).normal(128, 20, (height, width, 1)).clip(0, 255).astype(np.uint8)
    return np.repeat(grey, 3, axis=2)


def _object(card: ModelCard) -> dict:
    symmetry = card.symmetry
    return {'mesh': card.mesh_path.name, 'size_m': [round(float(side), 5) for side in card.mesh.extents],
            'diameter_m': card.diameter_m, 'textured': card.mesh.texture.shape[:2] != (1, 1),
            'symmetries_discrete': len(symmetry.discrete) - 1,
            'symmetry_axis': None if symmetry.axis is None else [round(float(v), 4) for v in symmetry.axis]}


def _network(network: Network, channels: str) -> dict:
    """Input, outputs and decoder of one network, and how long it takes."""
    source = network.card
    tensor = network.tensor(np.full((*source.size[::-1], 3), 128, np.uint8))
    start = time.perf_counter()
    outputs = network.run_all(tensor)
    elapsed_ms = (time.perf_counter() - start) * 1e3
    for name, output in outputs.items():
        if np.isnan(output).any():
            raise ModelCardError(f'{source.path}: output {name}: expected numbers, got NaN for a grey image')
    return {
        'file': source.path.name, 'megabytes': round(source.path.stat().st_size / 1e6, 2),
        'sha256': source.sha256, 'sha256_on_card': source.is_pinned,
        'input': {'name': source.input_name, 'size': list(source.size), 'colour': source.colour,
                  'mean': source.mean.tolist(), 'std': source.std.tolist()},
        'outputs': {name: list(output.shape) for name, output in outputs.items()},
        'family': source.family, 'parameters': _plain(source), 'channels': channels,
        'ms': round(elapsed_ms, 1)}


def _plain(source: NetworkCard) -> dict:
    """The decoder's parameters; a list of points is shown by itself."""
    plain = {name: value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
             for name, value in source.parameters.model_dump(by_alias=True, exclude={'family'}).items()}
    return {name: value for name, value in plain.items() if value is not None
            and not isinstance(value, np.ndarray)}


def _pose(estimate: PoseEstimate) -> dict:
    pose = estimate.camera_from_object
    return {'score': round(estimate.score, 4), 'position_m': pose[:3, 3].round(5).tolist(),
            'quaternion_xyzw': quaternion_from_matrix(pose[:3, :3]).round(5).tolist(),
            'sigma_m': np.sqrt(np.diag(estimate.covariance)[:3]).round(5).tolist()}


def describe(report: dict) -> str:
    """The report in plain words."""
    lines = [('model', f'{report["name"]}, a valid folder: {report["folder"]}'), *_object_lines(report['object'])]
    for name, network in report['networks'].items():
        lines += _network_lines(name, network)
    lines += _calibration_lines(report)
    lines += _inference_lines(report['inference'])
    return '\n'.join(line for title, text in lines for line in wrapped(text, f'{title:<12}', ' ' * 12))


def _object_lines(thing: dict) -> list[tuple[str, str]]:
    sides = ' x '.join(f'{1000 * side:.1f}' for side in thing['size_m'])
    symmetries = [f'{thing["symmetries_discrete"]} discrete'] if thing['symmetries_discrete'] else []
    symmetries += [f'any rotation about {thing["symmetry_axis"]}'] if thing['symmetry_axis'] else []
    return [('object', f'{thing["mesh"]}: {sides} mm along x, y, z, diameter {1000 * thing["diameter_m"]:.1f} mm, '
                       f'{"textured" if thing["textured"] else "without a texture"}'),
            ('symmetries', ', '.join(symmetries) or 'none: it looks different from every side')]


def _network_lines(name: str, network: dict) -> list[tuple[str, str]]:
    source = network['input']
    parameters = ', '.join(f'{key} {_short(value)}' for key, value in network['parameters'].items())
    lines = [
        (name, f'{network["file"]}, {network["megabytes"]:g} MB, {network["ms"]:.1f} ms a run'),
        ('  sha256', network['sha256'] + ('' if network['sha256_on_card'] else
                                          ' (not on the card, where it would reveal a changed file)')),
        ('  input', f'{source["name"]}: {source["size"][0]}x{source["size"][1]} pixels, {source["colour"]}, '
                    f'(value / 255 - {source["mean"]}) / {source["std"]}'),
        *(('  output', f'{key}: {shape}') for key, shape in network['outputs'].items()),
        ('  decoder', f'{network["family"]} ({parameters})'),
        ('  channels', network['channels'])]
    if 'keypoints_m' in network:
        points = (f'{index} ({", ".join(f"{1000 * value:.1f}" for value in point)})'
                  for index, point in enumerate(network['keypoints_m']))
        lines.append(('  keypoints', f'mm in the object frame: {", ".join(points)}'))
    return lines


def _calibration_lines(report: dict) -> list[tuple[str, str]]:
    scale = report['covariance_scale']
    return [
        ('score', 'calibrated: a probability' if report['score'] else
         'not calibrated: a figure between 0 and 1 that is not a probability'),
        ('covariance', f'calibrated: variance times {scale[0]:.3g} (position), {scale[1]:.3g} (rotation)' if scale
         else 'not calibrated: as given by the residuals'),
        ('calibration', f'on {report["calibrated_on"]}' if report['score'] else report['calibrated_on']),
        ('grasps', _grasps_that_hold(report)),
        *([('reached', report['reached'])] if report['reached'] else []),
        *_section_lines('provenance', report['provenance']), *_section_lines('measured', report['measured'])]


def _grasps_that_hold(report: dict) -> str:
    if report['grasps'] is None:
        return 'no grasps.yaml: poses can be estimated, grasps cannot be planned'
    left_out = report['grasps_left_out']
    count = report['grasps'] + sum(left_out.values())
    return f'{report["grasps"]} of {count} in grasps.yaml hold the object' + (
        f' when closed on its mesh; {told(left_out)}' if left_out else ' when closed on its mesh')


def _inference_lines(answer: dict) -> list[tuple[str, str]]:
    width, height = answer['size']
    said = f'{len(answer["poses"])} found' if answer['poses'] else f'none found ({answer["reason"]})'
    lines = [('inference', f'on {answer["image"]}, {width}x{height}, focal length '
                           f'{answer["focal_px"]:.0f} px: {said}, {answer["ms"]:.1f} ms')]
    for pose in answer['poses']:
        position = ', '.join(f'{1000 * value:.1f}' for value in pose['position_m'])
        lines.append(('  pose', f'score {pose["score"]:.2f}, at ({position}) mm from the camera'))
    return lines


def _section_lines(title: str, fields: dict) -> list[tuple[str, str]]:
    """A free section of the card: each of its own sections on a line."""
    plain = {key: value for key, value in fields.items() if not isinstance(value, dict)}
    lines = [(title, _flat(plain) or ('on the card:' if fields else 'nothing said'))]
    return lines + [(f'  {key}', _flat(value)) for key, value in fields.items() if isinstance(value, dict)]


def _flat(fields: dict) -> str:
    return ', '.join(f'{key} {_short(value)}' for key, value in fields.items())


def _short(value: object) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
