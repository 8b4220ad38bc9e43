"""Run folders: what a run says is kept, bounded and summed up."""
