# SPDX-License-Identifier: Apache-2.0
"""The commands of ``posegrasp``, in files by subject."""

import os

# The OpenBLAS of numpy and scipy reads this when it is loaded. Matrices are small here: shared by all cores, a
# product takes up to twenty times the processor time and ends no sooner, and its rounding depends on the cores.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
