# SPDX-License-Identifier: Apache-2.0
"""Decoder: a family of networks, from its part of the model card to initial poses. One family per file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.geometry.camera import Camera

if TYPE_CHECKING:
    from posegrasp_ros.estimation.model_card import ModelCard
    from posegrasp_ros.estimation.network import Network


class Decoder(ABC):
    """A class is a family of networks; an instance holds the loaded networks of one model.

    :cvar family: what the card's ``network.decoder.family`` says
    :cvar parameters: the class that reads ``network.decoder``
    :cvar detectors: by family, the class that reads ``detector.decoder`` of a network that may stand in the card's
        ``detector`` section; empty where one network finds the object in the whole image
    :cvar input_defaults: how published networks of the family are fed, for what ``network.input`` leaves out
    :cvar needs_sha256: whether the card has to state the hash of the network's file
    :cvar figures: names in :attr:`InitialPose.figures`, of which the score may be made
    """

    family: ClassVar[str]
    parameters: ClassVar[type[DecoderParameters]] = DecoderParameters
    detectors: ClassVar[Mapping[str, type[DecoderParameters]]] = {}
    input_defaults: ClassVar[Mapping[str, Any]] = {}
    needs_sha256: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ('confidence', 'inlier_share', 'log_residual')

    def __init__(self, card: ModelCard, threads: int | None = None):
        """Load the card's networks.

        :param threads: processor threads of the networks; None takes every core
        :raises ModelCardError: when an output is not what the family reads
        """
        self.card = card

    @classmethod
    def check_card(cls, card: ModelCard) -> None:
        """Compare the parameters with the object's mesh.

        :raises ModelCardError: when they cannot be this mesh's, see :meth:`ModelCard.parameter_error`
        """
        return

    @property
    @abstractmethod
    def networks(self) -> dict[str, Network]:
        """The networks by their sections of the card, in the order in which they run."""

    @property
    def keypoints_m(self) -> np.ndarray | None:
        """(K, 3) the keypoints that the network finds, object frame, metres; None for other families."""
        return None

    @abstractmethod
    def channels(self, section: str) -> str:
        """What each channel of a network's first output means, for ``posegrasp check``."""

    @abstractmethod
    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        """Places where the object may be, the likeliest first.

        :param image: (H, W, 3) uint8 blue green red
        :param camera: intrinsics of exactly this image
        """


@runtime_checkable
class FindsNear(Protocol):
    """A decoder that can look at one place alone, which tracking needs."""

    def pose_near(self, camera_from_object: np.ndarray, image: np.ndarray, camera: Camera) -> InitialPose | None:
        """The pose of an object that was there a moment ago; None when nothing fits."""
