"""Absolute and relative trajectory error, by evo, so that anyone's evo gives the same figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError
from s3e_gnn_ros.geometry.se3 import Pose, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory

MAX_STAMP_DIFFERENCE_S = 0.01
"""evo's own default: poses of truth and estimate further apart in time are not compared."""


@dataclass(frozen=True, eq=False)
class AbsoluteError:
    """Distance to the truth after the best rigid alignment, over M poses.

    Attributes:
        rmse_m: root of the mean square [m]: the ATE.
        mean_m: mean [m].
        median_m: median [m].
        max_m: largest [m].
        stamps_ns: (M,) int64, to evo's precision of microseconds.
        errors_m: (M,) distance of each pose [m].
        T_truth_estimate: (4, 4) the alignment.
    """

    rmse_m: float
    mean_m: float
    median_m: float
    max_m: float
    stamps_ns: NDArray[np.int64]
    errors_m: NDArray[np.float64]
    T_truth_estimate: Pose


@dataclass(frozen=True)
class RelativeError:
    """Drift over a distance.

    Attributes:
        translation_rmse_m: root mean square of the translation error [m].
        rotation_rmse_deg: root mean square of the rotation error [deg].
        num_pairs: pairs of poses that far apart.
    """

    translation_rmse_m: float
    rotation_rmse_deg: float
    num_pairs: int


def absolute_error(truth: Trajectory, estimate: Trajectory) -> AbsoluteError | str:
    """Measure the ATE: ``evo_ape tum truth estimate -a`` (SE(3) Umeyama, no scale).

    Args:
        truth: T_world_camera.
        estimate: T_map_camera or T_odom_camera of the same camera.

    Returns:
        The error, or the reason why there is none: nothing to compare, or poses on one line,
        which do not determine an alignment.

    Raises:
        DependencyError: evo is not installed.
    """
    evo = _evo()
    try:
        reference, aligned = _associate(evo, truth, estimate)
        rotation, translation, _ = aligned.align(reference)
        metric = evo.metrics.APE(evo.metrics.PoseRelation.translation_part)
        metric.process_data((reference, aligned))
    except evo.error as err:
        return str(err)
    errors = np.asarray(metric.error, dtype=np.float64)
    return AbsoluteError(
        rmse_m=float(np.sqrt(np.mean(errors**2))),
        mean_m=float(errors.mean()),
        median_m=float(np.median(errors)),
        max_m=float(errors.max()),
        stamps_ns=np.round(np.asarray(aligned.timestamps) * 1e9).astype(np.int64),
        errors_m=errors,
        T_truth_estimate=make_pose(rotation, translation),
    )


def relative_error(
    truth: Trajectory, estimate: Trajectory, delta_m: float = 1.0
) -> RelativeError | str:
    """Measure the RPE: ``evo_rpe tum truth estimate -d 1 -u m --pairs_from_reference``.

    The pairs are chosen along the truth, so that estimates of different quality answer for the
    same pairs.

    Args:
        truth: T_world_camera.
        estimate: T_map_camera or T_odom_camera of the same camera.
        delta_m: distance travelled between the two poses of a pair [m].

    Returns:
        The error, or the reason why there is none, such as a recording shorter than ``delta_m``.

    Raises:
        DependencyError: evo is not installed.
    """
    evo = _evo()
    relation = evo.metrics.PoseRelation
    try:
        data = _associate(evo, truth, estimate)
        errors = []
        for part in (relation.translation_part, relation.rotation_angle_deg):
            metric = evo.metrics.RPE(
                part, delta_m, evo.metrics.Unit.meters, pairs_from_reference=True
            )
            metric.process_data(data)
            errors.append(np.asarray(metric.error, dtype=np.float64))
    except evo.error as err:
        return str(err)
    rmse = [float(np.sqrt(np.mean(error**2))) for error in errors]
    return RelativeError(rmse[0], rmse[1], len(errors[0]))


@dataclass(frozen=True)
class _Evo:
    metrics: Any
    sync: Any
    trajectory: Any
    error: type[Exception]


def _evo() -> _Evo:
    """Import evo late (it is slow), and only its core: its tools write into the home folder."""
    try:
        from evo import EvoException
        from evo.core import metrics, sync, trajectory
    except ImportError as err:
        raise DependencyError(f"evo cannot be imported ({err}); 'pip install evo'") from err
    return _Evo(metrics, sync, trajectory, EvoException)


def _associate(evo: _Evo, truth: Trajectory, estimate: Trajectory) -> tuple[Any, Any]:
    if min(len(truth), len(estimate)) < 3:
        raise evo.error(f'{len(truth)} true and {len(estimate)} estimated poses are too few')
    paths = [
        evo.trajectory.PoseTrajectory3D(
            poses_se3=list(each.poses),
            timestamps=each.stamps_ns.astype(np.float64) / 1e9,
        )
        for each in (truth, estimate)
    ]
    pair = evo.sync.associate_trajectories(*paths, max_diff=MAX_STAMP_DIFFERENCE_S)
    if pair[0].num_poses < 3:
        raise evo.error(f'only {pair[0].num_poses} poses have a true pose at the same time')
    return pair[0], pair[1]
