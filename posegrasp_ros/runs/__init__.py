# SPDX-License-Identifier: Apache-2.0
"""Run folders: report logs, summaries, state and provenance of runs."""
