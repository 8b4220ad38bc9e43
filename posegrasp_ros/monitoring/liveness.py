# SPDX-License-Identifier: Apache-2.0
"""Liveness: detection of silent stages from arrival times on a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from posegrasp_ros.metrics.stage_report import SET_BACK_NS, STAGES, StageReport

OK, WARN, ERROR, STALE = 'ok', 'warn', 'error', 'stale'


@dataclass(frozen=True)
class Health:
    """Current status of a task.

    :param level: :data:`OK`; :data:`WARN`, its last report had no answer; :data:`ERROR`, a report is overdue;
        :data:`STALE`, it has no input
    :param text: one line of text
    """

    task: str
    level: str
    text: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass
class _Stage:
    inputs: int = 0
    reports: int = 0
    answered: int = 0
    last: StageReport | None = None
    reported_ns: int = -1
    owed_ns: int = -1
    owed_since_s: float | None = None
    last_input_s: float | None = None


class Liveness:
    """Tracks the inputs and the reports of each stage.

    Perception must report on images, planning on poses. Execution has no deadline, as not every plan is executed.
    A report settles all stamps up to its own, because a stage may skip images. Image and report may arrive in any
    order.

    :param silence_s: time after which a report is overdue, and a pause of the input makes a task stale
    """

    def __init__(self, silence_s: float):
        self._silence_s = silence_s
        self._stages = {stage: _Stage() for stage in STAGES}
        self._last_image_s: float | None = None
        self._last_image_ns = -1
        self._images = 0

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Add an image."""
        if stamp_ns < self._last_image_ns - SET_BACK_NS:
            # For example a recording that starts again: earlier reports are about another time.
            for stage in self._stages.values():
                stage.reported_ns = stage.owed_ns = -1
            self._last_image_ns = stamp_ns
        self._last_image_s, self._last_image_ns = now_s, max(stamp_ns, self._last_image_ns)
        self._images += 1
        self._give('perception', stamp_ns, now_s)

    def report(self, report: StageReport, now_s: float) -> None:
        """Add a stage report."""
        stage = self._stages[report.stage]
        stage.reports += 1
        stage.answered += report.ok
        stage.last = report
        stage.reported_ns = max(stage.reported_ns, report.stamp_ns)
        # A stage that reports, but not on the newest input yet, gets a new deadline.
        stage.owed_since_s = now_s if stage.owed_ns > stage.reported_ns else None
        if report.stage == 'perception' and report.ok:
            self._give('planning', report.stamp_ns, now_s)

    def paused(self, seconds: float) -> None:
        """Exclude a pause of the monitor itself from all waiting times."""
        if self._last_image_s is not None:
            self._last_image_s += seconds
        for stage in self._stages.values():
            if stage.owed_since_s is not None:
                stage.owed_since_s += seconds
            if stage.last_input_s is not None:
                stage.last_input_s += seconds

    def health(self, now_s: float) -> list[Health]:
        """Health of the camera and of every stage."""
        return [self.camera(now_s), *self.stages(now_s)]

    def stages(self, now_s: float) -> list[Health]:
        """Health of every stage."""
        return [self._stage(name, now_s) for name in STAGES]

    def silent(self, now_s: float) -> list[str]:
        """The stages with an overdue report."""
        return [name for name, stage in self._stages.items() if self._owed_s(stage, now_s) > self._silence_s]

    def _give(self, stage: str, stamp_ns: int, now_s: float) -> None:
        state = self._stages[stage]
        state.inputs += 1
        state.last_input_s = now_s
        if stamp_ns <= state.reported_ns:
            return
        state.owed_ns = max(state.owed_ns, stamp_ns)
        if state.owed_since_s is None:
            state.owed_since_s = now_s

    @staticmethod
    def _owed_s(stage: _Stage, now_s: float) -> float:
        """How long a report of a stage has been pending."""
        return 0.0 if stage.owed_since_s is None else now_s - stage.owed_since_s

    def camera(self, now_s: float) -> Health:
        """Health of the camera."""
        values = {'images': str(self._images)}
        if self._last_image_s is None:
            return Health('camera', STALE, 'no image yet', values)
        pause_s = now_s - self._last_image_s
        if pause_s > self._silence_s:
            return Health('camera', STALE, f'no image for {pause_s:.0f} s', values)
        return Health('camera', OK, 'receiving images', values)

    def _stage(self, name: str, now_s: float) -> Health:
        state = self._stages[name]
        values = {'inputs': str(max(state.inputs, state.reports)), 'reports': str(state.reports),
                  'answered': str(state.answered)}
        owed_s = self._owed_s(state, now_s)
        if owed_s > self._silence_s:
            return Health(name, ERROR, f'silent: report pending for {owed_s:.0f} s', values)
        if state.last is None:
            return Health(name, STALE, 'no input yet', values)
        pause_s = 0.0 if state.last_input_s is None else now_s - state.last_input_s
        if pause_s > self._silence_s and state.owed_since_s is None:
            return Health(name, STALE, f'no input for {pause_s:.0f} s', values)
        if 'latency_ms' in state.last.numbers:
            values['latency_ms'] = f'{state.last.numbers["latency_ms"]:.1f}'
        if not state.last.ok:
            return Health(name, WARN, state.last.reason, values)
        return Health(name, OK, 'answering', values)
