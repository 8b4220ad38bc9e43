# SPDX-License-Identifier: Apache-2.0
"""posegrasp baseline add --human: what two labellings of the same frames say of one labeller."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.ground_truth_file import ground_truth_lines
from posegrasp_ros.datasets.label_file import HEAD
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, perturb, rotation_from_vector
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.baselines.baselines import BaselineError, load_baselines
from posegrasp_ros.metrics.baselines.human_baseline import human_baseline
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget

ANY = ErrorTarget.without_mesh()
SECOND, MM, DEG = 1_000_000_000, 1e-3, float(np.radians(1))
POSE = make_transform(rotation_from_vector([0.7, -0.5, 0.3]), (0.05, -0.03, 0.4))


def written(path: Path, poses: dict[int, np.ndarray], ways: dict[int, str] | None = None) -> Path:
    marks = [f'# {way} {stamp}' for stamp, way in (ways or {}).items()]
    rows = ground_truth_lines((stamp, TruePose(pose)) for stamp, pose in poses.items())
    path.write_text('\n'.join([*marks, *rows]))
    return path


def step(x_mm: float = 0.0, turn_deg: float = 0.0) -> np.ndarray:
    return np.array([x_mm * MM, 0, 0, 0, 0, turn_deg * DEG])


@pytest.fixture
def both(tmp_path) -> tuple[Path, Path]:
    """Seven frames whose labels are 1 to 7 mm and 0.5 to 3.5 degrees apart."""
    first = {number * SECOND: POSE for number in range(1, 8)}
    second = {stamp: perturb(POSE, step(stamp / SECOND, 0.5 * stamp / SECOND)) for stamp in first}
    return written(tmp_path / 'ann.csv', first), written(tmp_path / 'bo.csv', second)


def test_one_labellers_error_is_the_difference_by_the_root_of_two(both):
    people = human_baseline(*both, ANY)
    np.testing.assert_allclose(people.position.values, np.arange(1, 8) * MM / math.sqrt(2), rtol=1e-5)
    entries = people.entries('human labeller')
    assert entries['position_error_median'].value == pytest.approx(4 * MM / math.sqrt(2), rel=1e-5)
    assert entries['rotation_error_median'].value == pytest.approx(2 * DEG / math.sqrt(2), rel=1e-5)
    interval = entries['position_error_median'].interval
    assert 0.9 * MM / math.sqrt(2) < interval.low < 4 * MM / math.sqrt(2) < interval.high < 7.1 * MM / math.sqrt(2)
    assert {entry.kind for entry in entries.values()} == {'human'}
    assert 'square root of 2' in entries['position_error_median'].note
    swapped = human_baseline(*both[::-1], ANY)
    np.testing.assert_allclose(swapped.position.values, people.position.values)


def test_the_error_of_labellers_who_err_alike_is_found(tmp_path):
    """Each label is off by 2 mm along each axis and 1° about each: the median error of one is known."""
    rng, sigmas = np.random.default_rng(0), np.repeat([2 * MM, 1 * DEG], 3)
    files = [written(tmp_path / f'{name}.csv', {number * SECOND: perturb(POSE, rng.normal(0, sigmas))
                                                for number in range(1, 401)}) for name in ('ann', 'bo')]
    people = human_baseline(*files, ANY)
    of_three = math.sqrt(2.366)  # median of a chi-square variable of 3 degrees of freedom
    for observed, sigma in ((people.position, 2 * MM), (people.rotation, 1 * DEG)):
        assert observed.value == pytest.approx(of_three * sigma, rel=0.1)
        assert observed.interval.low < of_three * sigma < observed.interval.high


def test_a_turn_that_does_not_show_is_no_difference(tmp_path):
    half = np.diag([-1.0, -1.0, 1.0, 1.0])
    files = [written(tmp_path / 'ann.csv', {number * SECOND: POSE for number in range(6)}), written(
        tmp_path / 'bo.csv', {number * SECOND: perturb(POSE @ half, step(3)) for number in range(6)})]
    people = human_baseline(*files, ErrorTarget.without_mesh(Symmetry.generated([half])))
    assert people.rotation.value == pytest.approx(0, abs=1e-6)
    assert people.position.value == pytest.approx(3 * MM / math.sqrt(2), rel=1e-5)
    assert human_baseline(*files, ANY).rotation.value == pytest.approx(math.pi / math.sqrt(2), rel=1e-5)


def test_only_frames_with_a_pose_in_both_count(tmp_path):
    first = written(tmp_path / 'ann.csv', {SECOND: POSE, 2 * SECOND: POSE, 5 * SECOND: POSE},
                    {SECOND: 'refined', 3 * SECOND: 'absent'})
    second = written(tmp_path / 'bo.csv', {SECOND: perturb(POSE, step(1)), 3 * SECOND: POSE, 5 * SECOND: POSE},
                     {SECOND: 'refined', 2 * SECOND: 'skipped'})
    people = human_baseline(first, second, ANY)
    assert len(people.position) == 2 and people.only_in_one == 2 and not people.has_interval
    assert people.source == 'labels ann.csv and bo.csv; n = 2, refined in both 1'


def test_frames_of_a_second_are_one_observation(tmp_path):
    stamps = [number * SECOND // 10 for number in range(40)]
    files = [written(tmp_path / f'{shift}.csv', {stamp: perturb(POSE, step(shift)) for stamp in stamps})
             for shift in (0, 2)]
    assert not human_baseline(*files, ANY).has_interval  # four blocks of a second
    assert human_baseline(*files, ANY, block_s=0.1).has_interval


def test_the_ledger_gets_the_entries(both, tmp_path, capsys, scripted_model):
    path = tmp_path / 'baselines.yaml'
    for _ in range(2):  # again replaces
        assert main(['baseline', 'add', '--human', *map(str, both), '--model', str(scripted_model),
                     '--baselines', str(path)]) == 0
    assert 'position_error_median: 2.83 mm [0.71, 4.95] of one labeller' in capsys.readouterr().out
    for metric, value in (('position_error_median', 4 * MM), ('rotation_error_median', 2 * DEG)):
        entry, = (each for each in load_baselines(path).metrics[metric].entries if each.kind == 'human')
        assert entry.value == pytest.approx(value / math.sqrt(2), rel=1e-4) and entry.name == 'human labeller'
        assert 'ann.csv and bo.csv; n = 7' in entry.source and entry.interval and entry.fair


@pytest.mark.parametrize('options, said', [
    ([], '--from, --human: expected one of the two'),
    (['--from', 'run', '--human', 'a.csv', 'b.csv'], '--from, --human: expected one of the two'),
    (['--human', 'a.csv', 'b.csv', '--partial'], '--partial: expected with --from'),
    (['--from', 'run', '--model', 'box'], '--model: expected with --human'),
    (['--from', 'run', '--block', '2'], '--block: expected with --human'),
    (['--human', 'a.csv'], '--human: expected two labellings of the same frames, got 1'),
    (['--human', 'ann.csv', 'ann.csv'], 'found the same poses in both'),
    (['--human', 'ann.csv', 'late.csv'], 'found no stamp with a pose in both'),
    (['--human', 'ann.csv', 'twice.csv'], 'expected one label a frame, got two of the stamp 1000000000 ns'),
    (['--human', 'ann.csv', 'world.csv'], "expected labels in the camera's frame, got one in 'world'"),
    (['--human', 'ann.csv', 'nowhere.csv'], 'no such file'),
    (['--human', 'ann.csv', 'bo.csv', '--metrics', 'ar_mssd'], 'with --human, got ar_mssd')])
def test_what_tells_nothing_of_people_is_refused(both, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / 'late.csv', {99 * SECOND: POSE})
    text = both[0].read_text()
    (tmp_path / 'twice.csv').write_text(f'{text}\n{text.splitlines()[1]}')
    (tmp_path / 'world.csv').write_text('stamp_s,x,y,z,qx,qy,qz,qw,frame_id\n1,0,0,1,0,0,0,1,world\n')
    assert main(['baseline', 'add', *options]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / 'baselines.yaml').exists()


def test_labels_of_two_objects_or_of_another_than_the_models_are_refused(both, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for path, name, mesh in zip(both, ('box', 'can'), ('1f', '2e')):
        path.write_text(f'{HEAD}{{"object": "{name}", "mesh": "{mesh}"}}\n{path.read_text()}')
    assert main(['baseline', 'add', '--human', 'ann.csv', 'bo.csv']) == 2
    assert "'1f' and '2e'" in (said := capsys.readouterr().err) or "'box' and 'can'" in said
    both[1].write_text(both[1].read_text().replace('"can"', '"box"').replace('2e', '1f'))
    assert main(['baseline', 'add', '--human', 'ann.csv', 'bo.csv', '--model', 'box']) == 2
    assert 'expected labels of the mesh of --model' in capsys.readouterr().err


def test_without_a_pose_there_is_nothing_to_compare(tmp_path):
    with pytest.raises(BaselineError, match='no stamp'):
        human_baseline(written(tmp_path / 'a.csv', {}), written(tmp_path / 'b.csv', {}), ANY)
