# SPDX-License-Identifier: Apache-2.0
"""Offline evaluation: frames through estimators, planner and metrics, and runs compared."""
