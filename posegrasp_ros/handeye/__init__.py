# SPDX-License-Identifier: Apache-2.0
"""Hand-eye calibration: where a camera is mounted, from views of a target at several poses of the arm."""
