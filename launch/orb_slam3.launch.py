"""Both nodes beside ORB-SLAM3: ``ros2 launch s3e_gnn_ros orb_slam3.launch.py``."""

from __future__ import annotations

from launch import LaunchDescription
from s3e_gnn_ros.ros.launch_files import describe_setup


def generate_launch_description() -> LaunchDescription:
    return describe_setup('orb_slam3')
