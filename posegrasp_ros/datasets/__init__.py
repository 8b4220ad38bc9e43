"""Recordings in and out, with ROS or without: rosbag2, BOP datasets, photographs, ground-truth files."""
