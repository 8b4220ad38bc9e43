"""Feasible? The accuracy a grasp needs, the accuracy a camera can give, and the verdict, before anyone trains."""

SCHEMA = 'posegrasp.feasibility/1'
"""Of a study's summary; here, where reading it takes no simulator."""
