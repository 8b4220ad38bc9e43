# SPDX-License-Identifier: Apache-2.0
"""Between messages and the core's numbers: every conversion, both ways, and nothing else."""

from __future__ import annotations

import array
import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    Transform,
    TransformStamped,
)
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header

from posegrasp_ros.datasets.visible_shares import STATUS_NAME, VISIBLE_SHARE
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.tracking.track_status import TrackStatus
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import quaternion_from_matrix, transform_from_pose
from posegrasp_ros.metrics import track_states
from posegrasp_ros.metrics.report_message import (
    OBJECT,
    PUBLISHER,
    SEQUENCE,
    TASK_PREFIX,
    ReportMessageError,
    read_report,
)
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring import liveness
from posegrasp_ros.monitoring.liveness import Health
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.sensing.packed_image import PackedImage

NANOSECONDS = 1_000_000_000
CAMERA_INFO = {'sensor_msgs/msg/CameraInfo': CameraInfo}
GroundTruthMessage: TypeAlias = 'PoseStamped | PoseWithCovarianceStamped'
GROUND_TRUTH = {'geometry_msgs/msg/PoseStamped': PoseStamped,
                'geometry_msgs/msg/PoseWithCovarianceStamped': PoseWithCovarianceStamped}
IMAGES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}
DEPTH = IMAGES
JOINT_STATES = {'sensor_msgs/msg/JointState': JointState}
GRIPPER_JOINT = 'opening'
LEVELS = {liveness.OK: DiagnosticStatus.OK, liveness.WARN: DiagnosticStatus.WARN,
          liveness.ERROR: DiagnosticStatus.ERROR, liveness.STALE: DiagnosticStatus.STALE}
VERDICT_LEVELS = {'better': DiagnosticStatus.OK, 'inconclusive': DiagnosticStatus.WARN,
                  'worse': DiagnosticStatus.ERROR}

TRACK_LEVELS = {track_states.FOUND: DiagnosticStatus.OK, track_states.TRACKED: DiagnosticStatus.OK,
                track_states.LOST: DiagnosticStatus.WARN, track_states.ABSENT: DiagnosticStatus.STALE}


class MessageError(InvalidInputError):
    """A message whose content contradicts its type's meaning."""


def stamp_ns(stamp: Time) -> int:
    """A stamp as nanoseconds: the key that joins the stages."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def to_stamp(nanoseconds: int) -> Time:
    """Nanoseconds as a stamp."""
    seconds, rest = divmod(int(nanoseconds), NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def to_header(nanoseconds: int, frame: str = '') -> Header:
    return Header(stamp=to_stamp(nanoseconds), frame_id=frame)


# Images and cameras.

def image_from(message: Image | CompressedImage) -> np.ndarray:
    """(H, W, 3) uint8 blue green red of either image message; one of 16 bits is scaled by itself.

    :raises posegrasp_ros.sensing.images.ImageError: when it cannot be decoded
    """
    return PackedImage.of(message).decode()


def to_image(header: Header, image: np.ndarray) -> Image:
    """A bgr8 Image of (H, W, 3) uint8."""
    height, width = image.shape[:2]
    # An array.array passes straight through; bytes would be checked value by value.
    return Image(header=header, height=height, width=width, encoding='bgr8', is_bigendian=0, step=3 * width,
                 data=array.array('B', np.ascontiguousarray(image).tobytes()))


def to_jpeg(header: Header, image: np.ndarray) -> CompressedImage:
    """(H, W, 3) uint8 blue green red as image_transport compresses it."""
    done, coded = cv2.imencode('.jpg', image)
    if not done:
        raise RuntimeError('OpenCV cannot encode JPEG')
    return CompressedImage(header=header, format='bgr8; jpeg compressed bgr8',
                           data=array.array('B', coded.tobytes()))


def to_camera_info(header: Header, camera: Camera) -> CameraInfo:
    """The CameraInfo that :meth:`posegrasp_ros.geometry.camera_info.StatedCamera.from_info` reads back."""
    matrix = camera.matrix
    projection = np.hstack([matrix, np.zeros((3, 1))])
    return CameraInfo(header=header, width=camera.width, height=camera.height, distortion_model=camera.model,
                      d=camera.distortion.tolist(), k=matrix.ravel(), r=np.eye(3).ravel(), p=projection.ravel())


# Poses.

def to_pose(transform: np.ndarray) -> Pose:
    """Pose of a (4, 4) transform."""
    x, y, z = (float(v) for v in transform[:3, 3])
    qx, qy, qz, qw = (float(v) for v in quaternion_from_matrix(transform[:3, :3]))
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def transform_from(pose: Pose) -> np.ndarray:
    """(4, 4) transform of a pose.

    :raises MessageError: when a number is not finite or the quaternion has no length
    """
    p, q = pose.position, pose.orientation
    if not all(math.isfinite(v) for v in (p.x, p.y, p.z)):
        raise MessageError(f'pose: position: expected finite metres, got ({p.x}, {p.y}, {p.z})')
    try:
        return transform_from_pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
    except ValueError as error:
        raise MessageError(f'pose: {error}') from error


def truth_from(message: GroundTruthMessage) -> np.ndarray:
    """(4, 4) of one of :data:`GROUND_TRUTH`.

    :raises MessageError: when it is no pose
    """
    return transform_from(message.pose.pose if isinstance(message, PoseWithCovarianceStamped) else message.pose)


def to_pose_with_covariance(header: Header, estimate: PoseEstimate) -> PoseWithCovarianceStamped:
    """An estimate in its camera's frame."""
    return pose_with_covariance(header, estimate.camera_from_object, estimate.covariance)


