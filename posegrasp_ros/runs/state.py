"""RunState, run.json: whether the run of a folder is still written, was cut short, or is whole."""

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
    """Of a run.

    :param word: :data:`RUNNING` from its beginning on, then :data:`FINISHED`, or :data:`PARTIAL` when it was
        interrupted
    :param pid: of the process that writes it, on ``host``
    :param since: when it was begun, ISO 8601
    """

    word: str = RUNNING
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)
    since: str = field(default_factory=_now)

    def write(self, folder: Path) -> None:
        """Into the run's folder.

        :raises OSError: when it cannot be written
        """
        write_whole(folder / STATE_NAME, json.dumps({'schema': SCHEMA, **asdict(self)}) + '\n')

    @property
    def owner(self) -> str:
        """Who writes it, for a message."""
        return f'process {self.pid} on {self.host}, since {self.since}'


def read_state(folder: Path) -> RunState | None:
    """What a run folder says of itself; None for runs of versions that said nothing, and what cannot be read."""
    try:
        found = read_json(folder / STATE_NAME, InvalidInputError)
        return RunState(str(found['word']), int(found['pid']), str(found['host']), str(found['since']))
    except (ValueError, LookupError, TypeError):
        return None


def is_complete(summary: dict) -> bool:
    """Whether a summary is of all that was to be measured, as far as it knows."""
    provenance = summary.get('provenance')
    told = provenance.get('complete', True) if isinstance(provenance, dict) else True
    return bool(summary.get('complete', True) and told)


def partial_because(folder: Path, summary: dict) -> str:
    """Why the numbers of a run are not those of a whole one; empty when they are."""
    state = read_state(folder)
    if state and state.word == RUNNING:
        if is_locked(folder / LOCK_NAME):
            return f'it is still written ({state.owner})'
        return f'it was never finished: its process ended before ({state.owner})'
    if (state and state.word == PARTIAL) or not is_complete(summary):
        return 'it was interrupted'
    return ''
