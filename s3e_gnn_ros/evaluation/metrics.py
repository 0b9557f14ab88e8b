"""Everything that is measured about a run, as one dictionary."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from s3e_gnn_ros import __version__
from s3e_gnn_ros.evaluation.closure_error import ClosureCheck, Tolerance, check_closures
from s3e_gnn_ros.evaluation.correction import corrected_trajectory
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.evaluation.trajectory_error import (
    AbsoluteError,
    RelativeError,
    absolute_error,
    relative_error,
)
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import LoopQuery, Status

RPE_DELTA_M = 1.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run with what was measured about it.

    Attributes:
        result: the run.
        tolerance: from where on a closure is called wrong.
        optimised: T_map_camera of every frame that has odometry.
        ate_odometry: of ``result.odometry``; the reason when there is none.
        ate_optimised: of ``optimised``; the reason when there is none.
        checks: one per closure.
        metrics: the content of metrics.json; numbers, texts, lists and dictionaries only.
    """

    result: ReplayResult
    tolerance: Tolerance
    optimised: Trajectory
    ate_odometry: AbsoluteError | str
    ate_optimised: AbsoluteError | str
    checks: list[ClosureCheck]
    metrics: dict[str, Any]


def evaluate(result: ReplayResult, tolerance: Tolerance | None = None) -> Evaluation:
    """Measure a run.

    Args:
        result: the run.
        tolerance: from where on a closure is called wrong; the default's when None.

    Raises:
        DependencyError: evo is not installed, and ground truth is known.
    """
    tolerance = tolerance or Tolerance()
    optimised = corrected_trajectory(
        result.odometry,
        result.stamps_ns,
        result.T_odom_camera,
        result.T_map_camera,
        result.sessions,
    )
    truth = result.ground_truth
    ate = {
        'odometry': _absolute(truth, result.odometry),
        'optimised': _absolute(truth, optimised),
    }
    checks = check_closures(result.closures, truth, optimised, tolerance)
    metrics = {
        **_run_metrics(result),
        **_trajectory_metrics(result, optimised, ate),
        **_closure_metrics(checks, has_truth=truth is not None),
        **_rejected_metrics(result, optimised, tolerance),
        'tolerance': asdict(tolerance),
        'rejections': rejections(result.queries),
        'latency_ms': {name: latency(times) for name, times in result.stage_ms.items()},
        'drops': dict(result.drops),
        'notes': list(result.notes),
        'versions': _versions(),
    }
    return Evaluation(
        result,
        tolerance,
        optimised,
        ate['odometry'],
        ate['optimised'],
        checks,
        plain(metrics),
    )


def rejections(queries: Sequence[LoopQuery]) -> dict[str, int]:
    """Count the queries that found no loop, by the name of the reason."""
    counts = Counter(query.status for query in queries)
    return {s.name: counts[s] for s in Status if s is not Status.LOOP_DETECTED and counts[s]}


def latency(times_ms: Sequence[float]) -> dict[str, float | int | None]:
    """Summarise the run times of a stage [ms]; None for a stage that never ran."""
    times = np.asarray(times_ms, dtype=np.float64)
    times = times[np.isfinite(times)]
    if len(times) == 0:
        return {'p50': None, 'p95': None, 'mean': None, 'max': None, 'count': 0}
    return {
        'p50': float(np.percentile(times, 50)),
        'p95': float(np.percentile(times, 95)),
        'mean': float(times.mean()),
        'max': float(times.max()),
        'count': len(times),
    }


