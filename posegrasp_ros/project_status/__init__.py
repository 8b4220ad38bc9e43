"""Status of a project: gates passed by measured runs, derived from its files."""
