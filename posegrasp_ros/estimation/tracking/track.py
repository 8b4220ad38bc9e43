# SPDX-License-Identifier: Apache-2.0
"""Track: the memory of one object, and when a pose continues it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.estimation.decoders.initial_pose import InitialPose
from posegrasp_ros.estimation.estimator import Found
from posegrasp_ros.estimation.tracking.motion_model import Motion
from posegrasp_ros.estimation.tracking.track_status import TrackStatus
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, move_covariance, rotation_angle
from posegrasp_ros.metrics.track_states import FOUND, LOST

REACH_M, REACH_RAD = 0.02, float(np.radians(10))
"""From how far the refinement finds the pose; a prediction of larger deviation is not followed."""
JUMP_RAD, JUMP_RADII = float(np.radians(30)), 0.5
"""Poses further apart are not of one motion: another orientation, or in the object's radii another place."""
MOST_DROP = 1.0
"""How far the log-odds of the score may fall below those of the last pose that the networks saw."""
MOST_UNEXPLAINED, SLACK = 1.5, 0.005
"""What of the image the pose leaves unexplained, 1 less its agreement, may grow by the factor and the slack."""


LINE_OF_SIGHT = 0.01
"""Deviation along the line of sight that is added to predictions, as a share of the distance. Errors of mesh,
print and lens shift a pose there in all images alike: earlier images must not make it look surer than it is."""
SPIN_RAD = float(np.radians(1))
"""Deviation of a prediction about an axis of symmetry, where any angle is right: none is looked for."""


