"""The configuration tree as ROS parameters: declared once, from the one place that defines it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from s3e_gnn_ros.config import Config, Leaf, config_from_dotted, leaves
from s3e_gnn_ros.errors import ConfigError

# Parameters that rclpy itself declares on every node.
_OF_ROS = ('use_sim_time', 'start_type_description_service')
_OF_ROS_PREFIX = 'qos_overrides.'
_LARGEST_INTEGER = 2**63 - 1
_AT_START = ('node.autostart',)
"""Looked at once, before anybody could change them."""
_LATER = 'takes effect when the node is configured'


def load_parameters(node: Node) -> Config:
    """Check the node's parameter overrides and declare every parameter with its final value.

    Args:
        node: created with ``automatically_declare_parameters_from_overrides=True``, which is how
            names that do not exist can be noticed.

    Returns:
        What the parameters come to.

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
        node.declare_parameter(leaf.name, _value(leaf), describe(leaf), ignore_override=True)
    return config


def change_parameters(
    config: Config, parameters: Sequence[Parameter], may_change: Callable[[Leaf], bool]
) -> tuple[Config, list[Parameter]]:
    """Judge a change of parameters as a whole.

    Args:
        config: before it.
        parameters: to be set; those that are not of the tree are passed over.
        may_change: says which leaves may differ from ``config``.

    Returns:
        The configuration after it, and the same parameters with the types that are declared: ROS
        does not take a whole number for a float by itself.

    Raises:
        ConfigError: a value is wrong, or cannot change now.
    """
    before = {leaf.name: leaf for leaf in leaves(config)}
    values = {p.name: _plain(p.value) for p in parameters if p.name in before}
    changed = config_from_dotted(values, config)
    after = {leaf.name: leaf for leaf in leaves(changed)}
    for name in values:
        if after[name].default == before[name].default:
            continue
        if name in _AT_START:
            raise ConfigError(f'{name} is looked at when the process starts, and not again')
        if not may_change(after[name]):
            raise ConfigError(
                f'{name} {_LATER}: deactivate the node, clean it up, set {name}, then configure'
            )
    return changed, [
        Parameter(p.name, value=_value(after[p.name])) if p.name in values else p
        for p in parameters
    ]


def describe(leaf: Leaf) -> ParameterDescriptor:
    """Return the descriptor that ``ros2 param describe`` shows.

    What takes effect on configuration is not read-only: it may be set before that, and rclpy
    would refuse it later without saying what to do.
    """
    descriptor = ParameterDescriptor(
        description=leaf.description, read_only=leaf.name in _AT_START
    )
    constraints = [f'one of {", ".join(map(str, leaf.choices))}'] if leaf.choices else []
    if not leaf.at_run_time and not descriptor.read_only:
        constraints.append(_LATER)
    descriptor.additional_constraints = '; '.join(constraints)
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


def _value(leaf: Leaf) -> Any:
    return list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default


def _plain(value: Any) -> Any:
    """Turn rclpy's array.array and tuples into lists."""
    return value if isinstance(value, (str, bytes, bool, int, float, type(None))) else list(value)
