# SPDX-License-Identifier: Apache-2.0
"""LeftOut: why images gave no pose of the object on its board, counted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LeftOut:
    """Images without a pose, counted by reason.

    :ivar frames: images looked at
    :ivar counts: by reason, in the order of their first
    :ivar first: by reason the line of the first
    """

    frames: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, text: str) -> None:
        """Count an image."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, text)

    def lines(self) -> list[str]:
        """One for each reason."""
        return [f'{count} of {self.frames} images left out: {reason}: {self.first[reason]}'
                for reason, count in self.counts.items()]

    def commonest(self) -> str:
        """The commonest reason with its line."""
        if not self.counts:
            return 'there are no images'
        reason = max(self.counts, key=lambda each: self.counts[each])
        return f'{reason}: {self.first[reason]}'

    @property
    def total(self) -> int:
        """How many images were left out."""
        return sum(self.counts.values())
