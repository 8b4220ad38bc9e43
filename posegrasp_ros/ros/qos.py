"""Quality of service of every topic; each is overridable by the standard ``qos_overrides`` parameters."""

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

# Sensor data are taken as their publisher offers them. Best effort alone would lose half the images of a reliable
# publisher on the same machine: one VGA image is more than a socket's receive buffer or a shared-memory segment of
# Fast DDS holds by default.
_AS_OFFERED = ReliabilityPolicy.BEST_AVAILABLE

# Only the newest: an estimator that falls behind must not work through a backlog.
NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=_AS_OFFERED)

# The last few: of two streams that belong together, either may be ahead.
RECENT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=_AS_OFFERED)

# Every message counts: camera_info, ground truth.
SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=_AS_OFFERED)

# What a stage concludes: nobody should miss it.
RESULT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)

# What the monitor counts, on both sides: whoever cannot listen for half a minute still gets all of 30 a second.
COUNTED = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)

# The same of what sensors publish.
COUNTED_SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=_AS_OFFERED)

# Published once or rarely; who comes late still gets the last one.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL)


def can_be_heard(publisher: QoSProfile, subscription: QoSProfile) -> bool:
    """Whether messages come through; where they cannot, DDS says nothing."""
    return qos_check_compatible(publisher, subscription)[0] != QoSCompatibility.ERROR


def overridable() -> QoSOverridingOptions:
    """Let ``qos_overrides.<topic>.<publisher|subscription>.*`` change history, depth and reliability."""
    return QoSOverridingOptions.with_default_policies()
