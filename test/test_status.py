# SPDX-License-Identifier: Apache-2.0
"""`posegrasp status`: gates are passed and failed by runs, and by nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import write_card
from run_frames import SECOND, TARGET, TRUTH, add_frame, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.feasibility.derived_entries import derived_entries
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.baselines.baselines_file import add_entries, add_run
from posegrasp_ros.metrics.pick_metrics import SCHEMA as PICKS_SCHEMA
from posegrasp_ros.metrics.pick_metrics import Attempt, conditions_of, summarise
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.project_status.project_files import FEASIBILITY, ProjectError, read_project
from posegrasp_ros.project_status.project_gates import Status, statuses
from posegrasp_ros.runs.provenance import describe_model

TIME = '2026-11-24T10:00:00+00:00'
REAL = {'name': 'kitchen', 'files': {}, 'sha256': 'ab' * 32, 'simulated': False}
SIMULATED = {**REAL, 'name': 'scenes', 'simulated': True}
MEASURED = {'data': '300 held-out simulated scenes', 'answered': 300, 'recall': 0.98,
            'position_error_median_m': 0.001, 'rotation_error_median_deg': 0.4}
NEEDS = {'grasp_success_rate': 0.95, 'position_error_median': 0.006, 'rotation_error_median': 0.05}


class ProjectFolder:
    """A project whose runs are made of numbers.

    :param path: of the project; the shipped box is its model, with a network that is none
    """

    def __init__(self, path: Path, model: Path):
        self.path, self.model = path, path / 'models' / 'box'
        shutil.copytree(model, self.model)
        self.train(b'first network')

    def train(self, network: bytes, **measured: float) -> None:
        """Put another network into the model folder, and a card that fits it."""
        (self.model / 'none.onnx').write_bytes(network)
        write_card(self.model, measured={**MEASURED, **measured}, provenance={'network': {'date': '2026-11-23'}})

    def write(self, name: str, summary: dict) -> Path:
        folder = self.path / 'runs' / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'summary.json').write_text(json.dumps(summary))
        return folder

    def provenance(self, **more) -> dict:
        return {'time': TIME, 'model': describe_model(load_model_card(self.model)), **more}

    def study(self, word: str = 'feasible', no_grasp: str = '', holds: bool = True, name: str = 'study',
              time: str = TIME, archetype: dict | None = None, **needs: float) -> None:
        """A feasibility study; its needs go into the baselines file."""
        needs = needs or NEEDS
        axes = [{'name': 'across the fingers', 'unit': 'm', 'limit': 0.004},
                {'name': 'about the approach', 'unit': 'rad', 'limit': 0.05},
                {'name': 'tilt between the pads', 'unit': 'rad', 'limit': 0.2}]
        reason = {'name': 'success', 'holds': holds, 'text': '91.0 % are expected.'}
        self.write(name, {
            'schema': FEASIBILITY, 'object': {'name': 'box', 'size_m': [0.12, 0.06, 0.045]},
            'gripper': {'name': 'panda'}, 'requirements': needs,
            'required': {'no_grasp_reason': no_grasp, 'gripper_axes': axes},
            'verdict': {'word': word, 'reasons': [reason], 'changes': [{'name': 'nearer camera'}]},
            'archetype': archetype, 'provenance': {'time': time}})
        add_entries(self.path / 'baselines.yaml', derived_entries(needs, 'box', '2026-11-24'))

    def evaluate(self, name: str, position_m: float = 0.002, angle_deg: float = 1.0, count: int = 60,
                 bag: dict = REAL, estimator: str = 'onnx', **provenance) -> Path:
        """A run of frames that are all so far off, with the features of the image beside, which find nothing."""
        run, beside = RunMetrics(TARGET, load_baselines()), RunMetrics(TARGET)
        for index in range(count):
            stamp_ns = index * SECOND
            run.add_truth(stamp_ns, TRUTH)
            run.add_estimate(stamp_ns, off_by(position_m * (1 + 0.01 * (index % 7)), angle_deg))
            run.add_report(StageReport(stamp_ns, 'perception', True, '', {'latency_ms': 40.0 + index % 3}))
            add_frame(beside, stamp_ns, 'no_features')
        summary = run.summary(self.provenance(bags=[bag], **provenance))
        return self.write(name, {**summary, 'estimator': estimator,
                                 'estimators': {'feature_match': {'metrics': beside.summary()['metrics']}}})

    def pick(self, name: str, lifted: int, count: int = 300, with_truth: int | None = None,
             gripper: str = 'panda') -> Path:
        """A picking run in simulation: of ``count`` with the estimated pose so many lift."""
        conditions = conditions_of('estimate')
        tries = {'truth': count if with_truth is None else with_truth, 'estimate': lifted}
        attempts = [Attempt(scene, 'box', condition, 'lifted' if scene < successes else 'slipped')
                    for condition, successes in tries.items() for scene in range(count)]
        models = {'box': describe_model(load_model_card(self.model))}
        provenance = {'time': TIME, 'seed': 1, 'gripper': gripper, 'models': models}
        return self.write(name, {'schema': PICKS_SCHEMA, 'complete': True, **summarise(attempts, conditions),
                                 'provenance': provenance})

    def complete(self) -> None:
        """All that a project in service has."""
        self.study()
        self.pick('picks', 299)
        summary = self.evaluate('real') / 'summary.json'
        add_run(self.path / 'baselines.yaml', json.loads(summary.read_text()), 'real')

    def status(self) -> Status:
        return statuses(read_project(self.path))[0]

    def gate(self, name: str):
        return next(gate for gate in self.status().gates if gate.name == name)

    def passed_gates(self) -> list[str]:
        return [gate.name for gate in self.status().gates if gate.has_passed]


@pytest.fixture
def project(tmp_path, scripted_model):
    return ProjectFolder(tmp_path / 'project', scripted_model)


def test_an_empty_folder_is_at_the_very_beginning(tmp_path):
    status, = statuses(read_project(tmp_path))
    assert status.phase == 'planning' and status.ways_back == []
    assert {gate.result for gate in status.gates} == {'undecided'}
    assert status.next_step.startswith('posegrasp feasibility MESH')


def test_a_folder_that_is_none_is_refused(tmp_path, capsys):
    with pytest.raises(ProjectError, match='no such folder'):
        read_project(tmp_path / 'nowhere')
    assert main(['status', str(tmp_path / 'nowhere')]) == 2


def test_a_card_opens_its_gates_and_nothing_else(project):
    assert project.passed_gates() == ['model card', 'held-out figures']
    assert project.status().phase == 'planning'


def test_a_card_that_does_not_fit_its_files_shuts_all_that_is_of_the_model(project):
    project.complete()
    (project.model / 'none.onnx').write_bytes(b'changed behind the back of the card')
    assert 'sha256' in project.gate('model card').figure and project.gate('model card').result == 'failed'
    assert project.passed_gates() == ['baselines']


def test_a_model_that_may_not_be_read_is_a_problem_of_that_model_alone(project, monkeypatch):
    def denied(folder):
        raise PermissionError(13, 'Permission denied', str(folder / 'none.onnx'))

    project.complete()
    monkeypatch.setattr('posegrasp_ros.project_status.project_files.load_model_card', denied)
    assert 'none.onnx: expected a file that can be read: Permission denied' in project.gate('model card').figure


def test_a_project_with_all_its_runs_is_in_service(project):
    project.complete()
    status = project.status()
    assert all(gate.has_passed for gate in status.gates), [gate for gate in status.gates if not gate.has_passed]
    assert (status.phase, status.next_step, status.ways_back) == ('in service', '', [])


def test_every_open_gate_names_the_run_its_date_and_hashes(project):
    project.complete()
    for gate in project.status().gates:
        assert gate.has_passed and gate.proof.date.startswith('2026-11-2') and len(gate.proof.sha256) == 64
        assert (project.path / gate.proof.run).is_dir()
        assert any(letter.isdigit() for letter in gate.figure) or gate.name in ('model card', 'regression')


def test_deleting_the_proof_shuts_the_gate(project):
    project.complete()
    shutil.rmtree(project.path / 'runs' / 'real')
    assert set(project.passed_gates()) == {'requirement', 'feasible', 'model card', 'held-out figures',
                                           'simulation'}


def test_runs_of_another_network_open_nothing(project):
    project.complete()
    old = load_model_card(project.model).network_sha256[:8]
    project.train(b'second network')
    assert project.passed_gates() == ['requirement', 'feasible', 'baselines', 'model card', 'held-out figures']
    for name in ('simulation', 'real footage'):
        assert f'another model, {old}' in project.gate(name).figure
    assert project.status().phase == 'pilot'


def test_a_card_written_anew_makes_older_runs_of_the_same_network_count_no_more(project):
    project.complete()
    write_card(project.model, measured=MEASURED, covariance_scale={'translation': 2.0, 'rotation': 2.0})
    assert not {'simulation', 'real footage', 'regression'} & set(project.passed_gates())


@pytest.mark.parametrize(('date', 'has_passed'), [('2026-11-24', True), ('2026-11-22', False)])
def test_a_run_that_knows_no_card_counts_by_network_and_date(project, date, has_passed):
    project.study()
    network = load_model_card(project.model).network_sha256
    project.evaluate('real', model={'name': 'box', 'sha256': network}, time=f'{date}T00:00:00+00:00')
    assert project.gate('real footage').has_passed == has_passed


def test_the_need_is_that_of_the_newest_study(project):
    project.study()
    assert project.gate('requirement').has_passed and '6.00 mm' in project.gate('requirement').figure
    newer = derived_entries({'position_error_median': 0.02}, 'box', '2026-11-25')
    add_entries(project.path / 'baselines.yaml', newer)
    assert 'not in the baselines file for position_error_median' in project.gate('requirement').figure


def test_a_study_of_another_model_is_not_one_of_this_object_though_it_is_as_large(project):
    project.study()
    path = project.path / 'runs/study/summary.json'
    summary = json.loads(path.read_text())
    for name, passed in (('box', True), ('cereal', False)):
        summary['object'] |= {'name': name, 'model': {'sha256': 'some'}}
        path.write_text(json.dumps(summary))
        assert project.gate('feasible').has_passed == passed


def test_a_study_that_no_accuracy_is_enough_for_requires_none_and_shuts_the_gate(project):
    project.study('not feasible', holds=False, grasp_success_rate=0.95)
    gate = project.gate('requirement')
    assert not gate.has_passed and 'no pose error is small enough' in gate.figure
    assert 'another gripper' in gate.back


def test_where_no_grasp_fits_the_way_is_back_to_planning(project):
    project.study('not feasible', no_grasp='wider than the opening', holds=False)
    assert 'wider than the opening' in project.gate('requirement').figure
    assert all('back to planning' in way for way in project.status().ways_back)


def test_feasible_if_is_not_feasible_yet_and_says_what_would_change_it(project):
    project.study('feasible if', holds=False)
    gate = project.gate('feasible')
    assert not gate.has_passed and '91.0 % are expected' in gate.figure and 'nearer camera' in gate.to_do


def test_a_study_of_another_object_is_an_object_of_its_own(project):
    project.study()
    summary = json.loads((project.path / 'runs/study/summary.json').read_text())
    summary['object'] = {'name': 'mug', 'size_m': [0.1, 0.08, 0.09]}
    project.write('study', summary)
    box, mug = statuses(read_project(project.path))
    assert (mug.name, mug.model, mug.phases[0].gates[1].has_passed) == ('mug', '', True)
    assert not box.phases[0].gates[1].has_passed


def test_rotation_that_misses_its_need_goes_back_to_training_with_the_tolerance_of_the_grasp(project):
    project.study()
    project.train(b'poor network', rotation_error_median_deg=4.0)
    way, = project.status().ways_back
    assert way == ('rotation error, median 4.00°, at most 2.86° needed: back to training; '
                   'tolerance is 2.86° about the approach')


def test_picks_of_another_gripper_than_the_studied_one_prove_nothing(project):
    project.study()
    project.pick('picks', 299, gripper='suction cup')
    assert not project.gate('simulation').has_passed


def test_few_picks_prove_little(project):
    project.study()
    project.pick('picks', 20, count=20)
    gate = project.gate('simulation')
    assert not gate.has_passed and 'not decided yet' in gate.figure and gate.back == ''


@pytest.mark.parametrize(('with_truth', 'back_to'), [(300, 'back to training'), (205, 'with the true pose too')])
def test_failed_picks_go_back_to_what_failed(project, with_truth, back_to):
    project.study()
    project.pick('picks', 200, with_truth=with_truth)
    assert not project.gate('simulation').has_passed and back_to in project.gate('simulation').back


def test_a_simulated_recording_is_no_real_footage(project):
    project.study()
    project.evaluate('sim', bag=SIMULATED)
    assert not project.gate('real footage').has_passed and project.gate('baselines').has_passed


def test_the_oracle_proves_nothing(project):
    project.study()
    project.evaluate('cheating', estimator='oracle')
    gate = project.gate('real footage')
    assert not gate.has_passed and 'estimator oracle' in gate.figure


def test_a_run_that_was_cut_short_proves_nothing(project):
    project.study()
    project.evaluate('half', complete=False)
    assert 'was interrupted' in project.gate('real footage').figure


def test_real_footage_that_fails_where_simulation_does_not_is_a_matter_of_the_data(project):
    project.study()
    project.evaluate('real', angle_deg=20.0)
    gate = project.gate('real footage')
    assert not gate.has_passed and 'back to data' in gate.back and 'tolerance is' in gate.back


def test_every_recording_counts_and_the_newest_run_on_it(project):
    project.study()
    cellar = {**REAL, 'name': 'cellar', 'sha256': 'cd' * 32}
    project.evaluate('hard', angle_deg=20.0, bag=cellar)
    project.evaluate('easy', time='2026-11-25T00:00:00+00:00')
    assert project.gate('real footage').proof.run == 'runs/hard'
    project.evaluate('hard again', bag=cellar, time='2026-11-26T00:00:00+00:00')
    assert project.gate('real footage').has_passed and '2 recordings' in project.gate('real footage').figure


def test_a_model_that_is_worse_than_the_one_before_does_not_go_into_service(project):
    project.complete()
    project.train(b'second network')
    assert 'has no run on kitchen' in project.gate('regression').figure
    project.evaluate('second', position_m=0.004)
    gate = project.gate('regression')
    assert not gate.has_passed and gate.proof.run == 'runs/second'
    assert 'keep the previous model in service' in gate.back
    project.evaluate('second', position_m=0.002)
    assert project.gate('regression').has_passed and 'run real' in project.gate('regression').figure


def test_a_baselines_file_in_the_folder_of_a_model_is_that_models(project):
    project.study()
    shutil.move(project.path / 'baselines.yaml', project.model / 'baselines.yaml')
    assert project.gate('requirement').has_passed


def test_broken_summaries_are_told_and_those_of_others_passed_over(project):
    (project.path / 'runs').mkdir()
    for name, text in (('broken', '{'), ('foreign', '{"schema": "other/1"}'),
                       ('old', '{"schema": "posegrasp.picks/1", "provenance": {}}'),
                       ('lacking', '{"schema": "posegrasp.summary/1", "provenance": {}}'),
                       ('void', json.dumps({'schema': FEASIBILITY, 'provenance': None, 'verdict': {}}))):
        (project.path / 'runs' / name).mkdir()
        (project.path / 'runs' / name / 'summary.json').write_text(text)
    told = [Path(problem.split(':')[0]).parent.name for problem in read_project(project.path).problems]
    assert told == ['broken', 'lacking', 'old', 'void']


def test_the_command_prints_for_people_and_for_programs(project, capsys):
    project.complete()
    assert main(['status', str(project.path), '--gate']) == 0
    text = capsys.readouterr().out
    assert 'in service' in text and 'runs/real, 2026-11-24, sha256' in text and 'failed' not in text
    shutil.rmtree(project.path / 'runs' / 'picks')
    assert main(['status', str(project.path), '--gate', '--json']) == 3
    status = json.loads(capsys.readouterr().out)
    assert (status['schema'], status['objects'][0]['phase']) == ('posegrasp.status/1', 'pilot')
    assert status['objects'][0]['phases'][2]['gates'][0]['to_do'].startswith('posegrasp picks')


def test_it_needs_neither_simulator_nor_pytorch(project):
    code = ('import sys; from posegrasp_ros.cli.main import main; main(["status", sys.argv[1]]); '
            'sys.exit(bool({"mujoco", "torch", "rclpy"} & set(sys.modules)))')
    assert subprocess.run([sys.executable, '-c', code, project.path], capture_output=True).returncode == 0


def test_what_record_writes_is_known_as_simulated(tmp_path):
    from posegrasp_ros.runs.provenance import describe_bag
    from posegrasp_ros.simulation.mesh_family import family_object
    from posegrasp_ros.simulation.record import record

    record(tmp_path / 'scenes', family_object('mug').mesh, scenes=1, seed=3, progress=False)
    mcap, = (tmp_path / 'scenes').glob('*.mcap')
    assert describe_bag(tmp_path / 'scenes')['simulated'] and describe_bag(mcap)['simulated']
    metadata = tmp_path / 'scenes' / 'metadata.yaml'
    about = yaml.safe_load(metadata.read_text())
    about['rosbag2_bagfile_information']['custom_data'] = {}
    metadata.write_text(yaml.safe_dump(about))
    assert not describe_bag(tmp_path / 'scenes')['simulated']
