"""Public pose graphs with false loops strewn in: what each method makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.batch import minimise, optimise_batch, poses_of
from s3e_gnn_ros.pose_graph.chains import OdometryTrees
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, read_g2o
from s3e_gnn_ros.pose_graph.gnc import weighted
from s3e_gnn_ros.pose_graph.judge import Case, decide, proposals
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold
from s3e_gnn_ros.pose_graph.noise import robust_noise
from s3e_gnn_ros.pose_graph.reduction import values_of
from s3e_gnn_ros.pose_graph.solver import ANCHOR_SIGMAS
from s3e_gnn_ros.pose_graph.toro import read_toro

METHODS = ('least squares', 'Huber', 'growth', 'clusters', 'PCM', 'GNC', 'PCM + GNC', 'all')
"""``all`` is what the pose graph chooses from; ``growth`` to ``PCM + GNC`` are parts of it."""
_MIN_GAP = 20
_PROPOSALS = ('growth', 'clusters', 'GNC in clusters', 'PCM', 'GNC', 'GNC in PCM')
_TRUTH = {'sphere2500': 'sphere2500_groundtruth.txt'}


@dataclass(frozen=True, eq=False)
class Problem:
    """A graph with false loops.

    Attributes:
        base: gtsam.NonlinearFactorGraph of odometry and an anchor.
        trees: the same odometry.
        loops: true ones first, then false ones.
        is_false: (K,) which.
        initial: gtsam.Values by odometry.
        reference: (N, 4, 4) the truth where it is known, else the optimum without false loops.
        optimum: (N, 4, 4) the optimum without false loops.
    """

    base: Any
    trees: OdometryTrees
    loops: Loops
    is_false: NDArray[np.bool_]
    initial: Any
    reference: NDArray[np.float64]
    optimum: NDArray[np.float64]

    def error(self, poses: NDArray[np.float64]) -> float:
        """Return half chi2 of odometry and the true loops."""
        values = values_of(poses)
        true = self.loops.subset(~self.is_false)
        return float(self.base.error(values) + true.squared_residuals(poses).sum() / 2)


@dataclass(frozen=True)
class Outcome:
    """What a method made of a graph.

    Attributes:
        graph: name.
        share: of the loops that is false.
        method: one of :data:`METHODS`.
        ate_m: RMSE of the positions against the reference, after alignment [m].
        ate_ratio: the same over that of the optimum without false loops; NaN without a truth.
        error_ratio: half chi2 of the true edges, over that of the optimum without false loops.
        kept: share of the true loops kept; 1 for a method that keeps all.
        removed: share of the false loops taken out.
        spent_s: run time.
    """

    graph: str
    share: float
    method: str
    ate_m: float
    ate_ratio: float
    error_ratio: float
    kept: float
    removed: float
    spent_s: float


def study(
    paths: Sequence[Path],
    shares: Sequence[float] = (0.1, 0.3, 0.5),
    methods: Sequence[str] = METHODS,
    num_poses: int | None = None,
    seed: int = 0,
) -> Iterator[Outcome]:
    """Strew false loops into graphs and solve them.

    Edges between successive ids are odometry, all others loops. A false loop ties two random poses
    by the relative pose of two others, with the information of a random true loop.

    Args:
        paths: g2o files, or TORO files ending in .txt; ``sphere2500.txt`` has its truth beside it.
        shares: of the loops that are to be false.
        methods: of :data:`METHODS`.
        num_poses: only the first so many poses of each; all when None.
        seed: of the false loops.

    Raises:
        RecordingError: a file cannot be read.
    """
    for path in paths:
        for share in shares:
            problem = make_problem(path, share, np.random.default_rng(seed), num_poses)
            for method in methods:
                yield solve(problem, path.stem, share, method)


def table(outcomes: Iterator[Outcome]) -> str:
    """Return a Markdown table of outcomes."""
    lines = [
        '| graph | false | method | ATE [m] | ATE ratio | error ratio | true kept | false removed '
        '| time [s] |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for each in outcomes:
        ratio = '' if np.isnan(each.ate_ratio) else f'{each.ate_ratio:.3f}'
        lines.append(
            f'| {each.graph} | {each.share:.0%} | {each.method} | {each.ate_m:.3f} | {ratio} '
            f'| {each.error_ratio:.3f} | {each.kept:.3f} | {each.removed:.3f} '
            f'| {each.spent_s:.1f} |'
        )
    return '\n'.join(lines)


def make_problem(
    path: Path, share: float, rng: np.random.Generator, num_poses: int | None = None
) -> Problem:
    """Read a graph and add false loops until they are so large a share of all.

    Args:
        path: see :func:`study`.
        share: of the loops that are to be false.
        rng: draws them.
        num_poses: only the first so many poses; all when None.

    Raises:
        RecordingError: the file cannot be read.
    """
    graph = _first_poses(_read(path), num_poses)
    row = {int(key): k for k, key in enumerate(graph.ids)}
    ends = np.array([[row[i], row[j]] for i, j in graph.edge_ids.tolist()])
    is_step = _steps(ends, len(graph))
    covariances = np.asarray(np.linalg.inv(graph.information), dtype=np.float64)
    true = Loops(
        ends[~is_step, 0], ends[~is_step, 1], graph.edge_poses[~is_step], covariances[~is_step]
    )
    base, trees = _odometry(graph, ends[is_step], is_step, covariances)
    initial = values_of(trees.poses_from(np.tile(graph.poses[0], (len(graph), 1, 1))))
    optimum = poses_of(optimise_batch(weighted(base, true, np.ones(len(true))), initial))
    false = _false_loops(optimum, true, round(share / (1 - share) * len(true)), rng)
    loops = Loops(
        np.concatenate([true.i, false.i]),
        np.concatenate([true.j, false.j]),
        np.concatenate([true.T_i_j, false.T_i_j]),
        np.concatenate([true.covariances, false.covariances]),
    )
    is_false = np.arange(len(loops)) >= len(true)
    name = _TRUTH.get(path.stem)
    truth = None if name is None else read_toro(path.with_name(name)).poses
    reference = optimum if truth is None else truth[: len(optimum)]
    return Problem(base, trees, loops, is_false, initial, reference, optimum)


def solve(problem: Problem, graph: str, share: float, method: str) -> Outcome:
    """Solve a graph by one method."""
    start_s = time.perf_counter()
    poses, is_in = _SOLVERS[method](problem)
    spent_s = time.perf_counter() - start_s
    ate_m = rmse_m(poses, problem.reference)
    has_truth = problem.reference is not problem.optimum
    best_m = rmse_m(problem.optimum, problem.reference) if has_truth else np.nan
    return Outcome(
        graph,
        share,
        method,
        ate_m,
        ate_m / best_m,
        problem.error(poses) / problem.error(problem.optimum),
        float(is_in[~problem.is_false].mean()),
        float((~is_in[problem.is_false]).mean()) if problem.is_false.any() else 1.0,
        spent_s,
    )


def rmse_m(poses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the RMSE of positions (N, 3) after alignment by a rigid motion [m]."""
    a, b = poses[:, :3, 3], reference[:, :3, 3]
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    U, _, Vt = np.linalg.svd(a.T @ b)
    R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    return float(np.sqrt(np.mean(np.sum((a @ R - b) ** 2, axis=1))))


