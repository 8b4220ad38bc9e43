# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from posegrasp_ros.runs.provenance import BagDescriptions, describe_bag, describe_run


def test_a_file_is_known_by_the_hash_of_its_bytes(tmp_path):
    file = tmp_path / 'bag.mcap'
    file.write_bytes(b'x' * 3_000_000)
    about = describe_bag(file)
    assert about['sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert about['files'] == {'bag.mcap': 3_000_000}


def test_a_folder_is_known_by_all_of_its_files_whatever_it_is_called(tmp_path):
    hashes = []
    for name, content in (('a', b'1'), ('b', b'1'), ('c', b'2')):
        (tmp_path / name / 'sub').mkdir(parents=True)
        (tmp_path / name / 'metadata.yaml').write_bytes(b'same')
        (tmp_path / name / 'sub' / 'x.mcap').write_bytes(content)
        about = describe_bag(tmp_path / name)
        assert about['files'] == {'metadata.yaml': 4, 'sub/x.mcap': 1}
        hashes.append(about['sha256'])
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.skipif(sys.platform != 'linux', reason='sha256sum is a tool of Linux')
def test_the_hash_of_a_folder_can_be_had_by_hand(tmp_path):
    for name in ('a.mcap', 'b.mcap'):
        (tmp_path / name).write_text(name)
    shell = subprocess.run(
        'sha256sum a.mcap b.mcap | sha256sum', shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert shell.stdout.split()[0] == describe_bag(tmp_path)['sha256']


def test_of_very_many_files_their_number_and_sum_are_told(tmp_path):
    for number in range(25):
        (tmp_path / f'{number}.png').write_bytes(b'12')
    assert describe_bag(tmp_path)['files'] == {'25 files': 50}


def test_a_configuration_is_kept_with_a_hash_that_changes_with_it():
    first, same, other = (describe_run(configuration=each)['configuration']
                          for each in ({'a': 1, 'b': 2}, {'b': 2, 'a': 1}, {'a': 1, 'b': 3}))
    assert first['sha256'] == same['sha256'] != other['sha256'] and first['a'] == 1


def test_machine_and_versions_are_told():
    about = describe_run(seed=5)
    assert about['host']['processor'] and about['host']['cpus'] >= 1 and about['seed'] == 5
    assert all(about['versions'][name] for name in ('python', 'numpy', 'opencv', 'onnxruntime', 'rosbags', 'mcap'))


def test_recordings_are_hashed_while_something_else_goes_on(tmp_path):
    paths = [tmp_path / name for name in ('one', 'other')]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    with BagDescriptions(paths) as bags:
        assert bags.result() == [describe_bag(path) for path in paths]
        assert bags.are_done and bags.hashed_bytes == bags.total_bytes == 8000


def test_who_does_not_wait_for_a_hash_gets_none(tmp_path):
    path = tmp_path / 'large'
    path.write_bytes(bytes(100))
    with BagDescriptions([path] * 3) as bags:
        bags.stop()
    assert describe_bag(path, lambda count: False) == {**describe_bag(path), 'sha256': None}
    assert bags.result()[-1]['files'] == {'large': 100}


def test_names_that_are_not_utf_8_count_too(tmp_path):
    for number in range(30):
        (tmp_path / f'caf\udce9{number}.png').write_bytes(b'')
    assert describe_bag(tmp_path)['files'] == {'30 files': 0}
