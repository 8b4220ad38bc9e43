# SPDX-License-Identifier: Apache-2.0
"""Required pose accuracy, from the grasps and from simulated picks with a known pose error."""
