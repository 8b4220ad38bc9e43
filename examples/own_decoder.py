"""A decoder family of your own: a network whose output is x, y, z of the object in the camera frame, metres.

Put it into an installed package with the entry point ``posegrasp.decoders``: ``place = "my_package:Place"``, and a
model card may say ``decoder: {family: place, sigma_m: 0.01}``; `posegrasp check`, `evaluate` and the node know it.
"""

import cv2
import numpy as np

from posegrasp_ros import Decoder
from posegrasp_ros.estimation.decoders.card_parameters import Number
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.network import Network


class Place(Decoder):
    family = 'place'
    parameters = {'sigma_m': Number(1e-4, 0.1, default=0.01)}
    figures = ('confidence',)
    input_defaults = {'colour': 'rgb', 'mean': [0.5] * 3, 'std': [0.5] * 3}
    needs_sha256 = False

    def __init__(self, card, threads=None):
        super().__init__(card, threads)
        self.network = Network(card.network, None, threads)

    @property
    def networks(self):
        return {'network': self.network}

    def channels(self, section):
        return 'x, y, z of the object in the camera frame, metres'

    def find(self, image, camera):
        tensor = self.network.tensor(cv2.resize(image, self.network.card.size))
        pose = np.eye(4)
        pose[:3, 3] = self.network.run(tensor).ravel()
        covariance = self.card.network.parameters['sigma_m'] ** 2 * np.eye(6)
        return [Candidate(0.9, lambda: InitialPose(pose, covariance, {'confidence': 0.9}))]
