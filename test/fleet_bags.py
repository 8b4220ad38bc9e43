# SPDX-License-Identifier: Apache-2.0
"""A small fleet's recordings: two nodes state poses of one object or of two."""

from __future__ import annotations

import numpy as np
from hand_made_bags import SECOND, TRUTH
from test_pose_sources import SourceBag

from posegrasp_ros.fleet.bag_method import JudgeMethod
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.pose_sources.asked_sources import AskedSources

OTHER = make_transform(None, (0.2, 0, 0.8))
METHOD = JudgeMethod(AskedSources(('/pose', '/other')), models=('box',))
SEVERAL = JudgeMethod(AskedSources(('/pose', '/other')), models=('box', 'can'))


def near(pose: np.ndarray, rng: np.random.Generator, sigma_m: float) -> np.ndarray:
    return pose @ make_transform(rotation_from_vector(rng.normal(0, 0.04, 3)), rng.normal(0, sigma_m, 3))


def record(path, seed=0, count=15, start_s=1000, several=False):
    """A recording; of two objects each node confuses some, and the truth's covariance is known in some."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with SourceBag(path) as bag:
        for number in range(1, count + 1):
            stamp = start_s * SECOND + number * SECOND // 3
            bag.image(stamp)
            bag.info(stamp)
            truths = {'/box/ground_truth': TRUTH, '/can/ground_truth': OTHER} if several else {
                '/ground_truth': TRUTH}
            for topic, pose in truths.items():
                bag.truth(stamp, pose, topic=topic, covariance=np.diag(rng.random(6) * 1e-6))
            for topic, sigma_m in (('/pose', 0.005), ('/other', 0.008)):
                if rng.random() < 0.2:
                    continue
                if several:
                    names = ('can', 'box') if rng.random() < 0.2 else ('box', 'can')
                    bag.says('Detection3DArray', stamp, near(TRUTH, rng, sigma_m), topic=topic, others=(
                        (near(OTHER, rng, sigma_m), names[1], float(rng.random())),))
                else:
                    bag.says('PoseWithCovarianceStamped', stamp, near(TRUTH, rng, sigma_m), topic=topic)
    return path / f'{path.name}.mcap'


def record_fleet(folder, count=5, **options):
    """Recordings of two robots on several days, all of the same times."""
    return sorted(record(folder / f'robot=r{number % 2}' / f'day=2026-01-0{number % 3 + 1}' / f'bag{number}',
                         seed=number, count=12 + number, **options) for number in range(count))
