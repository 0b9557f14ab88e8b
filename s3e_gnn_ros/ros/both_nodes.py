"""Loop closure node and pose graph node in one process: as two, with one interpreter less.

Each keeps its name, parameters and services, and a thread of its own. They share the interpreter's
lock, which GTSAM would hold while it solves, were it not for ``pose_graph.solver_process``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode
from s3e_gnn_ros.ros.node_main import run_nodes
from s3e_gnn_ros.ros.pose_graph_node import PoseGraphNode


def main(args: Sequence[str] | None = None) -> int:
    """Run both nodes until they are told to stop; returns the exit status."""
    return run_nodes([LoopClosureNode, PoseGraphNode], args)


if __name__ == '__main__':
    sys.exit(main())
