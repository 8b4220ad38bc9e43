# SPDX-License-Identifier: Apache-2.0
"""A URDF of an arm like a UR5, with boxes for bodies."""

# Its joints: where each is in the frame of the one before, and its axis.
UR = ((('0 0 0.089', '0 0 0'), '0 0 1'), (('0 0.136 0', '0 1.5708 0'), '0 1 0'),
      (('0 -0.12 0.425', '0 0 0'), '0 1 0'), (('0 0 0.392', '0 1.5708 0'), '0 1 0'),
      (('0 0.093 0', '0 0 0'), '0 0 1'), (('0 0 0.095', '0 0 0'), '0 1 0'))
UR_BODIES = ('0.06 0.06 0.06|0 0 0.02', '0.06 0.06 0.05|0 0 0.02', '0.05 0.05 0.42|0 0 0.21',
             '0.04 0.04 0.38|0 0 0.19',
             '0.04 0.04 0.04|0 0.05 0', '0.04 0.04 0.04|0 0 0.05', '0.03 0.02 0.03|0 0.06 0')
NAMES = tuple(f'joint{k}' for k in range(6))


def link(name, body=''):
    if not body:
        return f'<link name="{name}"/>'
    size, at = body.split('|')
    return (f'<link name="{name}"><collision><origin xyz="{at}"/><geometry><box size="{size}"/></geometry>'
            '</collision></link>')


def joint(name, parent, child, at='0 0 0', turned='0 0 0', axis='0 0 1', kind='revolute', most=6.28, more=''):
    return (f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{at}" rpy="{turned}"/><axis xyz="{axis}"/>'
            f'<limit lower="{-most}" upper="{most}" effort="1" velocity="1"/>{more}</joint>')


def ur(path, bodies=UR_BODIES, kind='revolute', most=6.28):
    """An arm like a UR5, with a flange 82 mm on whose z is the last axis, and a finger that another one mimics."""
    parts = [link(f'link{k}', bodies[k] if bodies else '') for k in range(7)]
    parts += [joint(NAMES[k], f'link{k}', f'link{k + 1}', *UR[k][0], UR[k][1], kind, most) for k in range(6)]
    parts += [link('tool'), joint('fixed', 'link6', 'tool', '0 0.082 0', '-1.5708 0 0', kind='fixed'),
              link('left', '0.01 0.01 0.05|0 0 0.05' if bodies else ''), link('right'),
              joint('finger', 'tool', 'left', axis='1 0 0', kind='prismatic', most=0.04),
              joint('other', 'tool', 'right', axis='1 0 0', kind='prismatic', most=0.04,
                    more='<mimic joint="finger" multiplier="-1"/>')]
    path.write_text(f'<robot name="ur">{"".join(parts)}</robot>', encoding='utf-8')
    return path
