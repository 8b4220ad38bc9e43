"""Where a project stands: gates passed by measured runs, derived from its files."""
