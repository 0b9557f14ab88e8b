"""The life of a node as a process: start, spin, leave cleanly whatever ends it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TYPE_CHECKING

# Before numpy is loaded: its products are small here, and threads that wait for one another cost
# ten times what they save.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
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


def run_nodes(make_nodes: Sequence[Callable[[], ManagedNode]], args: Sequence[str] | None) -> int:
    """Run nodes until SIGINT, SIGTERM or a shutdown of the context.

    Args:
        make_nodes: build them; a known error they raise is logged in one line.
        args: command line with ROS arguments; that of the process when None.

    Returns:
        Exit status: 0 after a clean end, 2 when a node refused to start.
    """
    rclpy.init(args=None if args is None else list(args))
    nodes: list[ManagedNode] = []
    try:
        for make in make_nodes:
            nodes.append(make())  # one by one: those that were made are ended with the others
        if not all(node.start() for node in nodes if node.config.node.autostart):
            return _STATUS_REFUSED
        _spin(nodes)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except S3EError as err:
        get_logger('s3e_gnn_ros').fatal(str(err))
        return _STATUS_REFUSED
    finally:
        for node in nodes:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _spin(nodes: Sequence[ManagedNode]) -> None:
    """Spin each node on a thread of its own, the first on this one.

    Their callbacks share state without locks, so that each node has one thread. One executor for
    all would do as well, but let odometry wait while an image is decoded, and look through the
    topics of all nodes for each message of one.
    """
    # All of them before the first thread: one that fails at once ends the context, in which no
    # executor can be made any more.
    executors = [_executor_of(node) for node in nodes]
    errors: list[BaseException] = []
    threads = [
        Thread(target=_spin_beside, args=(one, errors), daemon=True) for one in executors[1:]
    ]
    for thread in threads:
        thread.start()
    try:
        _spin_one(executors[0])
    except ExternalShutdownException:
        pass  # by a signal, or by the end of another
    finally:
        rclpy.try_shutdown()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def _executor_of(node: ManagedNode) -> SingleThreadedExecutor:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    return executor


def _spin_beside(executor: SingleThreadedExecutor, errors: list[BaseException]) -> None:
    try:
        _spin_one(executor)
    except ExternalShutdownException:
        pass
    except BaseException as err:
        errors.append(err)
    finally:
        rclpy.try_shutdown()  # the end of one is the end of all


def _spin_one(executor: SingleThreadedExecutor) -> None:
    """Spin until the context ends.

    Raises:
        ExternalShutdownException: it has ended.
    """
    try:
        executor.spin()
    except _rclpy.RCLError as err:
        # A signal that comes while rclpy makes a wait set ends the context under its hands.
        if executor.context.ok():
            raise
        raise ExternalShutdownException from err
    finally:
        executor.shutdown()


def _report_missing(err: ImportError) -> int:
    """Log in one line what pip has to install; any other import error is a bug and goes on."""
    sentence = missing_package(err)
    if sentence is None:
        raise err
    get_logger('s3e_gnn_ros').fatal(sentence)
    return _STATUS_REFUSED
