"""How accurate the pose must be: from the grasps and simulated picks with a known error."""
