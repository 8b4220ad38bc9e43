# SPDX-License-Identifier: Apache-2.0
"""Reports of runs: tables for the terminal and self-contained HTML pages."""
