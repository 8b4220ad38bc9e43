"""Tracking: poses followed from image to image, and what is known of objects between images."""
