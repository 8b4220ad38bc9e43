# SPDX-License-Identifier: Apache-2.0
"""SeveralObjects: one image through the models of several objects; each instance goes to one of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.estimation.perception_stage import Perceived, PerceptionStage
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.tracking.track_status import NOTHING_KNOWN
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

SAME_INSTANCE = 0.5
"""Poses of two models whose centres are nearer than this, in radii of the smaller object, are of one instance."""


class ObjectStage(NamedTuple):
    """The stage of one object.

    :param mesh: of the object, for its centre and radius
    """

    stage: PerceptionStage
    mesh: Mesh


class _Claim(NamedTuple):
    """A pose that one model found.

    :param centre: (3,) of the object, camera frame, metres
    """

    name: str
    pose: PoseEstimate
    centre: np.ndarray
    radius_m: float


class SeveralObjects:
    """Finds the objects of several models in one image, which is decoded and joined once.

    An instance that two models claim goes to the one with the better score; the other has not found it.

    :param objects: by name, in the order in which they are asked
    """

    def __init__(self, objects: Mapping[str, ObjectStage]):
        self.objects = dict(objects)

    def perceive(self, undecoded: Undecoded) -> dict[str, Perceived]:
        """What each model finds, by the object's name; see :meth:`PerceptionStage.perceive`."""
        return self.perceive_decoded(undecoded.decode())

    def perceive_decoded(self, frame: BagFrame, stamp_ns: int | None = None) -> dict[str, Perceived]:
        """The same for a decoded frame; with several objects its ``named_truths`` are their ground truths.

        Which pose is whose is known when all models have answered: of several objects each has the time of all.

        :param stamp_ns: for estimators that remember; None: the frame's own
        """
        if len(self.objects) < 2:
            return {name: each.stage.perceive_decoded(frame, stamp_ns) for name, each in self.objects.items()}
        start = time.perf_counter()
        found = {name: each.stage.perceive_decoded(frame.with_truths(frame.named_truths.get(name, ())), stamp_ns)
                 for name, each in self.objects.items()}
        return self.resolve(found, frame.decode_ms + (time.perf_counter() - start) * 1e3)

    def resolve(self, found: Mapping[str, Perceived], latency_ms: float) -> dict[str, Perceived]:
        """Give every instance to one object.

        :param latency_ms: from the image to the answers of all models
        """
        kept = one_claim_each([_Claim(name, pose, *self._place(name, pose)) for name, perceived in found.items()
                               for pose in perceived.estimation.poses])
        return {name: self._with(name, perceived, [claim.pose for claim in kept if claim.name == name], latency_ms)
                for name, perceived in found.items()}

    def _place(self, name: str, pose: PoseEstimate) -> tuple[np.ndarray, float]:
        mesh = self.objects[name].mesh
        return transform_points(pose.camera_from_object, mesh.centre[None])[0], mesh.radius

    def _with(self, name: str, perceived: Perceived, kept: Sequence[PoseEstimate],
              latency_ms: float) -> Perceived:
        """The answer with those of its poses that are the object's, in their order."""
        before = perceived.estimation
        poses = [pose for pose in before.poses if any(pose is each for each in kept)]
        lost = len(before.poses) - len(poses)
        reason = before.reason if not before.poses else '' if poses else 'other_object'
        tracks = [track for track, pose in zip(before.tracks, before.poses) if any(pose is each for each in poses)]
        tracks += before.tracks[len(before.poses):]
        estimation = replace(before, poses=poses, reason=reason,
                             tracks=tracks or [NOTHING_KNOWN] if before.tracks else [],
                             numbers={**before.numbers, 'other_object': float(lost)})
        return self.objects[name].stage.answer(perceived.frame, estimation, latency_ms, perceived.error)


def one_claim_each(claims: Sequence[_Claim]) -> list[_Claim]:
    """Of claims on the same instance by different objects, the one with the best score; the first of equals."""
    kept: list[_Claim] = []
    for claim in sorted(claims, key=lambda each: -each.pose.score):
        if not any(claim.name != other.name and np.linalg.norm(claim.centre - other.centre)
                   < SAME_INSTANCE * min(claim.radius_m, other.radius_m) for other in kept):
            kept.append(claim)
    return kept
