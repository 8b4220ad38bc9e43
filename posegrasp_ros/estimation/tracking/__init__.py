# SPDX-License-Identifier: Apache-2.0
"""Tracking: poses followed from image to image, and what is known of objects between images."""
