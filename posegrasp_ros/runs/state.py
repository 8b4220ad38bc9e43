# SPDX-License-Identifier: Apache-2.0
"""RunState: state of a run in run.json, whether it is running, was interrupted or is finished."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_json
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.file_lock import is_locked

STATE_NAME = 'run.json'
LOCK_NAME = '.lock'
SCHEMA = 'posegrasp.run/1'
RUNNING, PARTIAL, FINISHED = 'running', 'partial', 'finished'


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')


@dataclass(frozen=True)
class RunState:
    """State of a run.

    :param word: :data:`RUNNING` from its start, then :data:`FINISHED`, or :data:`PARTIAL` when it was interrupted
    :param pid: of the writing process, on ``host``
    :param since: start time, ISO 8601
    """

    word: str = RUNNING
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)
    since: str = field(default_factory=_now)

    def write(self, folder: Path) -> None:
        """Write run.json to the run folder.

        :raises OSError: when it cannot be written
        """
        write_whole(folder / STATE_NAME, json.dumps({'schema': SCHEMA, **asdict(self)}) + '\n')

    @property
    def owner(self) -> str:
        """Description of the writing process, for messages."""
        return f'process {self.pid} on {self.host}, since {self.since}'


def read_state(folder: Path) -> RunState | None:
    """State of a run folder; None for runs of older versions without one, or if it cannot be read."""
    try:
        found = read_json(folder / STATE_NAME, InvalidInputError)
        return RunState(str(found['word']), int(found['pid']), str(found['host']), str(found['since']))
    except (ValueError, LookupError, TypeError):
        return None


def is_complete(summary: dict) -> bool:
    """Whether a summary states that everything planned was measured; True if it states nothing."""
    provenance = summary.get('provenance')
    told = provenance.get('complete', True) if isinstance(provenance, dict) else True
    return bool(summary.get('complete', True) and told)


def partial_because(folder: Path, summary: dict) -> str:
    """Why the run is not complete; empty if it is."""
    state = read_state(folder)
    if state and state.word == RUNNING:
        if is_locked(folder / LOCK_NAME):
            return f'it is still running ({state.owner})'
        return f'it was never finished: its process has ended ({state.owner})'
    if (state and state.word == PARTIAL) or not is_complete(summary):
        return 'it was interrupted'
    return ''
