# SPDX-License-Identifier: Apache-2.0
"""Poses that any node or file states: what is judged, whoever made it."""
