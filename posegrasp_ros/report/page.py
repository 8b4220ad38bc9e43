"""Pages of reports: one of our templates, filled in; one file that needs no network."""

from __future__ import annotations

from pathlib import Path

import jinja2

from posegrasp_ros.metrics import formatting

TEMPLATES = Path(__file__).parent / 'templates'


def render_page(template: str, **values) -> str:
    """One of our templates, filled in; what it shows of numbers it takes from :mod:`formatting`."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals['formatting'] = formatting
    return environment.get_template(template).render(**values)
