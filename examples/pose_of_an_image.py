# SPDX-License-Identifier: Apache-2.0
"""The pose of the shipped box in one image, and the best grasp of it.

    python examples/pose_of_an_image.py            # an image that the simulator renders
    python examples/pose_of_an_image.py photo.jpg --focal-px 615
"""

import argparse
import math

import cv2
import numpy as np

import posegrasp_ros as pg


def rendered(model: pg.Model) -> tuple[np.ndarray, pg.Camera]:
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    with World(model.card.mesh, None, sample_scene(np.random.default_rng(3), model.card.mesh)) as world:
        frame = world.frame()
    return frame.image, frame.camera


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('image', nargs='?')
parser.add_argument('--focal-px', type=float, default=600.0)
options = parser.parse_args()
model = pg.load_model('box')
if options.image:
    image = cv2.imread(options.image)
    width = image.shape[1]
    camera = pg.Camera.from_field_of_view(width, image.shape[0], 2 * math.atan(width / 2 / options.focal_px))
else:
    image, camera = rendered(model)
found = model.estimate(image, camera)
print(found.reason or f'{len(found.poses)} found; the best, score {found.poses[0].score:.2f}:')
for pose in found.poses[:1]:
    print(pose.camera_from_object.round(4))
