"""Run folders: report logs, summaries, state and provenance of runs."""
