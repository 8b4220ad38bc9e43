# SPDX-License-Identifier: Apache-2.0
"""Names of topics where there are several objects: on the robot and in recordings alike."""

from __future__ import annotations

import re


def topic_name(name: str) -> str:
    """An object's name as a part of topics: letters, digits and underscores, a letter first."""
    token = re.sub('[^A-Za-z0-9]+', '_', name).strip('_')
    return token if token[:1].isalpha() else f'object_{token}'


def below(name: str, topic: str) -> str:
    """A topic of one object: ``~/pose`` of the only one, which has no name, ``~/NAME/pose`` of a named one."""
    if not name:
        return topic
    folder, slash, last = topic.rpartition('/')
    return f'{folder}{slash}{topic_name(name)}/{last}'
