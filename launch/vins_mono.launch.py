"""Both nodes beside VINS-Mono and a D455; ``vins_namespace:=''`` where it has no prefix."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

PACKAGE = 's3e_gnn_ros'
# Our input, and VINS's name for it. OpenVINS and others: remap as they call it.
FROM_VINS = {
    'odometry': 'odometry',
    'keyframe_pose': 'keyframe_pose',
    'keyframe_points': 'keyframe_point',
    'extrinsic': 'extrinsic',
}
FROM_CAMERA = {
    'image': '/camera/color/image_raw',
    'camera_info': '/camera/color/camera_info',
    'depth': '/camera/aligned_depth_to_color/image_raw',
}


def generate_launch_description() -> LaunchDescription:
    config = str(Path(get_package_share_directory(PACKAGE)) / 'config' / 'vins_mono_d455.yaml')
    return LaunchDescription(
        [
            DeclareLaunchArgument('config', default_value=config, description='parameter file'),
            DeclareLaunchArgument('namespace', default_value='', description='of both nodes'),
            DeclareLaunchArgument('use_sim_time', default_value='false', description='use /clock'),
            DeclareLaunchArgument(
                'vins_namespace',
                default_value='vins_estimator',
                description="prefix of the estimator's topics",
            ),
            *(
                DeclareLaunchArgument(f'{name}_topic', default_value=topic, description=name)
                for name, topic in FROM_CAMERA.items()
            ),
            OpaqueFunction(function=make_nodes),
        ]
    )


def make_nodes(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    prefix = value('vins_namespace').strip('/')
    root = f'/{prefix}' if prefix else ''
    remappings = [(name, f'{root}/{theirs}') for name, theirs in FROM_VINS.items()]
    remappings += [(name, value(f'{name}_topic')) for name in FROM_CAMERA]
    return [
        Node(
            package=PACKAGE,
            executable=executable,
            namespace=value('namespace'),
            output='screen',
            parameters=[
                value('config'),
                {'use_sim_time': value('use_sim_time').lower() == 'true'},
            ],
            remappings=remappings,
        )
        for executable in ('loop_closure_node', 'pose_graph_node')
    ]
