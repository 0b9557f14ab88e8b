"""The life of a node as a process: start, spin, leave cleanly whatever ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger

from s3e_gnn_ros.errors import S3EError


class ClosableNode(Protocol):
    """A node that has something to end besides its subscriptions."""

    def close(self) -> None:
        """End threads."""
        ...

    def destroy_node(self) -> None:
        """Destroy publishers and subscriptions."""
        ...


def run_node(make_node: Callable[[], ClosableNode], args: Sequence[str] | None) -> int:
    """Run a node until SIGINT, SIGTERM or a shutdown of the context.

    Args:
        make_node: builds it; a known error it raises is logged in one line.
        args: command line with ROS arguments; that of the process when None.

    Returns:
        Exit status: 0 after a clean end, 2 when the node refused to start.
    """
    rclpy.init(args=None if args is None else list(args))
    node: ClosableNode | None = None
    try:
        node = make_node()
        rclpy.spin(node)  # type: ignore[arg-type]
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except S3EError as err:
        get_logger('s3e_gnn_ros').fatal(str(err))
        return 2
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
