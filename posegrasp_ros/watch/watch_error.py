# SPDX-License-Identifier: Apache-2.0
"""WatchError: what stops watching."""

from __future__ import annotations

from posegrasp_ros.runtime.errors import InvalidInputError


class WatchError(InvalidInputError):
    """A source, file or address that cannot be used for watching."""