def pose_with_covariance(header: Header, transform: np.ndarray,
                         covariance: np.ndarray) -> PoseWithCovarianceStamped:
    """A (4, 4) pose with its (6, 6) covariance."""
    message = PoseWithCovarianceStamped(header=header)
    message.pose.pose = to_pose(transform)
    message.pose.covariance = np.asarray(covariance, dtype=float).ravel()
    return message


def covariance_from(message: PoseWithCovarianceStamped) -> np.ndarray | None:
    """(6, 6) covariance in the message's frame; None where it is all zero, which says unknown.
    """
    covariance = np.asarray(message.pose.covariance, dtype=float).reshape(6, 6)
    return covariance if covariance.any() else None


def to_pose_stamped(header: Header, transform: np.ndarray) -> PoseStamped:
    return PoseStamped(header=header, pose=to_pose(transform))


def to_pose_array(header: Header, transforms: Iterable[np.ndarray]) -> PoseArray:
    return PoseArray(header=header, poses=[to_pose(transform) for transform in transforms])


def to_path(header: Header, transforms: Iterable[np.ndarray]) -> Path:
    """A path whose poses all carry the image's stamp: the order says what comes when."""
    return Path(header=header, poses=[to_pose_stamped(header, transform) for transform in transforms])


def transforms_from_path(path: Path) -> list[np.ndarray]:
    """The path's poses as (4, 4) transforms."""
    return [transform_from(stamped.pose) for stamped in path.poses]


def to_transform(header: Header, child_frame: str, transform: np.ndarray) -> TransformStamped:
    """What TF takes: header.frame_id from child_frame."""
    message = TransformStamped(header=header, child_frame_id=child_frame)
    pose = to_pose(transform)
    message.transform.rotation = pose.orientation
    message.transform.translation.x = pose.position.x
    message.transform.translation.y = pose.position.y
    message.transform.translation.z = pose.position.z
    return message


