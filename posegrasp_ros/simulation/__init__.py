"""MuJoCo simulation: scenes, camera and picks."""
