# SPDX-License-Identifier: Apache-2.0
"""Adds a metric: how often the object is found within 5 mm. It then is in summary, terminal, report and gate.

    python examples/own_metric.py some.mcap --out runs/example
"""

import argparse

import posegrasp_ros as pg
from posegrasp_ros.metrics.observations import rate

WITHIN_5_MM = pg.Metric(
    name='recall_5mm', unit='1', direction='higher_is_better', label='Position within 5 mm', heading='5 mm',
    observe=lambda table: rate(table.position_error_m < 0.005, table.counts_for_recall, table.blocks))
pg.register_metric(WITHIN_5_MM)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('bag')
parser.add_argument('--model', default='box')
parser.add_argument('--estimator', default='onnx')
parser.add_argument('--out', default='runs/example')
options = parser.parse_args()
summary = pg.evaluate_bags([options.bag], pg.load_model(options.model).card,
                           pg.EvaluateOptions(estimator=options.estimator, compare_with=[]), out=options.out)
print(summary['metrics'][WITHIN_5_MM.name])
