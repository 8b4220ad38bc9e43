# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from posegrasp_ros.geometry.transforms import (
    make_transform,
    random_rotation,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.metrics.pose.nearest_points import NearestPoints


@pytest.mark.parametrize('count', [1, 2, 7, 8, 9, 33, 700])
@pytest.mark.parametrize('kind', ['cloud', 'line', 'all in one place'])
def test_distances_are_those_of_looking_at_all_points(count, kind):
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 3)) * {'cloud': (1, 1, 1), 'line': (1, 0, 0), 'all in one place': 0}[kind]
    tree = NearestPoints(points)
    for angle, shift in ((0.0, 0.0), (0.01, 0.001), (1.0, 0.3), (3.0, 50.0)):
        moved = make_transform(rotation_from_vector(angle * random_rotation(rng)[0]), rng.normal(size=3) * shift)
        expected = cdist(transform_points(moved, points), points).min(axis=1).mean()
        assert tree.mean_distance(moved) == pytest.approx(expected, rel=1e-9, abs=1e-12)
