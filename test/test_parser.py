# SPDX-License-Identifier: Apache-2.0
"""What the command line makes of its arguments, before any command runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.cli.parser import COMMANDS, command_line
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS
from posegrasp_ros.geometry.camera_info import RECTIFIED

# Takes long to import, and is needed by what commands do, not to read their options.
HEAVY = ('numpy', 'cv2', 'onnxruntime', 'scipy', 'numba', 'trimesh', 'rosbags', 'jinja2', 'yaml', 'pydantic')


def parsed(line: str) -> dict:
    """What the command is called with, the fields of its groups of options beside the others."""
    _, bound, _ = command_line().parse_args(line.split())
    bound.apply_defaults()
    values: dict = {}
    for name, value in bound.arguments.items():
        values |= vars(value) if hasattr(value, '__dataclass_fields__') else {name: value}
    return values


@pytest.mark.parametrize(('line', 'expected'), [
    ('evaluate a b --gate', {'bags': ['a', 'b'], 'gate': True}),
    ('evaluate --gate a --out=run', {'bags': ['a'], 'gate': True, 'out': 'run'}),
    ('evaluate a', {'estimator': 'onnx', 'compare_with': None, 'threads': None, 'match_tolerance': TOLERANCE_MS,
                    'rectified': RECTIFIED[0], 'require': ()}),
    ('evaluate a --compare-with', {'compare_with': ()}),
    ('evaluate a --compare-with oracle mean_pose --gate', {'compare_with': ('oracle', 'mean_pose'), 'gate': True}),
    ('evaluate a --compare-with -- b', {'compare_with': (), 'bags': ['a', 'b']}),
    ('evaluate a --require recall_1cm_5deg=97% ar_mssd=0.5 --require position_error_median=2mm', {
        'require': (('recall_1cm_5deg', 0.97), ('ar_mssd', 0.5), ('position_error_median', 0.002))}),
    ('evaluate a --base-from-camera 0.4 -1 .5 1e-3 0 0 -1', {'base_from_camera': (0.4, -1, 0.5, 1e-3, 0, 0, -1)}),
    ('evaluate a --support-height -0.02', {'support_height': -0.02}),
    ('evaluate a --jobs 2 --jobs 3', {'jobs': 3}),
    ('evaluate [a,b] {}', {'bags': ['[a,b]', '{}']}),
    ('evaluate -- --gate', {'bags': ['--gate'], 'gate': False}),
    ('feasibility box --distance 0.5', {'distance': (0.5, 0.5)}),
    ('feasibility box --distance 0.5:0.7 --size 320x240', {'distance': (0.5, 0.7), 'size': (320, 240)}),
    ('feasibility box --symmetry-half-turn x --symmetry-half-turn y', {'symmetry_half_turn': ('x', 'y')}),
    ('picks --noise-mm 5 10 --noise-deg 20', {'noise_mm': (5, 10), 'noise_deg': (20,)}),
    ('picks box can --pose estimate', {'objects': ('box', 'can'), 'pose': 'estimate'}),
    ('picks', {'objects': (), 'noise_mm': (), 'noise_deg': ()}),
    ('watch 0', {'source': '0', 'host': '127.0.0.1', 'port': None, 'track': False, 'hfov': 60, 'camera': None}),
    ('watch rtsp://10.0.0.2/a --no-page --save a.mp4', {'source': 'rtsp://10.0.0.2/a', 'no_page': True,
                                                       'save': Path('a.mp4')}),
    ('status', {'folder': Path('.'), 'baselines': None}),
    ('baseline add --from run --metrics ar_mssd ar_mspd', {'run_folder': Path('run'),
                                                           'metrics': ('ar_mssd', 'ar_mspd')}),
])
def test_arguments_become_values(line, expected):
    found = parsed(line)
    assert {name: found[name] for name in expected} == expected


def test_each_way_of_rectified_images_can_be_chosen():
    assert [parsed(f'evaluate a --rectified {word}')['rectified'] for word in RECTIFIED] == list(RECTIFIED)


@pytest.mark.parametrize(('line', 'said'), [
    ('evalute bag', 'evalute: there is no such command; did you mean evaluate\\?'),
    ('evaluate bag --estimater onnx', '--estimater: there is no such option; did you mean --estimator\\?'),
    ('evaluate bag --tracking', '--tracking: there is no such option; did you mean --track\\?'),
    ('evaluate bag --no-gate', '--no-gate: there is no such option'),
    ('evaluate bag --est onnx', '--est: there is no such option'),
    ('evaluate bag --nope=3', '--nope: there is no such option; see posegrasp evaluate --help'),
    ('evaluate bag --estimator oracel', '--estimator: expected one of onnx, .*, got .oracel.'),
    ('evaluate bag --rectified maybe', '--rectified: expected one of auto, yes, no, got .maybe.'),
    ('train box.obj --only netwrk', 'got .netwrk.; did you mean network\\?'),
    ('evaluate bag --gate=3', '--gate: expected no value, got .3.'),
    ('evaluate bag --threads', '--threads: expected a value, got none; see posegrasp evaluate --help'),
    ('evaluate bag --bop-object box', '--bop-object: expected a whole number, got .box.'),
    ('evaluate', 'BAGS: expected a value, got none'),
    ('evaluate bag --require', '--require: expected at least 1 value, got none'),
    ('evaluate bag --base-from-camera 0 0 1', '--base-from-camera: expected 7 values, got 3'),
    ('evaluate bag --base-from-camera 0 0 1 0 0 0 one', '--base-from-camera: expected a number, got .one.'),
    ('evaluate bag --ground-truth a.csv --ground-truth-topic /b',
     '--ground-truth-topic, --ground-truth: expected at most one of these'),
    ('record out --without-object --instances 2', '--without-object, --instances: expected at most one of these'),
    ('feasibility box --distance -1', "--distance: expected a number of at least 0, .* got '-1'"),
    ('watch 0 --port 70000', "--port: expected a whole number from 0 to 65535, got '70000'"),
    ('status here there', 'there: expected no more arguments; see posegrasp status --help'),
    ('baseline remove --from run', 'ACTION: expected one of add, got .remove.'),
    ('baseline add', '--from, --human: expected one of the two'),
    ('--verbose', '--verbose: there is no such command; expected one of demo, check, watch, evaluate, '),
])
def test_what_cannot_be_is_told_in_one_line_with_what_was_meant(line, said, capsys):
    assert main(line.split()) == 2
    captured = capsys.readouterr()
    (error,) = captured.err.splitlines()
    assert captured.out == '' and error.startswith('posegrasp: error: ')
    assert re.search(said, error), error


@pytest.mark.parametrize('arguments', [
    ['\x1b[31mred'], ['evaluate', '--\x1b[31mred'], ['demo', '\x1b[31mred'], ['picks', '--pose', '\x1b[31mred'],
    ['train', 'a', '--only', '\x1b[31mred']])
def test_no_escape_sequence_of_an_argument_reaches_the_terminal(arguments, capsys):
    assert main(arguments) == 2
    assert '\x1b' not in capsys.readouterr().err


def test_a_bare_call_shows_all_commands_under_headings(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    names = [run.__name__ for commands in COMMANDS.values() for run, _ in commands]
    assert len(names) == 24
    places = [said.index(f'│ {name} ') for name in names]
    headings = [said.index(f'─ {heading} ─') for heading in COMMANDS]
    assert places == sorted(places) and headings == sorted(headings) and headings[0] < places[0]
    assert '\x1b' not in said and 'Exit codes: 0 done' in said


@pytest.mark.parametrize('command', [run.__name__ for commands in COMMANDS.values() for run, _ in commands])
def test_the_help_of_every_command_has_an_example_and_says_what_every_option_is(command, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '300')
    assert main([command, '--help']) == 0
    said = capsys.readouterr().out
    assert 'Example' in said and f'posegrasp {command}' in said
    options = [line for line in said.splitlines() if line.startswith('│') and ' --' in line]
    assert options and all(len(line.strip('│ ').split('  ')) > 1 for line in options)


def test_colours_are_for_terminals_without_no_color():
    program = ("import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'posegrasp_ros.cli.main', 'status', "
               "'--help']) != 0)")

    def shown(**environment) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ('NO_COLOR', 'FORCE_COLOR')}
        return subprocess.run([sys.executable, '-c', program], env={**kept, 'TERM': 'xterm', **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout

    assert '\x1b[3' in shown() and '\x1b[3' not in shown(NO_COLOR='1')


@pytest.mark.parametrize('arguments', [[], ['--help'], ['evaluate', '--help'], ['feasibility', '--help'],
                                       ['evaluate', 'bag', '--compare-with', '--hfov', '0']])
def test_options_are_read_without_what_commands_need(arguments):
    program = ('import json, sys; from posegrasp_ros.cli.main import main; main(json.loads(sys.argv[1])); '
               'sys.stderr.write("loaded: " + json.dumps([name for name in json.loads(sys.argv[2]) '
               'if name in sys.modules]))')
    done = subprocess.run([sys.executable, '-c', program, json.dumps(arguments), json.dumps(HEAVY)],
                          capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == 'loaded: []', done.stderr


@pytest.mark.parametrize(('stdout', 'code', 'said'), [
    ('| true', 0, ''), ('>&-', 0, ''), ('> /dev/full', 2, 'posegrasp: error: output: expected a file')])
def test_help_may_go_anywhere(stdout, code, said):
    command = f'"$0" -m posegrasp_ros.cli.main evaluate --help {stdout}'
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', command, sys.executable], capture_output=True,
                          text=True)
    assert done.returncode == code and done.stderr.startswith(said) and len(done.stderr.splitlines()) == (code > 0)


@pytest.mark.parametrize(('shell', 'told'), [('bash', '--compare-with'), ('zsh', '--compare-with'),
                                             ('fish', '-l compare-with')])
def test_completions_are_written_for_each_shell(shell, told, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    path = tmp_path / 'completions'
    assert main(['--install-completion', '--shell', shell, '--output', str(path)]) == 0
    script = path.read_text()
    assert told in script and 'feasibility' in script and str(path) in capsys.readouterr().out


def test_bash_completes_commands_and_options(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    path = tmp_path / 'completions'
    assert main(['--install-completion', '--shell', 'bash', '--output', str(path)]) == 0

    def completed(*words: str) -> list[str]:
        program = (
            'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; '
            '$(complete -p posegrasp | sed "s/.*-F \\([^ ]*\\).*/\\1/") posegrasp "${@: -1}" "${@: -2:1}"; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
        return subprocess.run(['bash', '-c', program, str(path), *words], capture_output=True, text=True,
                              check=True).stdout.split()

    assert completed('posegrasp', 'eval') == ['evaluate']
    assert completed('posegrasp', 'evaluate', '--comp') == ['--compare-with']
