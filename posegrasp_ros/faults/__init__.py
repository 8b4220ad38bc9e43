# SPDX-License-Identifier: Apache-2.0
"""Systematic faults of poses, such as a wrong unit or a late stamp: found, corrected, and put into recordings."""
