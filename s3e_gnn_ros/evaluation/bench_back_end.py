"""What a robot waits for: the whole back-end callback, and gaps of corrected odometry."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.evaluation.bench_pose_graph import Growing
from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph

_POSES_PER_WRONG = 100
_FURTHER = 20
_BEFORE_CHECK = 5
_KEYFRAME_PERIOD_S = 0.1
_ODOMETRY_PERIOD_S = 0.005
_PROCESSES: tuple[tuple[str, Callable[[PoseGraphConfig], PoseGraph | RemoteGraph]], ...] = (
    ('one process', PoseGraph),
    ('its own', RemoteGraph),
)


def time_back_end(sizes: Sequence[int], config: PoseGraphConfig, seed: int) -> list[Timing]:
    """Drive on by twenty keyframes on a graph of each size, through a check of all its closures.

    A tenth of the closures are wrong. Meanwhile another thread corrects odometry at 200 Hz.

    Args:
        sizes: numbers of poses; one closure to ten poses.
        config: noise, solver and checks.
        seed: of drift, loops and their noise.

    Returns:
        For each size, with the graph in this process and in one of its own, the whole callback
        (keyframe, closure, update, reading where the newest keyframe stands), and the time from
        one corrected odometry to the next.

    Raises:
        InputError: the graph cannot be solved.
    """
    timings = []
    for size in sizes:
        for name, make_graph in _PROCESSES:
            callbacks, gaps = _drive_on(size, config, seed, make_graph)
            timings += [
                Timing(f'callback {size:,} poses, {name}', callbacks),
                Timing(f'odometry gap {size:,} poses, {name}', gaps),
            ]
    return timings


def _drive_on(
    num_poses: int,
    config: PoseGraphConfig,
    seed: int,
    make_graph: Callable[[PoseGraphConfig], PoseGraph | RemoteGraph],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return milliseconds of the callbacks, and of the gaps."""
    config = dataclasses.replace(
        config, check_interval=num_poses + _BEFORE_CHECK, check_growth=0.0, pcm=True, gnc=True
    )
    graph = make_graph(config)
    try:
        growing = Growing(num_poses + _FURTHER, graph, seed, _POSES_PER_WRONG)
        growing.add(num_poses)
        odometry = _Odometry()
        callbacks = [_callback(growing) for _ in range(_FURTHER)]
        while graph.is_checking:
            time.sleep(_KEYFRAME_PERIOD_S)
            callbacks.append(measure(graph.update))
        return np.array(callbacks), odometry.gaps_ms()
    finally:
        if isinstance(graph, RemoteGraph):
            graph.close()


def _callback(growing: Growing) -> float:
    spent_ms = measure(partial(_add_and_read, growing))
    time.sleep(max(0.0, _KEYFRAME_PERIOD_S - spent_ms / 1e3))
    return spent_ms


def _add_and_read(growing: Growing) -> None:
    growing.add(1)
    growing.graph.standing(growing.newest)


class _Odometry:
    """Corrects odometry at 200 Hz in a thread of its own, as callbacks of the node do."""

    def __init__(self) -> None:
        self._stamps_s: list[float] = []
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def gaps_ms(self) -> NDArray[np.float64]:
        """End it, and return the time between any two successive outputs [ms]."""
        self._is_ending = True
        self._thread.join()
        return np.diff(self._stamps_s) * 1e3

    def _run(self) -> None:
        T_map_odom, T_odom_body = np.eye(4), se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
        while not self._is_ending:
            T_odom_body = T_map_odom @ T_odom_body
            self._stamps_s.append(time.perf_counter())
            time.sleep(_ODOMETRY_PERIOD_S)
