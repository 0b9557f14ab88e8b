"""A bag through both nodes: ``ros2 launch s3e_gnn_ros replay.launch.py bag:=DIR rate:=2``."""

from __future__ import annotations

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

# As `s3e-gnn simulate` and `s3e-gnn convert` name them.
TOPICS = {
    'image_topic': '/camera/color/image_raw',
    'camera_info_topic': '/camera/color/camera_info',
    'depth_topic': '/camera/aligned_depth_to_color/image_raw',
    'odometry_topic': '/odometry',
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory('s3e_gnn_ros'))
    defaults = {
        'config': str(share / 'config' / 'replay.yaml'),
        'image_transport': 'raw',
        'use_sim_time': 'true',
        **TOPICS,
    }
    play = [sys.executable, '-m', 's3e_gnn_ros.cli.main', 'play', LaunchConfiguration('bag')]
    options = ['--rate', LaunchConfiguration('rate'), '--wait-for-subscribers', '10']
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='rosbag2 folder'),
            DeclareLaunchArgument('rate', default_value='1.0', description='times real time'),
            *(
                DeclareLaunchArgument(name, default_value=value)
                for name, value in defaults.items()
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share / 'launch' / 's3e_gnn.launch.py')),
                launch_arguments=[(name, LaunchConfiguration(name)) for name in defaults],
            ),
            ExecuteProcess(cmd=[*play, *options], output='screen'),
        ]
    )
