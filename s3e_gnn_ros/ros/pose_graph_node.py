"""ROS node: keyframes and loop closures in, corrected poses and the transform to odometry out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.graph_keeping import GraphKeeping
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.node_main import run_nodes


class PoseGraphNode(ManagedNode):
    """Has the role :class:`GraphKeeping` while it is configured.

    Raises:
        ConfigError: a parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            names.POSE_GRAPH_NODE, names.POSE_GRAPH_STATISTICS, GraphKeeping, **options
        )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit status."""
    return run_nodes([PoseGraphNode], args)


if __name__ == '__main__':
    sys.exit(main())
