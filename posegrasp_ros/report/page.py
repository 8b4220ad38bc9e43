# SPDX-License-Identifier: Apache-2.0
"""Rendering of report pages from Jinja templates: each page is one file without external resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from posegrasp_ros.metrics import formatting

TEMPLATES = Path(__file__).parent / 'templates'


def render_page(template: str, **values: Any) -> str:
    """Render a template; :mod:`formatting` is available in it for numbers."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals['formatting'] = formatting
    return environment.get_template(template).render(**values)
