"""The pose graph of a stored map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.loop_closure.database import KeyframeRows
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import LoopClosure


def add_to_graph(
    graph: PoseGraph,
    rows: KeyframeRows,
    closures: Sequence[LoopClosure],
    max_speed_m_per_s: float,
) -> None:
    """Add a map to a pose graph; its sessions are pieces of their own until closures join them.

    Keyframes that the graph has already are passed over; odometry faster than
    ``max_speed_m_per_s`` ties no two keyframes.

    Raises:
        InputError: the map contradicts itself, such as a stamp that goes back.
    """
    known = set(graph.keys)
    last: dict[int, int] = {}  # row by session
    for row, key in enumerate(rows.keys):
        before = last.get(key.session)
        last[key.session] = row
        if key in known:
            continue
        stamp_ns, T = int(rows.stamps_ns[row]), rows.T_odom_camera[row]
        continues = before is not None and is_plausible_step(
            (stamp_ns - int(rows.stamps_ns[before])) / 1e9,
            rows.T_odom_camera[before],
            T,
            max_speed_m_per_s,
        )
        graph.add_keyframe(key, stamp_ns, T, continues)
    graph.update()  # loops start from solved odometry
    for closure in closures:
        graph.add_closure(closure)


def solved_graph(store: MapStore, config: PoseGraphConfig) -> PoseGraph:
    """Return the optimised pose graph of a map.

    Raises:
        InputError: the map contradicts itself, or cannot be solved.
    """
    graph = PoseGraph(config)
    add_to_graph(graph, store.rows(), store.closures(), config.max_speed_m_per_s)
    graph.finish()
    return graph


def map_poses(store: MapStore, config: PoseGraphConfig) -> NDArray[np.float64]:
    """Return T_map_camera (N, 4, 4) of all keyframes, by row of the map.

    As stored, or solved anew where some were not stored yet.

    Raises:
        InputError: see :func:`solved_graph`.
    """
    rows = store.rows()
    if np.isfinite(rows.T_map_camera).all():
        return rows.T_map_camera
    graph = solved_graph(store, config)
    row_of = {key: row for row, key in enumerate(graph.keys)}
    return graph.poses()[[row_of[key] for key in rows.keys]]
