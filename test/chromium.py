# SPDX-License-Identifier: Apache-2.0
"""Pages in a real Chromium without a screen."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None or importlib.util.find_spec('playwright') is None,
                                    reason='there is no Chromium on PATH, or playwright is not installed')


@contextmanager
def empty_page(width: int = 1280, height: int = 1000) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Yields playwright's page, the errors it has shown so far, and the addresses it has asked for."""
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    urls: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page(viewport={'width': width, 'height': height})
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.on('console', lambda said: problems.append(said.text) if said.type == 'error' else None)
        page.on('request', lambda request: urls.append(request.url))
        yield page, problems, urls
        browser.close()
