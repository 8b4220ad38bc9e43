"""TruthMatch: whether the images have ground truth of their own stamp."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.monitoring.liveness import OK, WARN, Health

LOOKED_AT = 300
ENOUGH = 0.9


class TruthMatch:
    """Compares the stamps of images with those of ground truths that came since.

    Truths that are stamped in a way of their own are a common mistake, and all errors are missing then.
    """

    def __init__(self):
        self._images: deque[int] = deque(maxlen=LOOKED_AT)
        self._truths: deque[int] = deque(maxlen=4 * LOOKED_AT)

    def image(self, stamp_ns: int) -> None:
        self._images.append(stamp_ns)

    def truth(self, stamp_ns: int) -> None:
        self._truths.append(stamp_ns)

    def health(self, until_ns: int) -> Health:
        """A warning where truths come in and images go without.

        :param until_ns: stamp up to which truths had their time to come
        """
        images = {stamp for stamp in self._images if stamp <= until_ns}
        if not self._truths or not images:
            return Health('ground truth', OK, 'none' if not self._truths else 'comes in')
        share = len(images.intersection(self._truths)) / len(images)
        text = f'for {share:.0%} of the last {len(images)} images'
        if share == 0:
            text += ': a truth needs exactly the stamp of its image'
        return Health('ground truth', OK if share >= ENOUGH else WARN, text)
