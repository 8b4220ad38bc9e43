# SPDX-License-Identifier: Apache-2.0
"""``posegrasp picks``: a picking run with progress bar, run folder and summary."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.metrics.pick_metrics import SCHEMA, Attempt, summarise
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.clips import Clip, clip_addresses
from posegrasp_ros.report.picks_report import main_condition, render_picks
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import describe_model, describe_run
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.pick import HOLD_S, LIFTED_M, SHAKE_M_S2
from posegrasp_ros.simulation.pick_film import FILM_HZ, PicksToFilm, TriedPick
from posegrasp_ros.simulation.picking import PickingRun, run_picks
from posegrasp_ros.simulation.render import RenderingError

LOGGER = logging.getLogger(__name__)


def measure_picks(run: PickingRun, count: int, jobs: int, out: Path, progress: bool = True) -> dict:
    """Pick in ``count`` scenes and write metrics.jsonl, summary.json and report.html.

    After Ctrl-C all three are written for the attempts so far, and the KeyboardInterrupt propagates.

    :return: the summary
    """
    attempts: list[Attempt] = []
    to_film = PicksToFilm(main_condition(run.conditions).name)
    provenance = _provenance(run)  # before the run, in case the models change during it
    clips: list[Clip] = []
    with RunFolder(out, fresh=True) as folder:
        try:
            with closing(run_picks(run, count, jobs)) as arriving:
                _collect(arriving, count * len(run.conditions), folder, attempts, to_film, progress)
            clips = _clips(run, to_film, progress)
        finally:
            if attempts:
                summary = _summary(run, attempts, count, provenance)
                folder.write_summary(summary, partial(render_picks, clips=clips))
    return summary


def _clips(run: PickingRun, to_film: PicksToFilm, progress: bool) -> list[Clip]:
    """Short clips of a few picks; the run's result does not depend on whether they can be drawn."""
    clips = []
    chosen = to_film.picks()
    try:
        for tried in Progress(chosen, desc='clips', unit='clip', disable=not progress):
            attempt = tried.attempt
            addresses = clip_addresses(run.film(tried), FILM_HZ)
            clips.append(Clip(attempt.object, attempt.ok, attempt.result,
                              f'scene {attempt.scene}, {attempt.condition}', *addresses))
    except RenderingError as error:
        LOGGER.warning('the report has no pictures of the picks: %s', error)
    return clips


def _collect(arriving: Iterable[TriedPick], count: int, folder: RunFolder, attempts: list[Attempt],
             to_film: PicksToFilm, progress: bool) -> None:
    """Record every attempt when it arrives."""
    lifted = 0
    with Progress(total=count, desc='picks', unit='pick', disable=not progress) as bar:
        for tried in arriving:
            attempt = tried.attempt
            to_film.consider(tried)
            folder.append(_report(attempt), object=attempt.object, condition=attempt.condition)
            attempts.append(attempt)
            lifted += attempt.ok
            bar.set_postfix_str(f'{lifted} lifted', refresh=False)
            bar.update()


def _report(attempt: Attempt) -> StageReport:
    """The attempt as a line of metrics.jsonl; scene numbers are used as stamps, as there are no images."""
    predicted = attempt.success_probability
    return StageReport(attempt.scene, 'execution', attempt.ok, '' if attempt.ok else attempt.result,
                       {} if predicted is None else {'success_probability': predicted})


def _provenance(run: PickingRun) -> dict:
    cards = {item.name: load_model_card(item.model) for item in run.objects if item.model}
    return {
        **describe_run(seed=run.seed), 'models': {name: describe_model(card) for name, card in cards.items()},
        'gripper': run.gripper.name, 'noise shape': run.noise_shape,
        'physics': {'lifted_m': LIFTED_M, 'shake_m/s2': SHAKE_M_S2, 'held_s': HOLD_S,
                    **{item.name: item.physics.text() for item in run.objects}},
    }


def _summary(run: PickingRun, attempts: list[Attempt], count: int, provenance: dict) -> dict:
    scenes = {'planned': count, 'tried': len({attempt.scene for attempt in attempts})}
    complete = len(attempts) == count * len(run.conditions)
    return {'schema': SCHEMA, 'scenes': scenes, 'complete': complete, **summarise(attempts, run.conditions),
            'provenance': provenance}
