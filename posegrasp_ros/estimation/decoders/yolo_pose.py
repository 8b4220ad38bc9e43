# SPDX-License-Identifier: Apache-2.0
"""YOLO pose networks as Ultralytics exports them: boxes with keypoints, in either layout of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters, Points
from posegrasp_ros.estimation.decoders.keypoints import KeypointDecoder, KeypointInstance
from posegrasp_ros.estimation.decoders.letterbox import Fit
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError

CHANNELS = {
    'rows': '0 to 3 box (cx, cy, w, h), then {classes} class scores, then {keypoints} times ({values}); '
            'overlapping boxes still to be suppressed',
    'end_to_end': '0 to 3 box (x1, y1, x2, y2), 4 score, 5 class, then {keypoints} times ({values})',
}


class YoloPoseParameters(DecoderParameters):
    """Parameters on the card."""

    keypoints_m: Points
    class_id: int = Field(0, alias='class', ge=0, le=9999)
    classes: int = Field(1, ge=1, le=10000)
    threshold: float = Field(0.25, ge=0, le=1)
    visibility: float = Field(0.5, ge=0, le=1)
    overlap: float = Field(0.7, ge=0, le=1)
    layout: Literal['auto', 'rows', 'end_to_end'] = 'auto'
    fit: Fit = 'letterbox'


class YoloPose(KeypointDecoder):
    """Keypoints chosen on the object, in the order of the card's ``keypoints_m``."""

    family = 'yolo_pose'
    parameters = YoloPoseParameters
    input_defaults = {'colour': 'rgb', 'mean': [0.0, 0.0, 0.0], 'std': [1.0, 1.0, 1.0]}
    least_sigma_px = 1.0
    edge = 0.0

    layout: OutputLayout

    @classmethod
    def check_card(cls, card: ModelCard) -> None:
        """Refuse keypoints that cannot be this mesh's: in other units, or in another frame."""
        points = card.network.parameters.keypoints_m
        farthest = float(np.linalg.norm(points - card.mesh.centre, axis=1).max())
        if farthest > card.diameter_m:
            raise card.parameter_error('keypoints_m', f'points within a diameter, {card.diameter_m:.4g} m, of the '
                                       f'middle of {card.mesh_path.name}, not {farthest:.4g} m from it')

    @classmethod
    def object_keypoints(cls, card: ModelCard) -> np.ndarray:
        return card.network.parameters.keypoints_m

    def check_output(self, shape: Sequence[object]) -> None:
        """Settle on the layout that the output's shape and the card leave possible."""
        parameters: YoloPoseParameters = self.network.card.parameters
        possible = layouts(len(self.points), parameters.classes, parameters.layout)
        fitting = [layout for layout in possible if layout.fits(shape)]
        where = f'{self.network.card.path}: decoder.layout'
        if not fitting:
            raise ModelCardError(f'{where}: {len(self.points)} keypoints and {parameters.classes} classes make '
                                 f'{", ".join(map(str, possible))}, the network gives {list(shape)}; are '
                                 'keypoints_m and classes those of the network?')
        if len(fitting) > 1:
            raise ModelCardError(f'{where}: expected rows or end_to_end, since the output {list(shape)} can be '
                                 'read as either')
        if fitting[0].name == 'rows' and parameters.class_id >= parameters.classes:
            raise ModelCardError(f'{self.network.card.path}: decoder.class: expected less than the number of '
                                 f'classes, {parameters.classes}, got {parameters.class_id}')
        self.layout = fitting[0]

    def decode(self, output: np.ndarray) -> list[KeypointInstance]:
        parameters: YoloPoseParameters = self.network.card.parameters
        return decode_yolo_pose(output, self.layout, parameters.class_id, parameters.threshold,
                                parameters.overlap, parameters.visibility)

    def channels(self, section: str) -> str:
        values = 'x, y' if self.layout.values == 2 else 'x, y, visibility'
        return f'{self.layout}: ' + CHANNELS[self.layout.name].format(
            classes=self.layout.classes, keypoints=self.layout.keypoints, values=values)


@dataclass(frozen=True)
class OutputLayout:
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

    def fits(self, shape: Sequence[object]) -> bool:
        """Whether an output of this shape can be so laid out; a length that is left open fits any."""
        length = shape[1 if self.name == 'rows' else 2] if len(shape) == 3 else 0
        return not isinstance(length, int) or length == self.channels

    def __str__(self) -> str:
        shape = f'[1, {self.channels}, A]' if self.name == 'rows' else f'[1, N, {self.channels}]'
        return f'{self.name} {shape}'


def layouts(keypoints: int, classes: int, wanted: str = 'auto') -> list[OutputLayout]:
    """Those that an output with these numbers may have.

    :param wanted: ``auto``, or the only one to consider
    """
    names = ('rows', 'end_to_end') if wanted == 'auto' else (wanted,)
    return [OutputLayout(name, keypoints, values, classes) for name in names for values in (2, 3)]


def decode_yolo_pose(output: np.ndarray, layout: OutputLayout, class_id: int = 0, threshold: float = 0.25,
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


def _best_of_rows(output: np.ndarray, layout: OutputLayout, class_id: int, threshold: float,
                  overlap: float) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint values (N, K * values) and scores (N,) of the class, the best where boxes overlap."""
    columns = output.T
    scores = columns[:, 4:4 + layout.classes]
    kept = (scores[:, class_id] >= threshold) & (scores.argmax(axis=1) == class_id)
    columns, scores = columns[kept], scores[kept, class_id]
    boxes = np.column_stack([columns[:, :2] - columns[:, 2:4] / 2, columns[:, 2:4]])  # left, top, width, height
    chosen = np.ravel(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, overlap)).astype(int)
    return columns[chosen, 4 + layout.classes:], scores[chosen]
