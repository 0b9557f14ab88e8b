"""What every launch file is made of. The only module that imports ROS's launch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.ros.processes import player_command
from s3e_gnn_ros.ros.setup_plan import (
    BOTH,
    Choices,
    Plan,
    make_plan,
    parse_parameters,
    parse_remaps,
)
from s3e_gnn_ros.ros.setups import CAMERA_TOPICS, Setup, find_setup

_PACKAGE = 's3e_gnn_ros'
_TRUTH = {'true': True, '1': True, 'false': False, '0': False}


def describe_setup(name: str) -> LaunchDescription:
    """Return the launch description of a set-up.

    Args:
        name: of ``setups.SETUPS``.

    Raises:
        ConfigError: there is no such set-up.
    """
    setup = find_setup(name)
    arguments = _arguments(setup)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(argument, default_value=default, description=description)
                for argument, (default, description) in arguments.items()
            ),
            *([DeclareLaunchArgument('bag', description='rosbag2 folder')] * setup.plays_bag),
            OpaqueFunction(function=_make_actions, args=[setup]),
        ]
    )


def _arguments(setup: Setup) -> dict[str, tuple[str, str]]:
    """Return default and description of every argument that has a default."""
    arguments = {
        'namespace': ('', 'of our nodes'),
        'camera': (setup.camera, 'camera profile of config/, or a file; empty: none'),
        'camera_prefix': (setup.camera_prefix, "where the camera's topics begin"),
        **{f'{topic}_topic': ('', f'{topic}, where not as usual') for topic in CAMERA_TOPICS},
        'image_transport': ('', 'raw or compressed; empty: as configured'),
        'retrieval': ('', 's3e or bow; empty: as configured'),
        'back_end': ('true', 'whether pose_graph_node starts'),
        'one_process': ('false', 'both nodes in one process'),
        'autostart': ('', 'false: wait for a lifecycle manager; empty: as configured'),
        'map': ('', 'name of the map to write; empty: none'),
        'load': ('', 'name of a map to begin with; empty: none'),
        'config': ('', 'parameter file of your own, over the others'),
        'set': ('', 'parameters over all files: section.name=value, separated by blanks'),
        'remap': ('', 'further remappings: from:=to, separated by blanks'),
        'use_sim_time': (str(setup.use_sim_time).lower(), 'take the time from /clock'),
    }
    if setup.namespace_argument:
        arguments[setup.namespace_argument] = (
            setup.host_namespace,
            "where the host's topics begin; empty: no prefix",
        )
    if 'odometry' in setup.host_topics:
        arguments['odometry_topic'] = ('', 'odometry, where not as usual')
    if setup.plays_bag:
        arguments['rate'] = ('1.0', 'times real time')
    return arguments


def _make_actions(context: LaunchContext, setup: Setup) -> list[Any]:
    values = {name: str(LaunchConfiguration(name).perform(context)) for name in _arguments(setup)}
    plan = make_plan(setup, _choices(setup, values))
    actions: list[Any] = [_node(plan, name) for name in plan.nodes]
    if setup.plays_bag:
        bag = str(LaunchConfiguration('bag').perform(context))
        command = player_command(plan, bag, values['rate'])
        actions.append(ExecuteProcess(cmd=command, output='screen'))
    return actions


def _choices(setup: Setup, values: dict[str, str]) -> Choices:
    topics = {
        name.removesuffix('_topic'): value
        for name, value in values.items()
        if name.endswith('_topic') and value
    }
    return Choices(
        namespace=values['namespace'],
        host_namespace=values.get(setup.namespace_argument),
        camera=values['camera'],
        camera_prefix=values['camera_prefix'],
        retrieval=values['retrieval'],
        image_transport=values['image_transport'],
        has_back_end=_truth('back_end', values['back_end']),
        is_one_process=_truth('one_process', values['one_process']),
        autostart=_truth('autostart', values['autostart']) if values['autostart'] else None,
        map_name=values['map'],
        map_load=values['load'],
        config=Path(values['config']) if values['config'] else None,
        parameters=parse_parameters(values['set'].split()),
        remaps=topics | parse_remaps(values['remap'].split()),
        use_sim_time=_truth('use_sim_time', values['use_sim_time']),
    )


def _node(plan: Plan, name: str) -> Node:
    return Node(
        package=_PACKAGE,
        executable='both_nodes' if name == BOTH else f'{name}_node',
        namespace=plan.namespace,
        output='screen',
        parameters=[
            *(str(file) for file in plan.files),
            {'use_sim_time': plan.use_sim_time, **plan.parameters},
        ],
        remappings=list(plan.remaps.items()),
    )


def _truth(name: str, text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ConfigError(f"launch argument {name} is '{text}' instead of true or false")
    return _TRUTH[text.lower()]
