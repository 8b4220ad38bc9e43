# SPDX-License-Identifier: Apache-2.0
"""MuJoCo simulation: scenes, camera and picks."""
