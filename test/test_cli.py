# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, one clear line on bad input, results that scripts can rely on."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.estimation.model_card import write_card
from posegrasp_ros.runtime.resources import resource_path


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
    assert main(['evaluate', str(recording), '--out', str(tmp_path), '--compare-with', '-v']) == 0
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


def test_the_terminal_shows_three_lines_and_a_path(recording, tmp_path, capsys):
    assert main(['evaluate', str(recording), '--out', str(tmp_path), '--compare-with', '--estimator',
                 'mean_pose']) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith('Pose within 1 cm and 5°: 0.0 %') and lines[3] == ''
    assert lines[1].startswith('Failed: 6 of 6 frames: ') and lines[2].startswith('Time: perception ')
    assert lines[4].startswith('What helps: ') and lines[-1] == f'report: {tmp_path / "report.html"}'
    assert len(lines) <= 8


def test_the_oracle_reaches_everything_and_passes_the_gate(recording, tmp_path):
    code = main(['evaluate', str(recording), '--estimator', 'oracle', '--compare-with', '--gate',
                 '--out', str(tmp_path)])
    assert code == 0
    assert json.loads((tmp_path / 'summary.json').read_text())['metrics']['recall_1cm_5deg']['value'] == 1.0


def test_the_mean_pose_fails_the_gate(recording, tmp_path, capsys):
    code = main(['evaluate', str(recording), '--estimator', 'mean_pose', '--compare-with', '--gate',
                 '--out', str(tmp_path)])
    assert code == 3
    said = capsys.readouterr().err
    assert 'MISSED: recall_1cm_5deg: 0.0 %' in said and 'held: image_to_pose_p50' in said


@pytest.mark.parametrize('options, code, said', [
    (['--no-object', '--estimator', 'oracle'], 0, 'held: false_poses: 0.0 %'),
    (['--paint-over', '--estimator', 'mean_pose'], 3, 'MISSED: false_poses: 100.0 %'),
    (['--estimator', 'oracle', '--require', 'recall_1cm_5deg=97%', 'position_error_median=2mm'], 0,
     'held: position_error_median: 0.00 mm [0.00, 0.00], needed at most 2.00 mm'),
    (['--estimator', 'mean_pose', '--require', 'image_to_pose_p50=0.0001'], 3, 'MISSED: image_to_pose_p50'),
])
def test_what_is_asked_of_a_run_decides_the_gate(recording, tmp_path, capsys, options, code, said):
    assert main(['evaluate', str(recording), *options, '--gate', '--out', str(tmp_path), '--compare-with']) == code
    assert said in capsys.readouterr().err


