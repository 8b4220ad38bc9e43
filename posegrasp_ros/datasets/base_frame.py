# SPDX-License-Identifier: Apache-2.0
"""Names of the robot's frame."""

from __future__ import annotations

BASE_FRAME = 'base_link'
"""The default (REP 105)."""
FORMER_BASE_FRAME = 'base'
"""That of version 0.2: used for recordings whose /tf does not have the default."""
