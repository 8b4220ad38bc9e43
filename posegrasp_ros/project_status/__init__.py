"""Where a project stands: gates that measured runs open, derived from its files."""
