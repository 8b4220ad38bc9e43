"""Reports of runs: tables for the terminal and self-contained HTML pages."""
