# SPDX-License-Identifier: Apache-2.0
"""Calibration targets, one kind per file."""
