# SPDX-License-Identifier: Apache-2.0
"""Feasibility study of a picking cell: required and attainable pose accuracy, and the verdict, before training."""
