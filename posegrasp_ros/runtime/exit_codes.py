# SPDX-License-Identifier: Apache-2.0
"""Exit codes of the commands and nodes; those of signals are in :mod:`posegrasp_ros.runtime.interrupt`."""

DONE = 0
PARTIAL = 1
"""Some of what was asked for is not done; it is named on stderr."""
BAD_INPUT = 2
"""The last line on stderr says what is wrong."""
GATE_FAILED = 3
PIPELINE_FAILED = 4
"""A node of the demo failed."""
