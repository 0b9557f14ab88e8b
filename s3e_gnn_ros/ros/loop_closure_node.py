"""ROS node: images and odometry in, keyframes and verified loop closures out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.loop_closing import LoopClosing
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.node_main import run_nodes


class LoopClosureNode(ManagedNode):
    """Has the role :class:`LoopClosing` while it is configured.

    Raises:
        ConfigError: a parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(names.LOOP_CLOSURE_NODE, names.LOOP_STATISTICS, LoopClosing, **options)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit status."""
    return run_nodes([LoopClosureNode], args)


if __name__ == '__main__':
    sys.exit(main())
