"""Nodes, messages and parameters: the only importer of rclpy and of ROS messages."""
