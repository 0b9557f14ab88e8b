"""The systems this package plugs into: one file each, one interface for all.

:data:`HOSTS` has them by the values of the parameter ``node.host``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.ros.adapters.host import Host
from s3e_gnn_ros.ros.adapters.odometry import OdometryHost
from s3e_gnn_ros.ros.adapters.openvins import OpenVinsHost
from s3e_gnn_ros.ros.adapters.orb_slam3 import OrbSlam3Host
from s3e_gnn_ros.ros.adapters.vins import VinsHost
from s3e_gnn_ros.ros.inputs import Inputs

__all__ = ['HOSTS', 'Host', 'make_host']

HOSTS: Mapping[str, type[Host]] = MappingProxyType(
    {
        'odometry': OdometryHost,
        'vins': VinsHost,
        'openvins': OpenVinsHost,
        'orb_slam3': OrbSlam3Host,
    }
)


def make_host(
    node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
) -> Host:
    """Subscribe to what the host of ``config`` publishes.

    Args:
        node: owns the subscriptions, and logs.
        config: which host, its frames, and how much may wait.
        inputs: how to subscribe.
        on_message: called after each message that may complete a frame.

    Raises:
        ConfigError: ``T_body_camera`` is no rigid transform, or TF is asked for and tf2_msgs is
            not installed.
    """
    return HOSTS[config.host](node, config, inputs, on_message)
