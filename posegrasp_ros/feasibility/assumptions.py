# SPDX-License-Identifier: Apache-2.0
"""Assumptions of a study as text, for its report."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.metrics import formatting
from posegrasp_ros.simulation.scene import ELEVATIONS_DEG


def camera_to_dict(cell: Cell) -> dict:
    """The camera and its distances, plain values."""
    camera = cell.camera
    return {'size': [camera.width, camera.height], 'fx_px': camera.fx,
            'hfov_deg': float(np.degrees(2 * np.arctan(camera.width / 2 / camera.fx))),
            'distances_m': list(cell.distances_m), 'depth': cell.imaging.depth}


def assumptions_of(cell: Cell) -> list[str]:
    """The assumptions, as one string each."""
    calibration, imaging = cell.calibration, cell.imaging
    factors = np.unique(np.round(np.broadcast_to(cell.efficiency, 6), 2))
    above = f'{factors[0]:g}' if len(factors) == 1 else f'{factors[0]:g} to {factors[-1]:g}'
    return [
        f'The camera is {cell.distance_text} from the object, {ELEVATIONS_DEG[0]:g}° to '
        f'{ELEVATIONS_DEG[1]:g}° above it; the object lies on a table on any stable face, completely in the image '
        'and not occluded.',
        f'Pixel noise is {imaging.noise.read:g} of 255 grey levels (standard deviation), lens blur is '
        f'{imaging.blur_px:g} pixels; images are undistorted.',
        f"A good estimator's errors are {above} times those of the Cramér-Rao bound.",
        f'The focal length is calibrated to {formatting.quantity(calibration.focal_share, "1")}, the camera '
        f'position to {formatting.quantity(calibration.mount_m, "m")} and its orientation to '
        f'{formatting.quantity(calibration.mount_rad, "rad")} about each axis. The residual '
        'errors are the same in every image of one cell: some cells are better than these figures, others worse.',
        f'Picks are simulated: {cell.named.physics.text()}; lifted means lifted, shaken along three axes and '
        'held.',
    ]
