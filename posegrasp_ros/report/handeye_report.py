# SPDX-License-Identifier: Apache-2.0
"""Report of a hand-eye calibration: lines for the terminal, and report.html with the samples' pictures."""

from __future__ import annotations

import datetime
from base64 import b64encode
from pathlib import Path

import numpy as np

from posegrasp_ros.handeye.calibrate import HandEye
from posegrasp_ros.handeye.calibration_file import MountedCamera, save_mounted_camera
from posegrasp_ros.handeye.mount_exports import launch_file, urdf_joint
from posegrasp_ros.handeye.taken_samples import TakenSamples
from posegrasp_ros.report.frame_rows import Recording
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.table import aligned
from posegrasp_ros.runtime.atomic_file import write_whole


def write_calibration(out: Path, found: HandEye, camera: MountedCamera, seen: TakenSamples) -> str:
    """Write all files of a calibration into a folder; returns what to say of it."""
    out.mkdir(parents=True, exist_ok=True)
    save_mounted_camera(out / 'handeye.yaml', camera, {
        'date': f'{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}', 'topic': seen.topic,
        'left_out': [f'sample {place + 1}: {each.left_out}' for place, each in enumerate(found.samples)
                     if each.left_out]})
    write_whole(out / 'camera_mount.launch.py', launch_file(camera))
    write_whole(out / 'camera_mount.urdf', urdf_joint(camera))
    write_whole(out / 'report.html', render_handeye(found, camera, seen))
    return f'{told(found, camera)}\n{out}: handeye.yaml, camera_mount.launch.py, camera_mount.urdf, report.html'


def told(found: HandEye, camera: MountedCamera) -> str:
    """The calibration in a few lines."""
    lines = aligned([['hand-eye calibration', f'{camera.mounting}, {camera.target}'], *_figures(found, camera)],
                    left=(0, 1))
    lines += [f'left out: sample {place + 1}: {each.left_out}' for place, each in enumerate(found.samples)
              if each.left_out]
    return '\n'.join(lines)


def _figures(found: HandEye, camera: MountedCamera) -> list[list[str]]:
    """What was found, by name."""
    pose, (position, rotation) = camera.parent_from_camera, camera.sigmas
    place = ', '.join(f'{value:.4f}' for value in pose.position_m)
    turn = ', '.join(f'{value:.5f}' for value in pose.quaternion_xyzw)
    return [
        [f'{camera.camera_frame} in {camera.parent_frame}', f'[{place}] m, quaternion x y z w [{turn}]'],
        ['standard deviation', f'{1000 * position:.2f} mm, {np.degrees(rotation):.3f} degrees'],
        ['held-out error', f'{1000 * found.held_out_m:.2f} mm, {np.degrees(found.held_out_rad):.3f} degrees '
                           '(median)' if np.isfinite(found.held_out_m) else 'too few samples'],
        ['samples', f'{found.used} of {len(found.samples)}, scatter {camera.scatter:.2f} times what they state'],
        ['turns', f'up to {np.degrees(found.largest_turn_rad):.0f} degrees, '
                  f'{np.degrees(found.across_rad):.0f} across the main axis'],
    ]


def render_handeye(found: HandEye, camera: MountedCamera, seen: TakenSamples) -> str:
    """The calibration as one self-contained page."""
    recording = Recording(seen.recording, seen.first_ns or 0)
    rows = [{'number': place + 1, 'place': recording.place(each.stamp_ns), 'position_mm': 1000 * each.position_m,
             'rotation_deg': float(np.degrees(each.rotation_rad)), 'left_out': each.left_out,
             'picture': _data_uri(picture)}
            for place, (each, picture) in enumerate(zip(found.samples, seen.pictures))]
    position, rotation = camera.sigmas
    return render_page('handeye.html.j2', camera=camera, rows=rows, used=found.used,
                       left_out=seen.left_out.lines(), figures=_figures(found, camera),
                       sigma_mm=1000 * position, sigma_deg=float(np.degrees(rotation)),
                       held_out_mm=1000 * found.held_out_m, held_out_deg=float(np.degrees(found.held_out_rad)))


def _data_uri(jpeg: bytes) -> str:
    return f'data:image/jpeg;base64,{b64encode(jpeg).decode()}'
