# SPDX-License-Identifier: Apache-2.0
"""Attainable pose accuracy: Cramér-Rao bounds and ambiguities of the images of a camera."""
