# SPDX-License-Identifier: Apache-2.0
"""Reading and writing of recordings without ROS: rosbag2, BOP datasets, photographs, ground-truth files."""
