"""Offline evaluation: frames through estimators, planner and metrics, and runs compared."""
