"""The configuration tree as ROS parameters: declared once, from the one place that defines it."""

from __future__ import annotations

import sys
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from s3e_gnn_ros.config import Config, Leaf, config_from_dotted, leaves
from s3e_gnn_ros.errors import ConfigError

# Parameters that rclpy itself declares on every node.
_OF_ROS = ('use_sim_time', 'start_type_description_service')
_OF_ROS_PREFIX = 'qos_overrides.'
_LARGEST_INTEGER = 2**63 - 1


def load_parameters(node: Node) -> Config:
    """Check the node's parameter overrides and declare every parameter with its final value.

    The parameters are read-only: a run-time change is refused by rclpy with a reason.

    Args:
        node: created with ``automatically_declare_parameters_from_overrides=True``, which is how
            names that do not exist can be noticed.

    Returns:
        The configuration that holds for the life of the node.

    Raises:
        ConfigError: an unknown name, a wrong type or a value out of range.
    """
    overrides = {
        name: _plain(parameter.value)
        for name, parameter in node.get_parameters_by_prefix('').items()
        if name not in _OF_ROS and not name.startswith(_OF_ROS_PREFIX)
    }
    try:
        config = config_from_dotted(overrides)
    except ConfigError as err:
        raise ConfigError(f'parameter of {node.get_name()}: {err}') from err
    for leaf in leaves(config):
        # Declared again: an override may be an int where the tree says float.
        if node.has_parameter(leaf.name):
            node.undeclare_parameter(leaf.name)
        value = list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        node.declare_parameter(leaf.name, value, describe(leaf), ignore_override=True)
    return config


def describe(leaf: Leaf) -> ParameterDescriptor:
    """Return the descriptor that ``ros2 param describe`` shows."""
    descriptor = ParameterDescriptor(description=leaf.description, read_only=True)
    if leaf.choices:
        descriptor.additional_constraints = f'one of {", ".join(leaf.choices)}'
    if leaf.minimum is None and leaf.maximum is None:
        return descriptor
    if isinstance(leaf.default, float):
        descriptor.floating_point_range = [_float_range(leaf)]
    elif isinstance(leaf.default, int):
        descriptor.integer_range = [_integer_range(leaf)]
    return descriptor


def _float_range(leaf: Leaf) -> FloatingPointRange:
    low = -sys.float_info.max if leaf.minimum is None else float(leaf.minimum)
    high = sys.float_info.max if leaf.maximum is None else float(leaf.maximum)
    return FloatingPointRange(from_value=low, to_value=high)


def _integer_range(leaf: Leaf) -> IntegerRange:
    low = -_LARGEST_INTEGER if leaf.minimum is None else int(leaf.minimum)
    high = _LARGEST_INTEGER if leaf.maximum is None else int(leaf.maximum)
    return IntegerRange(from_value=low, to_value=high)


def _plain(value: Any) -> Any:
    """Turn rclpy's array.array and tuples into lists."""
    return value if isinstance(value, (str, bytes, bool, int, float, type(None))) else list(value)
