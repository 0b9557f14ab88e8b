"""Optimise a recorded pose graph the way it once grew: one pose after the other."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, read_g2o
from s3e_gnn_ros.pose_graph.solver import IncrementalSolver


@dataclass(frozen=True, eq=False)
class OnlineRun:
    """What became of a replayed graph.

    Attributes:
        times_s: (N,) seconds each pose took, in order of arrival: its edges and the update.
        error_online: half chi2 that the incremental solver had reached with the last pose.
        error: the same after the final optimisation of everything at once.
        finish_s: seconds that took.
        poses: (N, 4, 4) optimised, in the order of the file.
        num_recoveries: how often the batch solver had to help on the way.
    """

    times_s: NDArray[np.float64]
    error_online: float
    error: float
    finish_s: float
    poses: NDArray[np.float64]
    num_recoveries: int


def replay_g2o(
    path: Path,
    config: PoseGraphConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    poses_per_update: int = 1,
) -> OnlineRun:
    """Feed a g2o file to the incremental solver in order of its ids, with its own information.

    A pose waits until an edge ties it to one that is there already; an edge enters with the later
    of its two poses. The poses of the file are not used, but for the first of each connected part.

    Args:
        path: g2o file.
        config: relinearisation and extra iterations; the defaults when None. Edges get no robust
            kernel.
        progress: called with the number of poses done and of all poses.
        poses_per_update: solve after so many poses. A robot solves after each.

    Raises:
        RecordingError: the file cannot be read.
        InputError: the graph cannot be solved.
    """
    config = PoseGraphConfig() if config is None else config
    graph = read_g2o(path, allow_indefinite=True)
    solver = IncrementalSolver(config.relinearize_threshold)
    index: dict[int, int] = {}  # row of the file -> index in the solver
    times_s = []
    for row, edges in _arrivals(graph):
        start = time.perf_counter()
        index[row] = _add(solver, graph, index, row, edges)
        if len(index) % poses_per_update == 0:
            solver.update(config.extra_iterations)
        times_s.append(time.perf_counter() - start)
        if progress is not None:
            progress(len(index), len(graph))
    solver.update(config.extra_iterations)
    error_online = solver.error()
    start = time.perf_counter()
    solver.finish()
    finish_s = time.perf_counter() - start
    poses = solver.poses()[[index[row] for row in range(len(graph))]]
    return OnlineRun(
        np.array(times_s), error_online, solver.error(), finish_s, poses, solver.num_recoveries
    )


def online_update_times(path: Path, config: PoseGraphConfig | None = None) -> NDArray[np.float64]:
    """Return the seconds (N,) that each pose of a g2o file takes online, solved one by one.

    Raises:
        RecordingError: the file cannot be read.
        InputError: the graph cannot be solved.
    """
    return replay_g2o(path, config).times_s


def _arrivals(graph: G2oGraph) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each row with its edges to rows yielded before: (other row, number of the edge)."""
    by_id = np.argsort(graph.ids)
    rows = by_id[np.searchsorted(graph.ids, graph.edge_ids, sorter=by_id)]
    touching: list[list[tuple[int, int]]] = [[] for _ in range(len(graph))]
    for edge, (i, j) in enumerate(rows.tolist()):
        touching[i].append((j, edge))
        touching[j].append((i, edge))
    arrived: set[int] = set()
    for first in by_id.tolist():
        waiting = [(int(graph.ids[first]), first)]
        while waiting:
            row = heapq.heappop(waiting)[1]
            if row in arrived:
                continue
            yield row, [pair for pair in touching[row] if pair[0] in arrived]
            arrived.add(row)
            for other, _ in touching[row]:
                if other not in arrived:
                    heapq.heappush(waiting, (int(graph.ids[other]), other))


def _add(
    solver: IncrementalSolver,
    graph: G2oGraph,
    index: dict[int, int],
    row: int,
    edges: list[tuple[int, int]],
) -> int:
    """Add a pose by the edge to its latest neighbour, and all others as loops."""
    if not edges:
        new = solver.add_pose(graph.poses[row])
        solver.add_anchor(new, graph.poses[row])
        return new
    tie = max(edges, key=lambda pair: (index[pair[0]], -pair[1]))
    T_i_j = graph.edge_poses[tie[1]]
    leads_here = graph.edge_ids[tie[1], 1] == graph.ids[row]
    guess = solver.pose(index[tie[0]]) @ (T_i_j if leads_here else inverse(T_i_j))
    new = solver.add_pose(guess)
    for other, edge in edges:
        noise = gtsam.noiseModel.Gaussian.Information(graph.information[edge])
        ends = (index[other], new)
        if graph.edge_ids[edge, 1] != graph.ids[row]:
            ends = (new, index[other])
        solver.add_between(*ends, graph.edge_poses[edge], noise, is_loop=edge != tie[1])
    return new
