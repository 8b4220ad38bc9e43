# SPDX-License-Identifier: Apache-2.0
"""A printed board as ground truth: the drawing, its file, and the object's pose from images of it."""
