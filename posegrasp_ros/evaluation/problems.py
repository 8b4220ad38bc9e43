# SPDX-License-Identifier: Apache-2.0
"""Problems: what was wrong with the frames of a run, each kind once, with its count and the first place."""

from __future__ import annotations

import re
from collections.abc import Iterable

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.runtime.errors import one_line

# Of so many kinds the texts are kept; more than a person reads, and less than a hostile recording could make.
MOST_KINDS = 100
WARNING = 'warning'


class Problems:
    """Counts frames that cannot be used, or go without something. Texts that differ in numbers alone are one kind.

    :ivar frames: how many frames were looked at, and of these
    :ivar usable: those that could be used
    """

    def __init__(self) -> None:
        self.frames = self.usable = 0
        self._kinds: dict[tuple[str, str], dict] = {}

    def look_at(self, frame: BagFrame, bag: str, image: int) -> None:
        """Count a frame and what is wrong with it.

        :param bag: name of the recording
        :param image: number of the image in it
        """
        self.frames += 1
        self.usable += not frame.reason
        for reason, text in ((frame.reason, frame.problem), (WARNING, frame.warning)):
            if text:
                self._add(reason, one_line(text), {'bag': bag, 'image': image, 'stamp_ns': int(frame.stamp_ns)})

    def to_list(self, warnings: Iterable[tuple[str, str]] = ()) -> list[dict]:
        """The kinds in the order in which they came up: reason, text of the first, count and first place.

        :param warnings: name and warning of whole recordings, which have no image
        """
        told = {kind['text'] for kind in self._kinds.values()}
        lines = ((bag, one_line(text)) for bag, text in warnings)
        return [*self._kinds.values(),
                *({'reason': WARNING, 'text': text, 'count': 1, 'bag': bag} for bag, text in lines
                  if not any(text.endswith(other) for other in told))]

    def add_all(self, other: Problems) -> None:
        """Add what another one counted, of the frames that come next."""
        self.frames += other.frames
        self.usable += other.usable
        for entry in other._kinds.values():
            place = {name: value for name, value in entry.items() if name not in ('reason', 'text', 'count')}
            self._add(entry['reason'], entry['text'], place, entry['count'])

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return {'frames': self.frames, 'usable': self.usable, 'kinds': list(self._kinds.values())}

    @classmethod
    def from_dict(cls, data: dict) -> Problems:
        """Inverse of :meth:`to_dict`."""
        problems = cls()
        problems.frames, problems.usable = data['frames'], data['usable']
        for entry in data['kinds']:
            place = {name: value for name, value in entry.items() if name not in ('reason', 'text', 'count')}
            problems._add(entry['reason'], entry['text'], place, entry['count'])
        return problems

    def sentence(self) -> str:
        """Why no frame could be used, one line."""
        most = max(self._kinds.values(), key=lambda kind: kind['count'])
        others = f' (and {len(self._kinds) - 1} other problems)' if len(self._kinds) > 1 else ''
        return f'none of {self.frames} images could be used: {most["reason"]}: {most["text"]}{others}'

    def _add(self, reason: str, text: str, place: dict, count: int = 1) -> None:
        kind = reason, re.sub(r'\d+', '#', text)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind, text = (reason, ''), 'other problems'
        entry = self._kinds.setdefault(kind, {'reason': reason, 'text': text, 'count': 0, **place})
        entry['count'] += count
