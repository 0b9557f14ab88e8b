"""Both nodes: ``ros2 launch s3e_gnn_ros s3e_gnn.launch.py image_topic:=/camera/image_raw``."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

PACKAGE = 's3e_gnn_ros'
INPUTS = ('image', 'camera_info', 'depth', 'odometry')


def generate_launch_description() -> LaunchDescription:
    config = str(Path(get_package_share_directory(PACKAGE)) / 'config' / 'default.yaml')
    return LaunchDescription(
        [
            DeclareLaunchArgument('config', default_value=config, description='parameter file'),
            DeclareLaunchArgument('namespace', default_value='', description='of both nodes'),
            DeclareLaunchArgument('use_sim_time', default_value='false', description='use /clock'),
            DeclareLaunchArgument(
                'image_transport', default_value='', description='raw or compressed; empty: config'
            ),
            *(
                DeclareLaunchArgument(
                    f'{name}_topic', default_value=name, description=f'where {name} comes from'
                )
                for name in INPUTS
            ),
            OpaqueFunction(function=make_nodes),
        ]
    )


def make_nodes(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    overrides: dict[str, object] = {'use_sim_time': value('use_sim_time').lower() == 'true'}
    if value('image_transport'):  # empty must not override the file
        overrides['node.image_transport'] = value('image_transport')
    return [
        Node(
            package=PACKAGE,
            executable=executable,
            namespace=value('namespace'),
            output='screen',
            parameters=[value('config'), overrides],
            remappings=[(name, value(f'{name}_topic')) for name in INPUTS],
        )
        for executable in ('loop_closure_node', 'pose_graph_node')
    ]
