# SPDX-License-Identifier: Apache-2.0
"""States of a tracked object at an image, as reports name them."""

from __future__ import annotations

FOUND, TRACKED, LOST, ABSENT = 'found', 'tracked', 'lost', 'absent'
STATES = (FOUND, TRACKED, LOST, ABSENT)
