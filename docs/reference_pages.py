# SPDX-License-Identifier: Apache-2.0
"""One page of reference for each module, from its docstrings: run by mkdocs-gen-files at every build."""

from __future__ import annotations

from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'posegrasp_ros'


def main() -> None:
    """Walk the package, so that a module that moves needs no edit here."""
    nav = mkdocs_gen_files.Nav()
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        is_package = parts[-1] == '__init__'
        parts = parts[:-1] if is_package else parts
        page = Path(*parts[1:], 'index.md') if is_package else Path(*parts[1:]).with_suffix('.md')
        nav[parts] = page.as_posix()
        name = '.'.join(parts)
        with mkdocs_gen_files.open(f'reference/{page.as_posix()}', 'w') as file:
            file.write(f'---\ntitle: {parts[-1]}\n---\n\n::: {name}\n')
        mkdocs_gen_files.set_edit_path(f'reference/{page.as_posix()}', path.relative_to(ROOT).as_posix())
    with mkdocs_gen_files.open('reference/SUMMARY.md', 'w') as file:
        file.writelines(nav.build_literate_nav())


main()
