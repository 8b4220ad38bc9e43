# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

import posegrasp_ros
from posegrasp_ros.runtime.resources import ResourceError, model_folder, resource_path, share_folder

PACKAGE = Path(posegrasp_ros.__file__).parent


def installed(site: Path) -> Path:
    """A copy of what finds the resources, in a folder for packages."""
    package = site / 'posegrasp_ros'
    (package / 'runtime').mkdir(parents=True)
    for name in ('__init__.py', 'runtime/__init__.py', 'runtime/errors.py', 'runtime/resources.py'):
        shutil.copy(PACKAGE / name, package / name)
    return package


def ask(site: Path) -> subprocess.CompletedProcess:
    """What a fresh interpreter with this folder on its path finds."""
    code = ('from posegrasp_ros.runtime.resources import resource_path\n'
            "print(resource_path('config/baselines.yaml'))")
    return subprocess.run([sys.executable, '-S', '-c', code], cwd=site, capture_output=True, text=True)


def test_every_shipped_folder_is_found():
    for name in ('config/grippers', 'config/baselines.yaml', 'models/box', 'launch', 'rviz'):
        assert resource_path(name).exists()
    assert (share_folder() / 'package.xml').is_file()


@pytest.mark.parametrize('site', [
    'lib/python3.12/site-packages', 'local/lib/python3.10/dist-packages', 'install/box/lib/python3/site'])
def test_an_install_finds_share_in_its_own_prefix(tmp_path, site):
    installed(tmp_path / site)
    prefix = tmp_path / site.split('/lib/')[0] if '/lib/' in site else tmp_path
    shipped = prefix / 'share/posegrasp_ros/config/baselines.yaml'
    shipped.parent.mkdir(parents=True)
    shipped.write_text('here')
    assert ask(tmp_path / site).stdout.strip() == str(shipped)


def test_a_checkout_is_preferred_to_what_is_installed_above_it(tmp_path):
    (tmp_path / 'share/posegrasp_ros/config').mkdir(parents=True)
    installed(tmp_path / 'checkout')
    (tmp_path / 'checkout/package.xml').write_text('<package/>')
    (tmp_path / 'checkout/config').mkdir()
    (tmp_path / 'checkout/config/baselines.yaml').write_text('here')
    assert ask(tmp_path / 'checkout').stdout.strip() == str(tmp_path / 'checkout/config/baselines.yaml')


def test_a_symbolic_link_leads_to_the_checkout(tmp_path):
    (tmp_path / 'build').mkdir()
    (tmp_path / 'build/posegrasp_ros').symlink_to(PACKAGE)
    code = 'from posegrasp_ros.runtime.resources import share_folder; print(share_folder())'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path / 'build', capture_output=True, text=True)
    assert done.stdout.strip() == str(share_folder())


def test_a_package_torn_from_its_install_says_so(tmp_path):
    installed(tmp_path)
    assert 'found none; reinstall it' in ask(tmp_path).stderr


def test_a_missing_file_is_named():
    with pytest.raises(ResourceError, match=r'no_such\.yaml: expected a file or folder'):
        resource_path('config/no_such.yaml')


def test_setup_package_and_manifest_state_one_version():
    manifest = ElementTree.parse(share_folder() / 'package.xml').getroot()
    assert manifest.findtext('version') == posegrasp_ros.__version__ == version('posegrasp_ros')


def test_a_model_is_named_by_its_folder_or_as_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_folder() == model_folder('box') == resource_path('models/box')
    assert model_folder('can') == resource_path('models/can')
    assert model_folder('mine') == Path('mine')
    (tmp_path / 'can').mkdir()
    assert model_folder('can') == Path('can')