def plain(values: Mapping[str, object]) -> dict[str, Any]:
    """Turn a tree of values into strict JSON's: numpy scalars unpacked, NaN and inf to None."""
    return {str(key): _plain_value(item) for key, item in values.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _absolute(truth: Trajectory | None, estimate: Trajectory) -> AbsoluteError | str:
    return 'no ground truth' if truth is None else absolute_error(truth, estimate)


def _run_metrics(result: ReplayResult) -> dict[str, Any]:
    factor = result.recording_s / result.wall_s if result.wall_s > 0 else None
    return {
        'recording': result.name,
        'num_frames': len(result.odometry),
        'num_keyframes': result.num_keyframes,
        'num_queries': len(result.queries),
        'recording_s': result.recording_s,
        'wall_s': result.wall_s if result.wall_s > 0 else None,
        'real_time_factor': factor,
    }


def _trajectory_metrics(
    result: ReplayResult, optimised: Trajectory, ate: Mapping[str, AbsoluteError | str]
) -> dict[str, Any]:
    truth = result.ground_truth
    before, after = (
        each.rmse_m if isinstance(each, AbsoluteError) else None for each in ate.values()
    )
    ratio = after / before if before and after is not None else None
    paths = {'odometry': result.odometry, 'optimised': optimised}
    rpe = {name: relative_error(truth, path, RPE_DELTA_M) for name, path in paths.items() if truth}
    return {
        'ate_rmse_m_odometry': before,
        'ate_rmse_m_optimised': after,
        'ate_ratio': ratio,
        'ate': {name: _ate_entry(each) for name, each in ate.items()},
        'rpe': {
            'delta_m': RPE_DELTA_M,
            **{name: _rpe_entry(each) for name, each in rpe.items()},
        },
        'path_length_m': _length_m(result.odometry if truth is None else truth),
    }


def _ate_entry(error: AbsoluteError | str) -> dict[str, Any]:
    if isinstance(error, str):
        return {'unknown_because': error}
    names = ('rmse_m', 'mean_m', 'median_m', 'max_m')
    return {
        **{name: getattr(error, name) for name in names},
        'num_poses': len(error.errors_m),
    }


def _rpe_entry(error: RelativeError | str) -> dict[str, Any]:
    return {'unknown_because': error} if isinstance(error, str) else asdict(error)


def _closure_metrics(checks: Sequence[ClosureCheck], *, has_truth: bool) -> dict[str, Any]:
    checked = [check for check in checks if check.is_wrong is not None]
    travel = Counter(check.travel for check in checks)
    return {
        'num_closures': len(checks),
        'num_wrong_closures': sum(bool(c.is_wrong) for c in checked) if has_truth else None,
        'num_unchecked_closures': len(checks) - len(checked),
        'closure_translation_error_m': _spread([c.translation_error_m for c in checked]),
        'closure_rotation_error_deg': _spread([c.rotation_error_deg for c in checked]),
        'num_closures_same_direction': travel['same'],
        'num_closures_crossing_direction': travel['crossing'],
        'num_closures_opposite_direction': travel['opposite'],
        'num_closures_unknown_direction': travel['unknown'],
        'num_closures_yaw_over_90': sum(check.view_angle_deg > 90 for check in checks),
    }


def _rejected_metrics(
    result: ReplayResult, optimised: Trajectory, tolerance: Tolerance
) -> dict[str, int | None]:
    """Count what was verified but taken out by the back end, and what of it was right."""
    truth = result.ground_truth
    checks = check_closures(result.rejected, truth, optimised, tolerance)
    num_right = sum(check.is_wrong is False for check in checks)
    return {
        'num_rejected_closures': len(checks),
        'num_rejected_right_closures': None if truth is None else num_right,
    }


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = np.array([value for value in values if value is not None])
    if len(known) == 0:
        return {'median': None, 'p90': None, 'max': None}
    return {
        'median': float(np.median(known)),
        'p90': float(np.percentile(known, 90)),
        'max': float(known.max()),
    }


def _length_m(path: Trajectory) -> float:
    return float(np.linalg.norm(np.diff(path.poses[:, :3, 3], axis=0), axis=1).sum())


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {
        's3e_gnn_ros': __version__,
        'python': platform.python_version(),
    }
    for name in ('numpy', 'opencv-python-headless', 'opencv-python', 'gtsam', 'evo'):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
