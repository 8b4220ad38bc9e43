"""The command line: exit codes, one clear line on bad input, results that scripts can rely on."""

import json
import shutil

import pytest
import yaml

from posegrasp_ros.cli import main
from posegrasp_ros.estimation.model_card import write_card
from posegrasp_ros.resources import resource_path


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """Six simulated scenes, written by the command that users call."""
    out = tmp_path_factory.mktemp('recording') / 'scenes'
    assert main(['record', str(out), '--scenes', '6', '--seed', '5']) == 0
    return out


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(resource_path('models/box'), tmp_path / 'box')


def refused(capsys, *arguments) -> str:
    """The one line that a refused command prints."""
    code = main([str(argument) for argument in arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if 'error' in line]
    assert code == 2 and len(lines) == 1, lines
    return lines[0]


def test_evaluate_writes_the_summary_that_scripts_read(recording, tmp_path, capsys):
    assert main(['evaluate', str(recording), '--out', str(tmp_path), '--beside']) == 0
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['schema'] == 'posegrasp.summary/1'
    assert set(summary['headline']) >= {'name', 'value', 'interval', 'n'}
    assert set(summary['stages']) == {'perception', 'planning', 'execution'}
    assert summary['stages']['perception']['inputs'] == 6
    assert set(summary['metrics']) >= {
        'position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct',
        'grasp_success_rate', 'image_to_pose_p50', 'image_to_grasp_p50'}
    assert summary['metrics']['recall_1cm_5deg']['n'] == 6
    assert {'metric', 'entry', 'kind', 'value', 'interval', 'reference', 'verdict'} <= set(summary['verdicts'][0])
    assert (tmp_path / 'report.html').is_file()
    assert 'recall' in capsys.readouterr().out


def test_the_oracle_reaches_everything_and_passes_the_gate(recording, tmp_path):
    code = main(['evaluate', str(recording), '--estimator', 'oracle', '--beside', '--gate',
                 '--out', str(tmp_path)])
    assert code == 0
    assert json.loads((tmp_path / 'summary.json').read_text())['metrics']['recall_1cm_5deg']['value'] == 1.0


def test_the_mean_pose_fails_the_gate(recording, tmp_path, capsys):
    code = main(['evaluate', str(recording), '--estimator', 'mean_pose', '--beside', '--gate',
                 '--out', str(tmp_path)])
    assert code == 3
    assert 'recall_1cm_5deg' in capsys.readouterr().err


def test_bench_prints_json_for_scripts(capsys):
    assert main(['bench', '--frames', '2', '--repeats', '1', '--threads', '1', '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['image'] == [640, 480] and result['threads'] == 1
    assert result['ratio'] == pytest.approx(
        result['image_to_pose_ms']['p50'] / result['onnxruntime_ms']['p50'], rel=0.01)
    assert result['image_to_pose_ms']['p95'] >= result['image_to_pose_ms']['p50'] > 0


def test_same_seed_same_recording(recording, tmp_path):
    assert main(['record', str(tmp_path / 'again'), '--scenes', '6', '--seed', '5']) == 0
    first, second = (next(folder.glob('*.mcap')).stat().st_size for folder in (recording, tmp_path / 'again'))
    assert first == second


def test_a_missing_model_is_refused(recording, tmp_path, capsys):
    line = refused(capsys, 'evaluate', recording, '--model', tmp_path / 'none', '--out', tmp_path / 'run')
    assert 'none/model.yaml: no such file' in line


def test_a_damaged_network_is_refused(recording, model, tmp_path, capsys):
    with (model / 'model.onnx').open('r+b') as file:
        file.write(b'damage')
    line = refused(capsys, 'evaluate', recording, '--model', model, '--out', tmp_path / 'run')
    assert 'which model.onnx hashes to' in line


def test_a_wrong_field_of_the_card_is_refused(recording, model, tmp_path, capsys):
    card = yaml.safe_load((model / 'model.yaml').read_text())
    card['object']['diameter_m'] = 141.5
    write_card(model, card)
    line = refused(capsys, 'evaluate', recording, '--model', model, '--out', tmp_path / 'run')
    assert 'object.diameter_m: expected a length in metres' in line


def test_what_is_no_bag_is_refused(tmp_path, capsys):
    (tmp_path / 'notes.mcap').write_text('these are notes')
    assert 'notes.mcap' in refused(capsys, 'evaluate', tmp_path / 'notes.mcap', '--out', tmp_path / 'run')


def test_a_bag_that_is_cut_off_is_read_up_to_the_damage(recording, tmp_path, caplog):
    source = next(recording.glob('*.mcap'))
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(source.read_bytes()[:source.stat().st_size * 2 // 3])
    code = main(['evaluate', str(cut), '--estimator', 'oracle', '--beside', '--out', str(tmp_path / 'run')])
    if code == 0:
        summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
        assert 0 < summary['stages']['perception']['inputs'] < 6
        assert any('cut' in line for line in summary['provenance']['warnings'])
    else:  # a bag this small may hold one chunk only, and nothing before the damage
        assert code == 2


def test_an_existing_folder_is_not_recorded_over(recording, capsys):
    assert 'exists already' in refused(capsys, 'record', recording, '--scenes', '1')


@pytest.mark.parametrize('arguments', [
    ['train', 'gone.obj'], ['record', 'x', '--scenes', '0'], ['train', 'gone.obj', '--minutes', '0'],
])
def test_bad_options_are_refused(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == 'train':
        pytest.importorskip('torch', reason='training needs the extra [train]')
    assert refused(capsys, *arguments)


def test_help_of_every_command_teaches(capsys):
    for command in ('demo', 'record', 'evaluate', 'train', 'bench'):
        with pytest.raises(SystemExit) as stop:
            main([command, '--help'])
        assert stop.value.code == 0
        assert 'Example:' in capsys.readouterr().out
