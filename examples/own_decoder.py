# SPDX-License-Identifier: Apache-2.0
"""A decoder family of your own: a network whose output is x, y, z of the object in the camera frame, metres.

An installed package adds it by the entry point ``posegrasp.decoders``: ``place = "my_package:Place"``."""

import cv2
import numpy as np
from pydantic import Field

from posegrasp_ros import Decoder, DecoderParameters
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.network import Network


class PlaceParameters(DecoderParameters):
    sigma_m: float = Field(0.01, ge=1e-4, le=0.1)


class Place(Decoder):
    family = 'place'
    parameters = PlaceParameters
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
        pose, card = np.eye(4), self.network.card
        pose[:3, 3] = self.network.run(self.network.tensor(cv2.resize(image, card.size))).ravel()
        covariance = card.parameters.sigma_m ** 2 * np.eye(6)
        return [Candidate(0.9, lambda: InitialPose(pose, covariance, {'confidence': 0.9}))]
