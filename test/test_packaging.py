# SPDX-License-Identifier: Apache-2.0
"""What is installed is what the repository holds: no module and no data file more or less."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import posegrasp_ros
from posegrasp_ros.runtime.resources import resource_path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = 'posegrasp_ros'
SHARED = ('config/', 'launch/', 'models/', 'rviz/')


# Where rosdep calls it neither python3-NAME nor python3-NAME-pip; zstandard and lz4 come with mcap, pydantic 2
# with pydantic-xml.
ROSDEP_KEYS = {'opencv-python-headless': 'python3-opencv', 'pillow': 'python3-pil', 'pyyaml': 'python3-yaml',
               'pydantic': 'python3-pydantic-xml-pip',
               'mcap': 'mcap-ros2-support', 'zstandard': 'mcap-ros2-support', 'lz4': 'mcap-ros2-support'}
# Which rosdep has no key for, or, of numba, Ubuntu 24.04 no package; the manifest says so.
NOT_BY_ROSDEP = {'cyclopts', 'manifold3d', 'numba'}
# Of which rosdep has no key at all, so that it refuses a manifest with one.
NO_KEYS = {'python3-cyclopts', 'python3-lz4', 'python3-manifold3d', 'python3-zstandard', 'python3-mcap'}


@pytest.fixture(scope='module')
def installed() -> set[str]:
    """Files of the wheel, those of share/ by their path below the prefix."""
    if importlib.metadata.distribution(PACKAGE).read_text('RECORD') is None:
        pytest.skip(f'{PACKAGE} is not installed from a wheel; make test does that')
    names = {str(path).lstrip('./') for path in importlib.metadata.files(PACKAGE)
             if '__pycache__' not in path.parts and not path.parts[0].endswith('.dist-info')}
    if not any(name.startswith(f'{PACKAGE}/') for name in names):
        pytest.skip(f'{PACKAGE} is installed editable; make test installs the wheel')
    return names


@pytest.fixture(scope='module')
def tracked() -> list[str]:
    """Files of the repository."""
    if not (CHECKOUT / '.git').exists():
        pytest.skip(f'{CHECKOUT}: no repository to compare with')
    done = subprocess.run(['git', '-C', CHECKOUT, 'ls-files', '-z'], capture_output=True, text=True, check=True)
    return done.stdout.rstrip('\0').split('\0')


def test_the_wheel_has_the_modules_and_data_of_the_repository(installed, tracked):
    expected = {name for name in tracked if name.startswith(f'{PACKAGE}/')}
    expected |= {f'share/{PACKAGE}/{name}' for name in tracked if name.startswith(SHARED)}
    expected |= {f'share/{PACKAGE}/package.xml', f'share/ament_index/resource_index/packages/{PACKAGE}'}
    found = {name for name in installed if not name.startswith('bin/')}
    assert sorted(expected - found) == [], 'in the repository, not in the wheel'
    assert sorted(found - expected) == [], 'in the wheel, not in the repository (not added, or ignored)'


def test_every_command_is_installed_and_leads_to_a_function(installed):
    scripts = importlib.metadata.distribution(PACKAGE).entry_points.select(group='console_scripts')
    assert {f'bin/{script.name}' for script in scripts} == {name for name in installed if name.startswith('bin/')}
    for script in scripts:
        module, _, function = script.value.partition(':')
        assert f'def {function}(' in Path(importlib.util.find_spec(module).origin).read_text(), script


def test_what_pip_installs_rosdep_installs_too():
    manifest = ElementTree.parse(resource_path('package.xml')).getroot()
    stated = {entry.text for entry in manifest.iter('exec_depend')}
    requirements = [text for text in importlib.metadata.requires(PACKAGE) if 'extra ==' not in text]
    wanted = [Requirement(text).name.lower() for text in requirements]
    keys = {name: {ROSDEP_KEYS.get(name, f'python3-{name}'), f'python3-{name}-pip'} for name in wanted}
    assert len(wanted) > 10 and {name for name in wanted if not keys[name] & stated} == NOT_BY_ROSDEP
    assert not stated & NO_KEYS and 'python3-numba' not in stated
    manifest_text = resource_path('package.xml').read_text(encoding='utf-8')
    by_pip = re.search(r'pip install ((?:[\w-]+ )*numba[\w -]*)', manifest_text)
    assert by_pip and set(by_pip[1].split()) == NOT_BY_ROSDEP


def requirements() -> list[Requirement]:
    """What the package needs, extras included."""
    return [Requirement(text) for text in importlib.metadata.requires(PACKAGE)]


def test_every_dependency_has_a_lower_and_an_upper_bound():
    bounded = {'>=', '<'}
    loose = {str(each) for each in requirements() if bounded - {spec.operator for spec in each.specifier}}
    # what a second line asks of one Python alone has its upper bound in the first
    assert [text for text in sorted(loose) if 'python_version' not in text] == []


def test_the_lock_holds_every_dependency_within_its_bounds():
    locked = [Requirement(line) for line in (CHECKOUT / 'constraints.txt').read_text().splitlines()
              if not line.startswith('#')]
    versions = {each.name: next(iter(each.specifier)).version for each in locked
                if each.marker is None or each.marker.evaluate()}
    # PyTorch has builds of its own for each GPU: training is installed as the machine asks for
    wanted = [each for each in requirements() if 'extra == "train"' not in str(each.marker)
              and (each.marker is None or any(each.marker.evaluate({'extra': extra})
                                              for extra in ('', 'ros', 'sim', 'dev', 'docs')))]
    assert [str(each) for each in wanted
            if not each.specifier.contains(versions.get(canonicalize_name(each.name), '0'))] == [], 'make lock'


def test_the_version_is_the_same_wherever_it_stands():
    manifest = ElementTree.parse(resource_path('package.xml')).getroot()
    citation = yaml.safe_load((CHECKOUT / 'CITATION.cff').read_text(encoding='utf-8'))
    stated = {importlib.metadata.version(PACKAGE), manifest.findtext('version'), str(citation['version'])}
    assert stated == {posegrasp_ros.__version__}


def test_every_folder_of_modules_is_a_package(tracked):
    folders = {Path(name).parent for name in tracked if name.startswith(f'{PACKAGE}/') and name.endswith('.py')}
    assert [str(folder) for folder in sorted(folders) if f'{folder}/__init__.py' not in tracked] == []


def test_no_ignore_rule_hides_a_file_of_the_package(tracked):
    made = subprocess.run(['git', '-C', CHECKOUT, 'ls-files', '-z', '--others', '--ignored', '--exclude-standard',
                           '--', PACKAGE, *SHARED], capture_output=True, text=True, check=True)
    hidden = [name for name in made.stdout.rstrip('\0').split('\0') if name and '__pycache__' not in name]
    assert hidden == []
