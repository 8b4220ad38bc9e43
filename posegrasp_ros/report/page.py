# SPDX-License-Identifier: Apache-2.0
"""Rendering of report pages from Jinja templates: each page is one file without external resources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from posegrasp_ros.metrics import formatting

TEMPLATES = Path(__file__).parent / 'templates'
OPTION = re.compile(r'--[a-z][a-z-]*')


def render_page(template: str, **values: Any) -> str:
    """Render a template; :mod:`formatting` is available in it for numbers."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals['formatting'] = formatting
    environment.filters['with_options'] = with_options
    return environment.get_template(template).render(**values)


def with_options(text: str) -> Markup:
    """A sentence that may name options of a command, such as ``--like``, which no line end is to break."""
    return Markup(OPTION.sub(r'<span class="option">\g<0></span>', str(escape(text))))
