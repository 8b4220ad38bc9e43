"""What a camera is calibrated with, one kind a file."""
