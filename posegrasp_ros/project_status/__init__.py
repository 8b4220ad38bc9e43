# SPDX-License-Identifier: Apache-2.0
"""Status of a project: gates passed by measured runs, derived from its files."""
