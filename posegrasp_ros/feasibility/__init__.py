"""Feasibility study of a picking cell: required and attainable pose accuracy, and the verdict, before training."""
