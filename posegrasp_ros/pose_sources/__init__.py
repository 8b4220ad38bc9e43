# SPDX-License-Identifier: Apache-2.0
"""Poses from any node or file that are to be evaluated."""
