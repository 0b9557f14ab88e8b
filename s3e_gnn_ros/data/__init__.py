"""Recordings: rosbag2, TUM RGB-D, 7-Scenes and EuRoC folders behind one interface."""
