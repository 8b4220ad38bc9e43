# SPDX-License-Identifier: Apache-2.0
"""What a camera is calibrated with, one kind a file."""
