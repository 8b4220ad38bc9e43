"""Runs for people: tables for the terminal and self-contained pages."""
