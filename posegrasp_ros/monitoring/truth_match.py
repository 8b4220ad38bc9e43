# SPDX-License-Identifier: Apache-2.0
"""TruthMatch: checks that ground truth has exactly the stamps of the images."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.monitoring.liveness import OK, WARN, Health

LOOKED_AT = 300
ENOUGH = 0.9


class TruthMatch:
    """Compares the stamps of recent images with those of recent ground truths.

    Ground truth with other stamps than the images is a common mistake; without a match no errors are measured.
    """

    def __init__(self) -> None:
        self._images: deque[int] = deque(maxlen=LOOKED_AT)
        self._truths: deque[int] = deque(maxlen=4 * LOOKED_AT)

    def image(self, stamp_ns: int) -> None:
        self._images.append(stamp_ns)

    def truth(self, stamp_ns: int) -> None:
        self._truths.append(stamp_ns)

    def health(self, until_ns: int) -> Health:
        """A warning if truths are received but do not match the images.

        :param until_ns: stamp up to which truths should have arrived
        """
        images = {stamp for stamp in self._images if stamp <= until_ns}
        if not self._truths or not images:
            return Health('ground truth', OK, 'none' if not self._truths else 'received')
        share = len(images.intersection(self._truths)) / len(images)
        text = f'for {share:.0%} of the last {len(images)} images'
        if share == 0:
            text += ': expected ground truth with exactly the stamp of its image'
        return Health('ground truth', OK if share >= ENOUGH else WARN, text)
