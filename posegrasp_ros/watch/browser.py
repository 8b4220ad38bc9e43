# SPDX-License-Identifier: Apache-2.0
"""Opens the page in the browser of the desktop, where there is one."""

from __future__ import annotations

import os
import sys
import webbrowser
from threading import Thread


def open_browser(url: str) -> bool:
    """Open an address; whether there is a desktop that it was tried on.

    Without one, webbrowser would run a browser in the terminal.
    """
    if sys.platform.startswith('linux') and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        return False
    Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return True
