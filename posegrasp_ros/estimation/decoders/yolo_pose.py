"""The output of YOLO pose networks as Ultralytics exports them: boxes with keypoints, in either layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders.object_coordinates import KeypointInstance


@dataclass(frozen=True)
class Layout:
    """What the numbers of an output are.

    :param name: ``rows`` (1, 4 + classes + K * values, A), a column for each of A candidates, overlapping ones not
        yet suppressed; or ``end_to_end`` (1, N, 6 + K * values), a row for each of N detections
    :param keypoints: K
    :param values: of a keypoint, 2 for x and y, 3 with visibility
    :param classes: of ``rows``
    """

    name: str
    keypoints: int
    values: int
    classes: int

    @property
    def channels(self) -> int:
        """Length of the axis that holds one detection."""
        before = 4 + self.classes if self.name == 'rows' else 6
        return before + self.keypoints * self.values

    def fits(self, shape: Sequence[int | str | None]) -> bool:
        """Whether an output of this shape can be so laid out; a length that is left open fits any."""
        length = shape[1 if self.name == 'rows' else 2] if len(shape) == 3 else 0
        return not isinstance(length, int) or length == self.channels

    def __str__(self) -> str:
        shape = f'[1, {self.channels}, A]' if self.name == 'rows' else f'[1, N, {self.channels}]'
        return f'{self.name} {shape}'


def layouts(keypoints: int, classes: int, wanted: str = 'auto') -> list[Layout]:
    """Those that an output with these numbers may have.

    :param wanted: ``auto``, or the only one to consider
    """
    names = ('rows', 'end_to_end') if wanted == 'auto' else (wanted,)
    return [Layout(name, keypoints, values, classes) for name in names for values in (2, 3)]


def decode_yolo_pose(output: np.ndarray, layout: Layout, class_id: int = 0, threshold: float = 0.25,
                     overlap: float = 0.7, visibility: float = 0.5) -> list[KeypointInstance]:
    """The detections of one class, the surest first.

    :param output: without its batch dimension: (channels, A) or (N, channels), as the layout says
    :param threshold: least score
    :param overlap: intersection over union from which the less sure of two boxes is dropped, for ``rows``
    :param visibility: least visibility of a keypoint that counts as seen, where the network tells
    """
    if layout.name == 'rows':
        candidates, scores = _best_of_rows(output, layout, class_id, threshold, overlap)
    else:
        kept = (output[:, 4] >= threshold) & (np.rint(output[:, 5]) == class_id)
        candidates, scores = output[kept, 6:], output[kept, 4]
    keypoints = candidates.reshape(len(candidates), layout.keypoints, layout.values).astype(float)
    seen = np.isfinite(keypoints).all(axis=2)
    if layout.values == 3:
        seen &= keypoints[:, :, 2] >= visibility
    return [KeypointInstance(keypoints[i, :, :2], seen[i], min(1.0, float(scores[i])))
            for i in np.argsort(-scores, kind='stable')]


def _best_of_rows(output: np.ndarray, layout: Layout, class_id: int, threshold: float, overlap: float):
    """Keypoint values (N, K * values) and scores (N,) of the class, the best where boxes overlap."""
    columns = output.T
    scores = columns[:, 4:4 + layout.classes]
    kept = (scores[:, class_id] >= threshold) & (scores.argmax(axis=1) == class_id)
    columns, scores = columns[kept], scores[kept, class_id]
    boxes = np.column_stack([columns[:, :2] - columns[:, 2:4] / 2, columns[:, 2:4]])  # left, top, width, height
    chosen = np.ravel(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, overlap)).astype(int)
    return columns[chosen, 4 + layout.classes:], scores[chosen]
