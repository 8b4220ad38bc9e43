"""Everything that needs MuJoCo: scenes, camera and the pick."""