_Solution = tuple[NDArray[np.float64], NDArray[np.bool_]]


def _keep_all(problem: Problem, kernel: str) -> _Solution:
    config = PoseGraphConfig()
    graph = gtsam.NonlinearFactorGraph(problem.base)
    for row in range(len(problem.loops)):
        factor = problem.loops.factor(row)
        noise = robust_noise(factor.noiseModel(), kernel, config.robust_threshold)
        i, j = factor.keys()
        graph.add(gtsam.BetweenFactorPose3(i, j, factor.measured(), noise))
    values = minimise(graph, problem.initial)
    return poses_of(values), np.ones(len(problem.loops), bool)


def _propose(problem: Problem, names: Sequence[str]) -> _Solution:
    """Return the cheapest of some proposals alone: no other set may come to their rescue."""
    config = PoseGraphConfig()
    threshold = chi2_threshold(config.inlier_probability)
    pairs = PairTable(chi2_threshold(config.pcm_probability))
    pairs.extend(problem.trees, problem.loops)
    nothing = np.zeros(len(problem.loops), bool)
    case = Case(
        problem.base, problem.loops, pairs, nothing, nothing, problem.initial, problem.initial
    )
    made = proposals(case, True, threshold)
    verdict = decide(case, [made[name]() for name in names if name in made], threshold)
    return poses_of(verdict.values), verdict.is_in


