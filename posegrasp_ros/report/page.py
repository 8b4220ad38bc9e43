"""Pages of reports: one of our templates, filled in; one file that needs no network."""

from __future__ import annotations

from pathlib import Path

import jinja2

from posegrasp_ros import display

TEMPLATES = Path(__file__).parent / 'templates'


def render_page(template: str, **values) -> str:
    """One of our templates, filled in; what it shows of numbers it takes from :mod:`posegrasp_ros.display`."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals['display'] = display
    return environment.get_template(template).render(**values)
