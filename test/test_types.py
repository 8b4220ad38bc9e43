# SPDX-License-Identifier: Apache-2.0
"""The package has types that a checker finds no fault with, and says so to the checkers of those who import it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import posegrasp_ros

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = Path(posegrasp_ros.__file__).resolve().parent


def not_as_locked() -> list[str]:
    """What is installed in another version than the lock's, with which libraries have other types."""
    locked = [Requirement(line) for line in (CHECKOUT / 'constraints.txt').read_text().splitlines()
              if not line.startswith('#')]
    found = {each.metadata['Name'].lower().replace('_', '-'): each.version
             for each in importlib.metadata.distributions()}
    return [f'{each.name} {found[each.name]}' for each in locked
            if (each.marker is None or each.marker.evaluate()) and each.name in found
            and not each.specifier.contains(found[each.name], prereleases=True)]


def test_the_installed_package_says_that_it_is_typed():
    assert (PACKAGE / 'py.typed').read_bytes() == b''


@pytest.mark.slow
def test_mypy_finds_no_error_in_the_package(tmp_path):
    pytest.importorskip('mypy')
    if others := not_as_locked():
        pytest.skip(f'types are checked with the versions of constraints.txt, found {", ".join(others)}')
    # mypy looks for the package in the working folder first, then where Python does
    folder = CHECKOUT if PACKAGE.parent == CHECKOUT else tmp_path
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--config-file', CHECKOUT / 'pyproject.toml', '--cache-dir', os.devnull],
        cwd=folder, capture_output=True, text=True)
    assert (done.stdout.strip().splitlines() or [done.stderr])[-1].startswith('Success'), done.stdout + done.stderr
