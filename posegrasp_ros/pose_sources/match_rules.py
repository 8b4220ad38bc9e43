# SPDX-License-Identifier: Apache-2.0
"""Names of the rules by which poses are matched to images."""

from __future__ import annotations

from typing import Literal

How = Literal['auto', 'stamp', 'nearest', 'arrival']
