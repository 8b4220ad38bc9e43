"""ModelMatch: whether all stages work on the object that they are believed to: a can's pose is no box's."""

from __future__ import annotations

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.liveness import ERROR, OK, Health


class ModelMatch:
    """Keeps which model each stage last said it works with.

    :param expected: the monitor's own, as :attr:`posegrasp_ros.estimation.model_card.ModelCard.identity`; empty
        where it has none
    """

    def __init__(self, expected: str = ''):
        self._models = {'monitor': expected} if expected else {}

    def report(self, report: StageReport) -> None:
        """A stage has said something; one that does not name its model is not judged."""
        if model := report.words.get('model'):
            self._models[report.stage] = model

    def health(self) -> Health:
        """An error while two of them differ."""
        told = ', '.join(f'{who} works with {model}' for who, model in self._models.items())
        if len(set(self._models.values())) > 1:
            return Health('model', ERROR, f'not one and the same: {told}', dict(self._models))
        return Health('model', OK, told or 'no stage names its model', dict(self._models))
