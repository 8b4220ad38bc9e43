# SPDX-License-Identifier: Apache-2.0
"""A pose that the image cannot show is none, whatever a network's score."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.estimation.plausible import is_plausible
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.runtime.resources import resource_path

MESH = load_mesh(resource_path('models/box/mesh.obj'))
CAMERA = Camera.from_field_of_view(640, 480, 1.0)


@pytest.mark.parametrize(('position', 'plausible'), [
    ((0, 0, 0.5), True), ((0, 0, 10.0), True), ((0, 0, 541.0), False), ((0, 0, -0.5), False), ((0, 0, 0.0), False),
    ((np.nan, 0, 0.5), False), ((0, 0, np.inf), False),
    ((0.28, 0, 0.5), True), ((0.6, 0, 0.5), False), ((0, -0.9, 0.5), False), ((0, 0, 0.07), True),
])
def test_an_object_is_in_the_image_and_large_enough_to_be_told(position, plausible):
    assert is_plausible(make_transform(None, position), MESH, CAMERA) is plausible
