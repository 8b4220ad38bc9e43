# SPDX-License-Identifier: Apache-2.0
"""Judges an estimator of your own on a recording, beside the shipped ones on the same frames.

    python examples/own_estimator.py some.mcap --out runs/example
"""

import argparse

import numpy as np

import posegrasp_ros as pg


class HalfAMetreAhead:
    """Answers every image with an object half a metre in front of the camera."""

    def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None) -> pg.Estimation:
        pose = np.eye(4)
        pose[2, 3] = 0.5
        estimate = pg.PoseEstimate(pose, score=0.5, covariance=np.diag([0.1**2] * 3 + [1.0] * 3))
        return pg.Estimation([estimate], numbers={'estimate_ms': 0.0})


pg.register_estimator('half_a_metre', lambda card, threads, min_score: HalfAMetreAhead())

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('bag')
parser.add_argument('--model', default='box')
parser.add_argument('--out', default='runs/example')
options = parser.parse_args()
chosen = pg.EvaluateOptions(estimator='half_a_metre', compare_with=['mean_pose', 'oracle'])
summary = pg.evaluate_bags([options.bag], pg.load_model(options.model).card, chosen, out=options.out)
for name, part in summary['estimators'].items():
    print(f'{name}: {part["headline"]["name"]} {part["headline"]["value"]}')