def matrix_from(transform: Transform) -> np.ndarray:
    """(4, 4) of what TF gives."""
    t, q = transform.translation, transform.rotation
    return transform_from_pose((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def to_gripper(header: Header, opening_m: float, force_n: float) -> JointState:
    """What the gripper should do: ``position`` is the opening between the pads, ``effort`` the closing force."""
    return JointState(header=header, name=[GRIPPER_JOINT], position=[float(opening_m)], effort=[float(force_n)])


def gripper_from(message: JointState) -> tuple[float, float]:
    """Opening in metres and closing force in newtons.

    :raises MessageError: when the message is not one joint with position and effort
    """
    if len(message.position) != 1 or len(message.effort) != 1:
        raise MessageError(f'gripper: expected one joint {GRIPPER_JOINT!r} with position and effort, got '
                           f'{list(message.name)} with {len(message.position)} positions and '
                           f'{len(message.effort)} efforts')
    return message.position[0], message.effort[0]


# Ground truth besides poses.

def to_visible_share(header: Header, share: float) -> DiagnosticArray:
    """What :func:`posegrasp_ros.datasets.visible_shares.visible_share_of` reads back."""
    value = KeyValue(key=VISIBLE_SHARE, value=repr(float(share)))
    return DiagnosticArray(header=header, status=[
        DiagnosticStatus(level=DiagnosticStatus.OK, name=STATUS_NAME, values=[value])])


# Stage reports.

def to_report(report: StageReport) -> DiagnosticArray:
    """A stage report on the wire: one status, named after the stage, that carries the image's stamp."""
    texts = {key: repr(float(value)) for key, value in report.numbers.items()} | report.words
    if report.sequence is not None:
        texts |= {SEQUENCE: str(report.sequence), PUBLISHER: report.publisher}
    if report.object:
        texts[OBJECT] = report.object
    status = DiagnosticStatus(
        level=DiagnosticStatus.OK if report.ok else DiagnosticStatus.ERROR,
        name=TASK_PREFIX + report.stage, message=report.reason,
        values=[KeyValue(key=key, value=text) for key, text in texts.items()])
    return DiagnosticArray(header=to_header(report.stamp_ns), status=[status])


def report_from(message: DiagnosticArray) -> StageReport:
    """A stage report off the wire.

    :raises MessageError: when it is none of ours
    """
    try:
        return read_report(message)
    except ReportMessageError as error:
        raise MessageError(str(error)) from error


# Diagnostics.

def to_diagnostics(stamp: Time, node: str, healths: Iterable[Health], hardware_id: str = '') -> DiagnosticArray:
    """Healths as ``/diagnostics`` wants them, each named ``node: task``.

    :param node: with its namespace
    """
    return DiagnosticArray(header=Header(stamp=stamp), status=[
        DiagnosticStatus(level=LEVELS[health.level], name=f'{node}: {health.task}', message=health.text,
                         hardware_id=hardware_id,
                         values=[KeyValue(key=key, value=value) for key, value in health.values.items()])
        for health in healths])


def to_track_states(header: Header, frames: Sequence[str], tracks: Sequence[TrackStatus]) -> DiagnosticArray:
    """The states of tracked objects at an image, each named after its frame in TF.

    Standard deviations of what is lost are those of the prediction, which itself is not told.
    """
    return DiagnosticArray(header=header, status=[
        DiagnosticStatus(level=TRACK_LEVELS[track.state], name=frame, message=track.state, values=[
            KeyValue(key=key, value=repr(float(value)))
            for key, value in (('unseen_s', track.unseen_s), ('sigma_m', track.sigma_m),
                               ('sigma_rad', track.sigma_rad))])
        for frame, track in zip(frames, tracks)])


def _verdict_name(item: dict) -> str:
    of = f' ({item["object"]})' if 'object' in item else ''
    return f'{item["metric"]}{of}: {item["entry"]}'


def to_verdicts(stamp: Time, verdicts: Iterable[dict]) -> DiagnosticArray:
    """A summary's verdicts, one status each: better is OK, inconclusive WARN, worse ERROR."""
    statuses = []
    for item in verdicts:
        values = {key: item[key] for key in ('value', 'interval', 'reference', 'unit', 'kind', 'fair')}
        statuses.append(DiagnosticStatus(
            level=VERDICT_LEVELS[item['verdict']], name=_verdict_name(item),
            message=item['verdict'], values=[KeyValue(key=key, value=str(v)) for key, v in values.items()]))
    return DiagnosticArray(header=Header(stamp=stamp), status=statuses)