_SOLVERS: dict[str, Callable[[Problem], _Solution]] = {
    'least squares': lambda problem: _keep_all(problem, 'none'),
    'Huber': lambda problem: _keep_all(problem, 'huber'),
    'growth': lambda problem: _propose(problem, ['growth']),
    'clusters': lambda problem: _propose(problem, ['clusters', 'GNC in clusters']),
    'PCM': lambda problem: _propose(problem, ['PCM']),
    'GNC': lambda problem: _propose(problem, ['GNC']),
    'PCM + GNC': lambda problem: _propose(problem, ['PCM', 'GNC', 'GNC in PCM']),
    'all': lambda problem: _propose(problem, _PROPOSALS),
}


def _read(path: Path) -> G2oGraph:
    return read_toro(path) if path.suffix == '.txt' else read_g2o(path)


def _first_poses(graph: G2oGraph, num_poses: int | None) -> G2oGraph:
    if num_poses is None:
        return graph
    ids = graph.ids[:num_poses]
    stays = np.isin(graph.edge_ids, ids).all(axis=1)
    return G2oGraph(
        ids,
        graph.poses[:num_poses],
        graph.edge_ids[stays],
        graph.edge_poses[stays],
        graph.information[stays],
    )


def _steps(ends: NDArray[np.int64], num_poses: int) -> NDArray[np.bool_]:
    """Return the mask (E,) of the first edge between each pose and the next."""
    is_step = np.zeros(len(ends), bool)
    candidates = np.flatnonzero(ends[:, 1] == ends[:, 0] + 1)
    firsts = np.unique(ends[candidates, 0], return_index=True)[1]
    is_step[candidates[firsts]] = True
    assert is_step.sum() == num_poses - 1  # an unbroken drive
    return is_step


def _odometry(
    graph: G2oGraph,
    ends: NDArray[np.int64],
    is_step: NDArray[np.bool_],
    covariances: NDArray[np.float64],
) -> tuple[Any, OdometryTrees]:
    base = gtsam.NonlinearFactorGraph()
    anchor = gtsam.noiseModel.Diagonal.Sigmas(ANCHOR_SIGMAS)
    base.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(graph.poses[0]), anchor))
    T, C = np.tile(np.eye(4), (len(graph), 1, 1)), np.tile(np.eye(6), (len(graph), 1, 1))
    T[ends[:, 1]], C[ends[:, 1]] = graph.edge_poses[is_step], covariances[is_step]
    for row in range(1, len(graph)):
        noise = gtsam.noiseModel.Gaussian.Covariance(C[row])
        base.add(gtsam.BetweenFactorPose3(row - 1, row, gtsam.Pose3(T[row]), noise))
    return base, OdometryTrees(np.arange(len(graph)) - 1, T, C)


def _false_loops(
    poses: NDArray[np.float64], true: Loops, count: int, rng: np.random.Generator
) -> Loops:
    i, j = _far_pairs(len(poses), count, rng)
    m, n = _far_pairs(len(poses), count, rng)
    like = rng.integers(len(true), size=count)
    return Loops(i, j, inverse(poses[m]) @ poses[n], true.covariances[like])


def _far_pairs(
    num_poses: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    gap = rng.integers(_MIN_GAP, num_poses, size=count)
    i = (rng.random(count) * (num_poses - gap)).astype(np.int64)
    return i, i + gap
