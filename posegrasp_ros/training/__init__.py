# SPDX-License-Identifier: Apache-2.0
"""Training and measuring of a model folder for a textured mesh. The only subpackage that imports PyTorch."""
