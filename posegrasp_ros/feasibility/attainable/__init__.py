"""Attainable pose accuracy: Cramér-Rao bounds and ambiguities of the images of a camera."""
