# SPDX-License-Identifier: Apache-2.0
"""Progress of a fleet's evaluation, with what failed."""

from __future__ import annotations

import sys
from types import TracebackType

from posegrasp_ros.runtime.errors import one_line
from posegrasp_ros.runtime.progress import Progress


class FleetProgress:
    """Counts recordings as they are done.

    :param total: how many there are to do
    """

    def __init__(self, total: int):
        self._failed, self._bar = 0, Progress(total=total, unit='recording', dynamic_ncols=True)

    def __enter__(self) -> FleetProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bar.close()

    def step(self, reason: str = '') -> None:
        """Count a recording.

        :param reason: why it has no result; empty where it has one
        """
        if reason:
            self._failed += 1
            self._bar.set_postfix_str(f'{self._failed} failed', refresh=False)
            self.say(f'failed: {reason}')
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line, above a bar that is shown."""
        self._bar.write(one_line(f'posegrasp: {text}'), file=sys.stderr)
