"""Feasible? The accuracy a grasp needs, the accuracy a camera can give, and the verdict, before anyone trains."""
