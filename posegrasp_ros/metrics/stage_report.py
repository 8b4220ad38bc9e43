# SPDX-License-Identifier: Apache-2.0
"""StageReport: a stage's report on one image, with or without an answer; StageOutcome: the part of the stage."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from posegrasp_ros.runtime.errors import quoted

STAGES = ('perception', 'planning', 'execution')
SET_BACK_NS = 1_000_000_000
"""Stamps that lie behind the newest by less are late images; by more, the clock was set back."""
NOT_ASKED = 'not_asked'
"""Reason of a stage that works on request alone, for an input that nobody asked about."""
# Report keys with text values; all others are numbers.
WORDS = ('weakest_direction', 'grasp', 'out_of_reach', 'model', 'problem', 'state')


@dataclass(frozen=True)
class StageOutcome:
    """Outcome of a stage for one input, independent of the caller: a node, an evaluation or a benchmark.

    :param reason: a short word if there is no answer, else empty
    :param numbers: named figures without ``latency_ms``
    :param words: text values by a name in :data:`WORDS`
    :param problem: problem of the input, one line of text; empty for none
    :param latency_ms: from the encoded input to the answer
    """

    reason: str
    numbers: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    problem: str = ''
    latency_ms: float = 0.0

    def report(self, stage: str, stamp_ns: int, object_name: str = '') -> StageReport:
        """Report of a stage that was called directly, without queues and messages."""
        return StageReport(stamp_ns, stage, not self.reason, self.reason,
                           {**self.numbers, 'latency_ms': self.latency_ms}, self.words, object=object_name)


@dataclass(frozen=True)
class StageReport:
    """One stage's report on one image, and on one object where there are several.

    :param stamp_ns: image stamp, nanoseconds: with ``object`` the key that joins the stages
    :param stage: one of :data:`STAGES`
    :param ok: whether the stage has an answer (execution: whether the object was lifted)
    :param reason: a short word such as ``no_detection`` or ``slipped``; empty when ok
    :param numbers: named figures; timings end in ``_ms``; ``latency_ms`` is the processing time of this stage
    :param words: text values by a name in :data:`WORDS`
    :param sequence: number of reports its publisher sent before this one, to detect lost ones; None where it does
        not count them
    :param publisher: unique per publisher and process start
    :param object: name of the object; empty where there is only one
    """

    stamp_ns: int
    stage: str
    ok: bool
    reason: str = ''
    numbers: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    sequence: int | None = None
    publisher: str = ''
    object: str = ''

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f'stage: expected one of {", ".join(STAGES)}, got {quoted(self.stage)}')

    def to_dict(self) -> dict:
        """Plain values as in a line of metrics.jsonl, without NaN and infinity, which JSON does not have."""
        numbers = {name: float(value) for name, value in self.numbers.items() if math.isfinite(value)}
        return {'stamp_ns': int(self.stamp_ns), 'stage': self.stage, 'ok': bool(self.ok), 'reason': self.reason,
                'numbers': numbers, **({'words': self.words} if self.words else {}),
                **({} if self.sequence is None else {'sequence': self.sequence, 'publisher': self.publisher}),
                **({'object': self.object} if self.object else {})}

    @classmethod
    def from_dict(cls, data: dict) -> StageReport:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when a field is missing or has the wrong type
        """
        try:
            numbers = {str(name): float(value) for name, value in data.get('numbers', {}).items()}
            return cls(int(data['stamp_ns']), data['stage'], bool(data['ok']), str(data.get('reason', '')),
                       numbers, {str(name): str(word) for name, word in data.get('words', {}).items()},
                       None if data.get('sequence') is None else int(data['sequence']),
                       str(data.get('publisher', '')), str(data.get('object', '')))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'stage report: expected stamp_ns, stage, ok, reason and numbers, '
                             f'got {quoted(data)}') from error
