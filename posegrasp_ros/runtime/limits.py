# SPDX-License-Identifier: Apache-2.0
"""Size limits for input: larger images, messages and files are refused before they are unpacked."""

from __future__ import annotations

import math
import os

from posegrasp_ros.runtime.errors import InvalidInputError

MEGAPIXELS = 'POSEGRASP_MAX_MEGAPIXELS'
MESSAGE_MEGABYTES = 'POSEGRASP_MAX_MESSAGE_MB'
TEXT_MEGABYTES = 'POSEGRASP_MAX_TEXT_MB'
MESH_MEGABYTES = 'POSEGRASP_MAX_MESH_MB'
# Each limit keeps the memory for one bad input below a gigabyte. The largest cameras of robot cells have
# 25 megapixels; JSON takes up to 25 bytes of memory per byte of text; 16 MB of CSV hold forty minutes of poses at
# 100 Hz; 32 MB of STL are 640,000 triangles.
DEFAULTS = {MEGAPIXELS: 50.0, MESSAGE_MEGABYTES: 256.0, TEXT_MEGABYTES: 16.0, MESH_MEGABYTES: 32.0}


def most_pixels() -> int:
    """Limit for the pixels of an image."""
    return round(1e6 * _limit(MEGAPIXELS))


def most_message_bytes() -> int:
    """Limit for the bytes of a recorded message, unpacked."""
    return round(1e6 * _limit(MESSAGE_MEGABYTES))


def most_text_bytes() -> int:
    """Limit for the bytes of a JSON or CSV file."""
    return round(1e6 * _limit(TEXT_MEGABYTES))


def most_yaml_bytes() -> int:
    """Limit for the bytes of a YAML file, lower because parsing YAML is much slower: two seconds per megabyte."""
    return most_text_bytes() // 4


def most_mesh_bytes() -> int:
    """Limit for the bytes of a mesh file, also after unpacking."""
    return round(1e6 * _limit(MESH_MEGABYTES))


def _limit(name: str) -> float:
    text = os.environ.get(name)
    if not text:
        return DEFAULTS[name]
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 < limit < 1e6:
        raise InvalidInputError(f'environment variable {name}: expected a number above 0, got {text[:80]!r}')
    return limit
