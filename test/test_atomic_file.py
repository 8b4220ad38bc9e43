# SPDX-License-Identifier: Apache-2.0
"""A file is there whole or not at all, and what was wrong names it."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from posegrasp_ros.runtime.atomic_file import write_whole


def test_a_disk_that_is_full_leaves_what_was_there_and_is_named(tmp_path):
    path = tmp_path / 'card.yaml'
    write_whole(path, 'old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match=r'card\.yaml'):
            write_whole(path, 'new' * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


def test_names_that_utf_8_cannot_write_are_spelt_out(tmp_path):
    write_whole(tmp_path / 'page.html', 'caf\udce9')
    assert (tmp_path / 'page.html').read_text() == 'caf\\udce9'


@pytest.mark.parametrize('make', [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path.name)])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path, make):
    """Such as /dev/null, where root writes."""
    make(tmp_path / 'card.yaml')
    with pytest.raises(OSError, match=r'card\.yaml'):
        write_whole(tmp_path / 'card.yaml', 'text')
    assert [path.name for path in tmp_path.iterdir()] == ['card.yaml']
    assert not (tmp_path / 'card.yaml').is_file()


def test_a_folder_that_cannot_be_written_is_told_by_the_name_of_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write_whole(tmp_path / 'none' / 'thing.yaml', 'text')
    assert raised.value.filename == str(tmp_path / 'none' / 'thing.yaml')
