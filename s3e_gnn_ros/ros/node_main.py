"""The life of a node as a process: start, spin, leave cleanly whatever ends it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

# Before numpy is loaded: its products are small here, and threads that wait for one another cost
# ten times what they save.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger

from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.ros.missing_package import missing_package

if TYPE_CHECKING:
    from s3e_gnn_ros.ros.managed_node import ManagedNode

_STATUS_REFUSED = 2


def start_node(module: str, args: Sequence[str] | None = None) -> int:
    """Import the module of a node and run its ``main``.

    Args:
        module: full name, such as ``s3e_gnn_ros.ros.pose_graph_node``.
        args: command line with ROS arguments; that of the process when None.

    Returns:
        Exit status of the node; 2 when a package that pip can install is missing.
    """
    try:
        return int(importlib.import_module(module).main(args))
    except ImportError as err:
        return _report_missing(err)


def run_node(make_node: Callable[[], ManagedNode], args: Sequence[str] | None) -> int:
    """Run a node until SIGINT, SIGTERM or a shutdown of the context.

    Args:
        make_node: builds it; a known error it raises is logged in one line.
        args: command line with ROS arguments; that of the process when None.

    Returns:
        Exit status: 0 after a clean end, 2 when the node refused to start.
    """
    rclpy.init(args=None if args is None else list(args))
    node: ManagedNode | None = None
    try:
        node = make_node()
        if node.config.node.autostart and not node.start():
            return _STATUS_REFUSED
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except S3EError as err:
        get_logger('s3e_gnn_ros').fatal(str(err))
        return _STATUS_REFUSED
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _report_missing(err: ImportError) -> int:
    """Log in one line what pip has to install; any other import error is a bug and goes on."""
    sentence = missing_package(err)
    if sentence is None:
        raise err
    get_logger('s3e_gnn_ros').fatal(sentence)
    return _STATUS_REFUSED