def test_photographs_without_the_object_are_evaluated_as_a_folder(recording, tmp_path, capsys):
    for index, frame in enumerate(read_frames(recording)):
        cv2.imwrite(str(tmp_path / f'{index}.png'), frame.image)
    assert main(['evaluate', str(tmp_path), '--no-object', '--hfov', '70', '--estimator', 'mean_pose',
                 '--compare-with',
                 '--out', str(tmp_path / 'run')]) == 0
    assert 'False poses (object absent): 100.0 %' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, words', [
    (['record', 'out', '--occlusion', '0.6:0.3'], 'the lower first'),
    (['record', 'out', '--occlusion', 'half'], 'LOW:HIGH such as 0.3:0.6'),
    (['evaluate', 'bag', '--hfov', '0'], 'between 1 and 170 degrees'),
    (['evaluate', 'bag', '--require', 'speed=3'], 'METRIC=VALUE'),
    (['evaluate', 'bag', '--require', 'position_error_median=2deg'], 'a number followed by m or mm or cm'),
])
def test_options_that_cannot_be_are_refused_with_what_is_expected(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


def test_a_recording_without_ground_truth_fails_the_gate(recording, tmp_path, capsys):
    with BagWriter(tmp_path / 'blind') as writer:
        for frame in read_frames(recording):
            writer.write(replace(frame, camera_from_object=None))
    code = main(['evaluate', str(tmp_path / 'blind'), '--estimator', 'mean_pose', '--gate', '--out',
                 str(tmp_path / 'run'), '--compare-with'])
    assert code == 3
    assert 'MISSED: recall_1cm_5deg: not measured' in capsys.readouterr().err


def test_grasps_are_planned_in_the_frame_that_is_named(recording, tmp_path):
    def planned(*options) -> dict:
        assert main(['evaluate', str(recording), '--estimator', 'oracle', '--out', str(tmp_path), *options,
                     '--replace', '--compare-with']) == 0
        return json.loads((tmp_path / 'summary.json').read_text())['stages']['planning']

    assert planned()['answered'] > 0
    assert planned('--base-frame', 'world')['inputs'] == 0
    assert planned('--support-height', '0.5')['answered'] == 0, 'objects far below the table'
    moved = ['--base-from-camera', '0.4', '0', '5', '1', '0', '0', '0']
    assert planned('--base-frame', 'world', *moved)['inputs'] == 6


@pytest.mark.slow
def test_bench_prints_json_for_scripts(capsys):
    assert main(['bench', '--frames', '2', '--repeats', '1', '--threads', '1', '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['image'] == [640, 480] and result['threads'] == 1
    assert result['ratio'] == pytest.approx(
        result['image_to_pose_ms']['p50'] / result['onnxruntime_ms']['p50'], rel=0.01)
    assert result['image_to_pose_ms']['p95'] >= result['image_to_pose_ms']['p50'] > 0


def test_same_seed_same_recording(recording, tmp_path):
    assert main(['record', str(tmp_path / 'again'), '--scenes', '6', '--seed', '5']) == 0
    pairs = list(zip(read_frames(recording), read_frames(tmp_path / 'again'), strict=True))
    assert len(pairs) == 6
    for first, second in pairs:
        assert first.stamp_ns == second.stamp_ns
        for name in ('image', 'camera_from_object', 'base_from_camera'):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(first.camera.matrix, second.camera.matrix)


def test_a_missing_model_is_refused(recording, tmp_path, capsys):
    line = refused(capsys, 'evaluate', recording, '--model', tmp_path / 'none', '--out', tmp_path / 'run')
    assert 'none/model.yaml: no such file' in line


def test_a_damaged_network_is_refused(recording, model, tmp_path, capsys):
    with (model / 'model.onnx').open('r+b') as file:
        file.write(b'damage')
    line = refused(capsys, 'evaluate', recording, '--model', model, '--out', tmp_path / 'run')
    assert 'the hash of model.onnx' in line


def test_a_wrong_field_of_the_card_is_refused(recording, model, tmp_path, capsys):
    card = yaml.safe_load((model / 'model.yaml').read_text())
    card['object']['diameter_m'] = 141.5
    write_card(model, card)
    line = refused(capsys, 'evaluate', recording, '--model', model, '--out', tmp_path / 'run')
    assert 'object.diameter_m: expected a length in metres' in line


def test_what_is_no_bag_is_refused(tmp_path, capsys):
    (tmp_path / 'notes.mcap').write_text('these are notes')
    assert 'notes.mcap' in refused(capsys, 'evaluate', tmp_path / 'notes.mcap', '--out', tmp_path / 'run')


def test_a_bag_that_is_cut_off_is_read_up_to_the_damage(recording, tmp_path):
    frames = list(read_frames(recording)) * 8  # several chunks, the last of which gets lost
    with BagWriter(tmp_path / 'long') as writer:
        for index, frame in enumerate(frames):
            writer.write(replace(frame, stamp_ns=(index + 1) * 1_000_000_000))
    whole = (tmp_path / 'long' / 'long.mcap').read_bytes()
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(whole[:len(whole) * 2 // 3])
    assert main(['evaluate', str(cut), '--estimator', 'oracle', '--out', str(tmp_path / 'run'),
                 '--compare-with']) == 0
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert len(frames) // 3 < summary['stages']['perception']['inputs'] < len(frames)
    assert any('cut' in line for line in summary['provenance']['warnings'])


def test_an_existing_folder_is_not_recorded_over(recording, capsys):
    assert 'already exists' in refused(capsys, 'record', recording, '--scenes', '1')


@pytest.mark.parametrize('arguments, expected', [
    ('record x --scenes 0', "--scenes: expected a whole number of at least 1, got '0'"),
    ('record x --scenes many', "got 'many'"),
    ('record x --seed -1', '--seed: expected a whole number from 0'),
    ('record x --size 640', 'expected WIDTHxHEIGHT'),
    ('demo --picks 0', '--picks: expected a whole number of at least 1'),
    ('demo --seed -1', '--seed: expected'),
    ('bench --frames 0', '--frames: expected'),
    ('bench --repeats 0', '--repeats: expected'),
    ('bench --threads 0', '--threads: expected'),
    ('evaluate x --threads 0', '--threads: expected'),
    ('evaluate x --support-height nan', '--support-height: expected a number'),
    ('evaluate x --base-from-camera 0 0 1 0 0 0 2', 'a quaternion qx qy qz qw of length 1, got one of length 2'),
    ('train x.obj --minutes 0', "--minutes: expected a time above 0, got '0'"),
    ('train x.obj --minutes inf', '--minutes: expected'),
    ('train x.obj --seed -1', '--seed: expected'),
])
def test_bad_options_are_refused(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capsys, *arguments.split())


def test_training_without_a_mesh_is_refused(capsys, tmp_path):
    pytest.importorskip('torch', reason='training needs the extra [train]')
    assert 'gone.obj' in refused(capsys, 'train', tmp_path / 'gone.obj', '--out', tmp_path / 'out')


@pytest.mark.parametrize('command', ['record', 'evaluate', 'train', 'demo'])
def test_an_output_folder_that_cannot_be_is_refused(command, recording, model, capsys, tmp_path):
    for name in {'train': ['torch'], 'demo': ['rclpy']}.get(command, []):
        pytest.importorskip(name, reason=f'{command} needs an extra')
    (tmp_path / 'file').write_text('')
    out = tmp_path / 'file' / 'run'
    arguments = {'record': [out], 'evaluate': [recording, '--compare-with', '--out', out],
                 'train': [model / 'mesh.obj', '--out', out], 'demo': ['--out', out]}[command]
    assert str(tmp_path / 'file') in refused(capsys, command, *arguments)


def test_help_of_every_command_teaches(capsys):
    for command in ('demo', 'record', 'evaluate', 'train', 'bench'):
        assert main([command, '--help']) == 0
        said = capsys.readouterr().out
        assert 'Example' in said and 'None' not in said and 'False' not in said and '[' + "'" not in said


def test_depth_is_recorded_and_used_and_tracking_is_asked_for_on_the_command_line(tmp_path, capsys):
    scenes, run = tmp_path / 'scenes', tmp_path / 'run'
    assert main(['record', str(scenes), '--scenes', '2', '--depth']) == 0
    assert main(['evaluate', str(scenes), '--depth-topic', '/camera/depth/image_raw', '--track', '--out', str(run),
                 '--compare-with']) == 0
    provenance = json.loads((run / 'summary.json').read_text())['provenance']
    assert (provenance['tracking'], provenance['depth_topic']) == (True, '/camera/depth/image_raw')
    assert '/nope: no such topic' in refused(
        capsys, 'evaluate', scenes, '--depth-topic', '/nope', '--out', run, '--replace')


@pytest.mark.parametrize(('stdout', 'code', 'said'), [
    ('| true', 0, ''),
    ('> /dev/full', 2, 'posegrasp: error: stdout: expected a file or pipe that can be written'),
    ('>&-', 0, ''),
    ('| cat', 0, ''),
])
def test_output_may_go_anywhere(tmp_path, stdout, code, said):
    """Here an escape sequence, from a command that imports nothing, to a terminal that knows ASCII alone."""
    program = ("from types import SimpleNamespace as Parsed; from posegrasp_ros.cli import main, parser; "
               "from posegrasp_ros.runtime.console import show; "
               "parsed = lambda: show('5° \\x1b[31m'), Parsed(args=(), kwargs={}), None; "
               "parser.command_line = lambda: Parsed(parse_args=lambda _: parsed, help_print=None); main.script()")
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', f'"$0" -c "$1" {stdout}', sys.executable, program],
                          cwd=tmp_path, env={**os.environ, 'PYTHONIOENCODING': 'ascii'}, capture_output=True,
                          text=True)
    assert (done.returncode, done.stderr.strip()[:len(said) or None]) == (code, said)
    assert done.stdout == ('5\\xb0 \\x1b[31m\n' if stdout == '| cat' else '')


def test_a_run_is_not_written_over(recording, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command, mine = ['evaluate', str(recording), '--estimator', 'oracle', '--compare-with'], tmp_path / 'mine'
    assert main([*command, '--out', 'mine']) == main(command) == main(command) == 0
    assert 'report: runs/evaluate-2/' in capsys.readouterr().out
    assert (tmp_path / 'runs/evaluate/summary.json').exists()
    before = (mine / 'summary.json').read_bytes()
    assert '--out: mine: expected a folder without a run, found one' in refused(capsys, *command, '--out', 'mine')
    assert (mine / 'summary.json').read_bytes() == before
    assert main([*command, '--out', 'mine', '--replace']) == 0 and (mine / 'summary.json').read_bytes() != before