@dataclass
class Track:
    """One object.

    :param motion: at this image, measured or predicted
    :param predicted: at this image, without its measurement
    :param found: when it was last seen
    :param confirmed: the last that the networks saw, with the decoder's figures of that image
    :param number: see :class:`TrackStatus`
    :param confirmed_ns: when the networks last saw it
    :param checked_ns: when they last looked
    :param contests: for how many images in a row the networks have said otherwise, with better evidence
    """

    mesh: Mesh
    symmetry: Symmetry
    motion: Motion
    predicted: Motion
    found: Found
    confirmed: Found
    number: int
    seen_ns: int
    confirmed_ns: int
    checked_ns: int
    state: str = FOUND
    contests: int = 0

    @classmethod
    def begun(cls, mesh: Mesh, symmetry: Symmetry, found: Found, number: int, stamp_ns: int) -> Track:
        """Of an object that was just found."""
        motion = Motion.begun(*_about_centre(mesh, found), stamp_ns)
        return cls(mesh, symmetry, motion, motion, found, found, number, stamp_ns, stamp_ns, stamp_ns)

    @property
    def camera_from_object(self) -> np.ndarray:
        """(4, 4) measured or predicted."""
        return self.motion.pose @ make_transform(translation=-self.mesh.centre)

    @property
    def initial_pose(self) -> InitialPose:
        """The prediction, for the refinement to begin from."""
        pose, covariance, towards = self.camera_from_object, self._covariance, self.motion.pose[:3, 3]
        # A share of the distance along the line of sight.
        covariance[:3, :3] += LINE_OF_SIGHT ** 2 * np.outer(towards, towards)
        spin = self.symmetry.spin_direction(pose)
        if spin is not None:
            covariance = covariance + SPIN_RAD ** 2 * np.outer(spin, spin)
        return InitialPose(pose, covariance, self.confirmed.figures)

    @property
    def _covariance(self) -> np.ndarray:
        """(6, 6) of the object's pose, without what cannot be seen: its turn about an axis of symmetry."""
        pose = self.camera_from_object
        covariance = move_covariance(self.motion.pose_covariance, -pose[:3, :3] @ self.mesh.centre)
        return self.symmetry.without_spin(covariance, pose)

    def with_orientation(self, found: Found) -> InitialPose:
        """The place where a pose was found with the predicted orientation; so sure that it is in reach."""
        centre = _about_centre(self.mesh, found)[0][:3, 3]
        turned = make_transform(self.motion.pose[:3, :3], centre) @ make_transform(translation=-self.mesh.centre)
        covariance = np.diag(np.repeat([(REACH_M / 2) ** 2, (REACH_RAD / 2) ** 2], 3))
        return InitialPose(turned, covariance, found.figures)

    @property
    def is_seen(self) -> bool:
        """Whether it was seen in this image."""
        return self.seen_ns == self.predicted.stamp_ns

    @property
    def can_be_followed(self) -> bool:
        """Whether it was seen in the last image and its prediction lies within the refinement's reach."""
        status = self.status(self.motion.stamp_ns)
        return self.state != LOST and status.sigma_m <= REACH_M and status.sigma_rad <= REACH_RAD

    def predict(self, stamp_ns: int) -> None:
        """Go on to the next image."""
        self.motion = self.predicted = self.motion.at(stamp_ns)

    def continues(self, found: Found) -> bool:
        """Whether a followed pose is as good as the last that the networks saw, and where it may have moved to.

        The decoder's figures in both scores are the same. The agreement is compared besides, because the score is
        fitted to the errors of networks, where it may count for little.
        """
        unexplained = MOST_UNEXPLAINED * (1 - self.confirmed.agreement) + SLACK
        return (log_odds(found.estimate.score) >= log_odds(self.confirmed.estimate.score) - MOST_DROP
                and 1 - found.agreement <= unexplained
                and self.predicted.explains(*_about_centre(self.mesh, found)))

    def unturned(self, found: Found) -> Found:
        """Of the poses equivalent by symmetry the one nearest to this object's."""
        before = found.estimate.camera_from_object
        pose = self.symmetry.nearest(before, self.camera_from_object)
        covariance = move_covariance(found.estimate.covariance, pose[:3, 3] - before[:3, 3])
        return found._replace(estimate=replace(found.estimate, camera_from_object=pose, covariance=covariance))

    def distance_m(self, found: Found) -> float:
        """From its centre to that of a pose."""
        return float(np.linalg.norm(_about_centre(self.mesh, found)[0][:3, 3] - self.motion.pose[:3, 3]))

    def is_turned(self, found: Found) -> bool:
        """Whether a pose has another orientation than was predicted."""
        turn = found.estimate.camera_from_object[:3, :3] @ self.motion.pose[:3, :3].T
        return bool(rotation_angle(turn) > JUMP_RAD)

    def see(self, found: Found, state: str) -> None:
        """Take the pose in this image; a second one takes the place of the first.

        Where it is not where the object was moving to, its velocity is unknown again.
        """
        stamp_ns = self.predicted.stamp_ns
        pose, covariance = _about_centre(self.mesh, found)
        self.motion = (self.predicted.corrected(pose, covariance) if self.predicted.explains(pose, covariance)
                       else Motion.begun(pose, covariance, stamp_ns))
        self.found, self.state, self.seen_ns = found, state, stamp_ns

    def confirm(self, found: Found) -> None:
        """The networks see it in this image."""
        self.confirmed, self.confirmed_ns, self.contests = found, self.motion.stamp_ns, 0

    def lose(self) -> None:
        """It is not seen in this image."""
        self.state, self.contests = LOST, 0

    def status(self, stamp_ns: int) -> TrackStatus:
        """What is known of it at an image."""
        lever = self.motion.pose[:3, :3] @ self.mesh.centre
        variance = np.diag(move_covariance(self._covariance, lever))
        return TrackStatus(self.state, self.number, (stamp_ns - self.seen_ns) / 1e9,
                           float(np.sqrt(variance[:3].mean())), float(np.sqrt(variance[3:].mean())))


def is_jump(mesh: Mesh, first: Found, second: Found) -> bool:
    """Whether two poses in an image are not of one and the same minimum of the refinement."""
    (one, _), (other, _) = _about_centre(mesh, first), _about_centre(mesh, second)
    return bool(rotation_angle(one[:3, :3] @ other[:3, :3].T) > JUMP_RAD
                or np.linalg.norm(one[:3, 3] - other[:3, 3]) > JUMP_RADII * mesh.radius)


def log_odds(score: float) -> float:
    """Of a probability; finite also for 0 and 1."""
    likely = float(np.clip(score, 1e-9, 1 - 1e-9))
    return float(np.log(likely / (1 - likely)))


def _about_centre(mesh: Mesh, found: Found) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) camera_from_centre and its (6, 6) covariance."""
    pose = found.estimate.camera_from_object
    return (pose @ make_transform(translation=mesh.centre),
            move_covariance(found.estimate.covariance, pose[:3, :3] @ mesh.centre))
