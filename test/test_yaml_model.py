# SPDX-License-Identifier: Apache-2.0
"""YamlModel: nothing is converted, and an error names file, field, expected and found in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field, field_validator

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.yaml_model import Name, YamlModel, numbers, validated


class Side(YamlModel, extra='forbid'):
    length_m: float = Field(ge=0.001, le=0.5, description='a length')
    count: int = Field(1, alias='class', ge=1, le=8)


class Thing(YamlModel):
    name: Name
    kind: Literal['round', 'flat'] = 'flat'
    sides: list[Side] = Field([], max_length=3)
    shares: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    axis: Annotated[np.ndarray, numbers(3)] | None = None
    odd: int = 1
    ratio: float = Field(1.0, gt=0)

    @field_validator('odd')
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError('an odd number')
        return value


def refusal(**values) -> str:
    with pytest.raises(InvalidInputError) as refused:
        validated(Thing, {'name': 'a', **values}, Path('thing.yaml'), InvalidInputError, 'things')
    return str(refused.value)


def test_what_fits_is_read_and_unknown_fields_are_ignored():
    values = {'name': 'a', 'sides': [{'length_m': 0.1, 'class': 2}], 'axis': [0, 0, 1], 'further': 1}
    read = validated(Thing, values, 'thing.yaml', InvalidInputError)
    assert (read.sides[0].count, read.kind, read.odd) == (2, 'flat', 1) and read.axis.tolist() == [0, 0, 1]


@pytest.mark.parametrize(('values', 'expected'), [
    ({'name': 5}, 'things.name: expected a name in one line, got 5'),
    ({'kind': 'square'}, "things.kind: expected round or flat, got 'square'"),
    ({'sides': {}}, 'things.sides: expected a list of mappings, got {}'),
    ({'sides': [{}] * 4}, 'things.sides: expected at most 3 entries, got 4'),
    ({'sides': [5]}, 'things.sides[0]: expected a mapping of fields, got 5'),
    ({'sides': [{}]}, 'things.sides[0].length_m: expected a length between 0.001 and 0.5, got nothing'),
    ({'sides': [{'length_m': True}]}, 'sides[0].length_m: expected a length between 0.001 and 0.5, got True'),
    ({'sides': [{'length_m': '0.1'}]}, "sides[0].length_m: expected a length between 0.001 and 0.5, got '0.1'"),
    ({'sides': [{'length_m': float('nan')}]}, 'length_m: expected a length between 0.001 and 0.5, got nan'),
    ({'sides': [{'length_m': 0.1, 'class': 2.5}]}, '[0].class: expected a whole number between 1 and 8, got 2.5'),
    ({'sides': [{'length_m': 0.1, 'classes': 2}]}, '[0].classes: expected no field but length_m, class, got 2'),
    ({'shares': {'left': 2}}, 'things.shares.left: expected a number between 0 and 1, got 2'),
    ({'axis': [0, 0, True]}, 'things.axis: expected 3 numbers between -10 and 10, got [0, 0, True]'),
    ({'odd': 4}, 'things.odd: expected an odd number, got 4'),
    ({'ratio': 0}, 'things.ratio: expected greater than 0, got 0'),
    ({'ratio': 10**400}, 'things.ratio: expected a valid number, got 1000'),
    ({'name': 'a\nb'}, "things.name: expected a name in one line, got 'a\\nb'"),
])
def test_what_does_not_fit_is_named(values, expected):
    told = refusal(**values)
    assert told.startswith('thing.yaml: things') and expected in told and '\n' not in told


def test_help_of_the_command_imports_no_library_for_files():
    code = ('import sys\nfrom posegrasp_ros.cli.main import main\n'
            'try:\n    main(["--help"])\nexcept SystemExit:\n    pass\n'
            'print([name for name in ("pydantic", "ruamel.yaml") if name in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('[]')
