"""Camera image to grasp, measured: pose estimation, grasp planning and monitoring for ROS 2."""

import os

__version__ = '0.1.0'

# MuJoCo reads this when it is first imported, by whichever module comes first: render without a screen.
os.environ.setdefault('MUJOCO_GL', 'osmesa')
# The OpenBLAS of numpy and scipy reads this when it is loaded. Matrices are small here: shared by all cores, a
# product takes up to twenty times the processor time and ends no sooner, and its rounding depends on the cores.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
# onnxruntime reads this when it is imported; else it reports usage, and warns where it has no home to write to.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
