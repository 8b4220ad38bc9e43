# SPDX-License-Identifier: Apache-2.0
"""What to report when nothing arrives on a topic: who publishes there, and which other topics have the type."""

from __future__ import annotations

from collections.abc import Collection

from rclpy.node import Node

# Every topic on a robot with many cameras would fill the screen.
MOST_LISTED = 10


def missing_input(node: Node, topic: str, types: Collection[str]) -> str:
    """One line.

    :param topic: fully resolved
    :param types: message types that are welcome there, by their ROS names
    """
    publishers = node.get_publishers_info_by_topic(topic)
    wrong = sorted({publisher.topic_type for publisher in publishers} - set(types))
    if any(publisher.topic_type in types for publisher in publishers):
        return f'{topic}: nothing received yet, although there is a publisher'
    if wrong:
        return f'{topic}: expected {" or ".join(types)}, it is published as {", ".join(wrong)}'
    others = sorted(f'{name} ({kind})' for name, kinds in node.get_topic_names_and_types() for kind in kinds
                    if kind in types and name != topic and node.count_publishers(name))
    listed = ', '.join(others[:MOST_LISTED]) + (f' and {len(others) - MOST_LISTED} more' if len(
        others) > MOST_LISTED else '')
    return f'{topic}: no publisher; other topics of {" or ".join(types)}: {listed or "none"}'
