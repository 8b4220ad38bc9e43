# SPDX-License-Identifier: Apache-2.0
"""QoS profiles of all topics; each can be overridden by the standard ``qos_overrides`` parameters."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

# Sensor data use the reliability offered by the publisher. Best effort would lose half of the images of a reliable
# publisher on the same machine, because one VGA image is larger than a socket's receive buffer or a shared-memory
# segment of Fast DDS by default.
_AS_OFFERED = ReliabilityPolicy.BEST_AVAILABLE

# Only the newest message, so that a slow estimator does not process a backlog.
NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=_AS_OFFERED)

# The last few messages, for two streams that are matched and may be offset.
RECENT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=_AS_OFFERED)

# For sensor data of which no message may be lost: camera_info, ground truth.
SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=_AS_OFFERED)

# Results of a stage, which must not be lost.
RESULT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)

# Topics counted by the monitor, on both sides: no loss at 30 Hz even if the monitor is blocked for half a minute.
COUNTED = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)

# The same for sensor data.
COUNTED_SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=_AS_OFFERED)

# Services, of which every request is answered, also when many come while a plan is made.
REQUESTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)

# Published once or rarely; late subscribers still receive the last message.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL)


def can_be_heard(publisher: QoSProfile, subscription: QoSProfile) -> bool:
    """Whether publisher and subscription are compatible; DDS does not report incompatible ones."""
    return qos_check_compatible(publisher, subscription)[0] != QoSCompatibility.ERROR


def overridable() -> QoSOverridingOptions:
    """Let ``qos_overrides.<topic>.<publisher|subscription>.*`` change history, depth and reliability."""
    return QoSOverridingOptions.with_default_policies()
