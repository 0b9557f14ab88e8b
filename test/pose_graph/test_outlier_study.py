"""False loops in public graphs; the whole table is in docs/pose_graph.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry.se3 import expmap, inverse
from s3e_gnn_ros.pose_graph.outlier_study import make_problem, rmse_m, solve, table
from s3e_gnn_ros.pose_graph.toro import read_toro

GRAPHS = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'pose_graphs'
needs_graphs = pytest.mark.skipif(not GRAPHS.is_dir(), reason='needs the shared pose graphs')


@needs_graphs
def test_half_of_the_loops_false() -> None:
    """The first 300 poses of M3500: all that the pose graph chooses from, beside Huber alone."""
    problem = make_problem(GRAPHS / 'M3500.g2o', 0.5, np.random.default_rng(0), 300)
    assert problem.is_false.mean() == pytest.approx(0.5, abs=0.01)
    huber = solve(problem, 'M3500', 0.5, 'Huber')
    assert huber.error_ratio > 10
    assert huber.removed == 0
    best = solve(problem, 'M3500', 0.5, 'all')
    assert best.error_ratio <= 1.2
    assert best.kept > 0.95
    assert best.removed == 1
    assert '| M3500 | 50% | all |' in table(iter([best]))


@needs_graphs
def test_no_method_is_rescued_by_another() -> None:
    """Each row is of its own proposal: where they differ, so do the rows."""
    problem = make_problem(GRAPHS / 'M3500.g2o', 0.5, np.random.default_rng(1), 500)
    outcomes = {name: solve(problem, 'M3500', 0.5, name) for name in ('growth', 'PCM', 'GNC')}
    assert len({round(each.ate_m, 6) for each in outcomes.values()}) == 3


@needs_graphs
def test_clusters_need_no_start_from_which_to_tell_false_loops() -> None:
    """Odometry of the sphere is off by 6 deg a step; what two neighbours say alike is right."""
    problem = make_problem(GRAPHS / 'sphere2500.txt', 0.5, np.random.default_rng(0), 1000)
    best = solve(problem, 'sphere2500', 0.5, 'clusters')
    assert best.ate_ratio <= 1.2
    assert best.error_ratio <= 1.2
    assert best.kept == 1
    assert best.removed > 0.99


@needs_graphs
def test_covariances_that_are_far_too_wide() -> None:
    """The edges of parking-garage say 1 m and 30 deg, and close to millimetres."""
    problem = make_problem(GRAPHS / 'parking-garage.g2o', 0.5, np.random.default_rng(0), 250)
    best = solve(problem, 'parking-garage', 0.5, 'all')
    assert best.error_ratio <= 1.2
    assert best.kept == 1
    assert best.removed == 1


@needs_graphs
def test_standard_deviations_of_micrometres_among_decimetres() -> None:
    """INTEL: a graph whose Cholesky factors give no step. Odometry alone is 10 m off."""
    problem = make_problem(GRAPHS / 'INTEL.g2o', 0.5, np.random.default_rng(0))
    assert problem.error(problem.optimum) == pytest.approx(107.919, rel=1e-3)
    best = solve(problem, 'INTEL', 0.5, 'clusters')
    assert best.ate_m < 0.2
    assert best.kept > 0.97
    assert best.removed == 1


@needs_graphs
def test_truth_of_the_sphere() -> None:
    problem = make_problem(GRAPHS / 'sphere2500.txt', 0.1, np.random.default_rng(0), 200)
    assert problem.reference is not problem.optimum
    assert rmse_m(problem.optimum, problem.reference) < 1.0


def test_alignment_takes_a_rigid_motion_away() -> None:
    rng = np.random.default_rng(0)
    poses = np.array([expmap(rng.normal(0, 1, 6)) for _ in range(20)])
    moved = expmap([1.0, -2.0, 0.5, 3, 4, 5]) @ poses
    assert rmse_m(moved, poses) < 1e-9
    moved[:, 0, 3] += np.where(np.arange(20) < 10, 0.1, -0.1)
    assert 0.05 < rmse_m(moved, poses) <= 0.1


def test_toro_file(tmp_path: Path) -> None:
    values = '1 2 3 0.1 0.2 0.3 ' + '10 0 0 0 0 0 20 0 0 0 0 30 0 0 0 40 0 0 50 0 60'
    path = tmp_path / 'small.txt'
    path.write_text(f'EDGE3 0 1 {values}\nEDGE3 1 2 {values}\nEDGE3 0 2 {values}\n')
    graph = read_toro(path)
    np.testing.assert_allclose(graph.edge_poses[0][:3, 3], [1, 2, 3])
    np.testing.assert_allclose(np.diag(graph.information[0]), [40, 50, 60, 10, 20, 30])
    np.testing.assert_allclose(inverse(graph.poses[1]) @ graph.poses[2], graph.edge_poses[1])
    yaw = np.arctan2(graph.poses[1][1, 0], graph.poses[1][0, 0])
    assert yaw == pytest.approx(0.3)


@pytest.mark.parametrize('text', ['', 'EDGE3 0 1 2\n', 'EDGE3 0 x\n', f'EDGE3 0 2 {"1 " * 27}\n'])
def test_no_toro_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'bad.txt'
    path.write_text(text)
    with pytest.raises(RecordingError, match=r'bad\.txt'):
        read_toro(path)
