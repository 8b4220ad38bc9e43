# SPDX-License-Identifier: Apache-2.0
"""Evaluates a recording and writes a report.

    python examples/bag_to_report.py some.mcap --out runs/example
"""

import argparse

import posegrasp_ros as pg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('bag')
parser.add_argument('--model', default='box')
parser.add_argument('--estimator', default='onnx')
parser.add_argument('--out', default='runs/example')
options = parser.parse_args()
model = pg.load_model(options.model)
chosen = pg.EvaluateOptions(estimator=options.estimator, compare_with=['mean_pose'])
pg.evaluate_bags([options.bag], model.card, chosen, out=options.out)

summary = pg.read_summary(options.out)
for name, metric in summary['metrics'].items():
    if metric['n']:
        print(f'{name:<28} {metric["value"]:.4g} {metric["unit"]}, 95 % interval {metric["interval"]}')
print(f'{options.out}/report.html')
