"""Camera image to grasp, measured: pose estimation, grasp planning and monitoring for ROS 2."""

import os

__version__ = '0.1.0'

# MuJoCo reads this when it is first imported, by whichever module comes first: render without a screen.
os.environ.setdefault('MUJOCO_GL', 'osmesa')
# onnxruntime reads this when it is imported; else it reports usage, and warns where it has no home to write to.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
