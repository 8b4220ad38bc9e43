# SPDX-License-Identifier: Apache-2.0
"""ModelMatch: checks that the monitor and all stages use the same model."""

from __future__ import annotations

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.liveness import ERROR, OK, Health


class ModelMatch:
    """Stores the model that each stage last reported.

    :param expected: model of the monitor, :attr:`posegrasp_ros.estimation.model_card.ModelCard.identity`; empty
        for none
    """

    def __init__(self, expected: str = ''):
        self._models = {'monitor': expected} if expected else {}

    def report(self, report: StageReport) -> None:
        """Process a stage report; reports that name no model are ignored."""
        if model := report.words.get('model'):
            self._models[report.stage] = model

    def health(self) -> Health:
        """An error while two models differ."""
        told = ', '.join(f'{who} uses {model}' for who, model in self._models.items())
        if len(set(self._models.values())) > 1:
            return Health('model', ERROR, f'models differ: {told}', dict(self._models))
        return Health('model', OK, told or 'no stage names its model', dict(self._models))
