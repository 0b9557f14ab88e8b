"""Poses from text: TUM files, EuRoC tables, 4x4 matrices; and stamps without rounding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np

from s3e_gnn_ros import plain_data
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import DropError, InputError, RecordingError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory

_MAX_DIGITS = 40
_ORDER_REASONS = ('stamp', 'time_backwards')


def read_text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        RecordingError: it cannot be read, or is no text.
    """
    try:
        return plain_data.read_text(path)
    except OSError as err:
        raise RecordingError(f"cannot read '{path}': {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise RecordingError(f"'{path}' is no text file") from err


def table_rows(path: Path, separator: str | None = None) -> list[list[str]]:
    """Return the fields of every line that is not empty and no comment (``#``).

    Raises:
        RecordingError: the file cannot be read.
    """
    lines = (line.strip() for line in read_text(path).splitlines())
    rows = (line.split(separator) for line in lines if line and not line.startswith('#'))
    return [[value.strip() for value in row] for row in rows]


def seconds_to_ns(text: str) -> int:
    """Return decimal seconds in nanoseconds, exactly: a float would be 200 ns off.

    Raises:
        DropError: ``stamp``, when it is no finite number or negative.
    """
    try:
        seconds = Decimal(text)
        # To write out 1e999999 as a whole number takes seconds.
        is_in_range = seconds.is_finite() and seconds.adjusted() <= _MAX_DIGITS
        nanoseconds = int(seconds.scaleb(9)) if is_in_range else -1
    except (ArithmeticError, ValueError) as err:
        raise DropError('stamp', f"stamp '{text}' is no number of seconds") from err
    if not 0 <= nanoseconds < 2**63:
        raise DropError('stamp', f"stamp '{text}' s is out of range")
    return nanoseconds


def nanoseconds(text: str) -> int:
    """Return whole nanoseconds.

    Raises:
        DropError: ``stamp``, when it is no whole number or negative.
    """
    if not text.isdecimal() or len(text) > _MAX_DIGITS or int(text) >= 2**63:
        raise DropError('stamp', f"stamp '{text}' is no number of nanoseconds")
    return int(text)


def read_tum_trajectory(path: Path, reason: str, drops: Counter[str]) -> Trajectory:
    """Read a file of ``stamp[s] x y z qx qy qz qw``.

    Args:
        path: the file.
        reason: how lines without a valid pose are counted.
        drops: the counter.

    Raises:
        RecordingError: the file cannot be read, or holds no valid pose.
    """
    poses = PoseCollector(reason, drops)
    for row in table_rows(path):
        with poses.counting():
            if len(row) < 8:
                raise DropError(reason, f"line of '{path}' has {len(row)} values instead of 8")
            poses.add(seconds_to_ns(row[0]), _pose(row[1:4], row[4:8]))
    return poses.trajectory_of(path)


def read_euroc_trajectory(path: Path, reason: str, drops: Counter[str]) -> Trajectory:
    """Read a table of ``stamp[ns], x, y, z, qw, qx, qy, qz, ...``; see the TUM function."""
    poses = PoseCollector(reason, drops)
    for row in table_rows(path, ','):
        with poses.counting():
            if len(row) < 8:
                raise DropError(reason, f"line of '{path}' has {len(row)} values instead of 8")
            quat_wxyz = row[4:8]
            poses.add(nanoseconds(row[0]), _pose(row[1:4], [*quat_wxyz[1:], quat_wxyz[0]]))
    return poses.trajectory_of(path)


def read_matrix_pose(path: Path) -> se3.Pose:
    """Read a text file with a 4x4 matrix.

    Raises:
        InputError: it cannot be read, or holds no rigid transform.
    """
    try:
        values = [float(value) for value in read_text(path).split()]
    except (RecordingError, ValueError) as err:
        raise InputError(f"'{path}' holds no matrix: {err}") from err
    if len(values) != 16:
        raise InputError(f"'{path}' holds {len(values)} numbers instead of 16")
    return se3.check_pose(np.reshape(values, (4, 4)), f"pose in '{path}'")


class PoseCollector:
    """Collects stamped poses in order, and counts what cannot be used.

    Args:
        reason: under which poses are counted that are no poses.
        drops: the counter; stamps that do not increase count as ``time_backwards``.
    """

    def __init__(self, reason: str, drops: Counter[str]) -> None:
        """Start empty."""
        self._reason = reason
        self._drops = drops
        self._stamps_ns: list[int] = []
        self._poses: list[se3.Pose] = []

    def add(self, stamp_ns: int, T: se3.Pose) -> None:
        """Take a pose (4, 4).

        Raises:
            DropError: ``time_backwards``.
        """
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            last = self._stamps_ns[-1]
            raise DropError('time_backwards', f'pose at {stamp_ns} ns follows {last} ns')
        self._stamps_ns.append(stamp_ns)
        self._poses.append(T)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count a pose that cannot be used instead of raising."""
        try:
            yield
        except InputError as err:
            reason = err.reason if isinstance(err, DropError) else self._reason
            self._drops[reason if reason in _ORDER_REASONS else self._reason] += 1

    def trajectory(self) -> Trajectory | None:
        """Return what was collected; None when there is nothing."""
        if not self._poses:
            return None
        return Trajectory(np.array(self._stamps_ns, dtype=np.int64), np.stack(self._poses))

    def trajectory_of(self, path: Path) -> Trajectory:
        """Return what was collected from a file.

        Raises:
            RecordingError: there is nothing.
        """
        trajectory = self.trajectory()
        if trajectory is None:
            raise RecordingError(f"'{path}' holds no valid pose")
        return trajectory


def moved(trajectory: Trajectory, T_body_camera: se3.Pose) -> Trajectory:
    """Return the camera's trajectory from that of the body: T_w_body @ T_body_camera."""
    return Trajectory(trajectory.stamps_ns, trajectory.poses @ T_body_camera)


def read_odometry_file(options: RecordingOptions, drops: Counter[str]) -> Trajectory | None:
    """Return T_odom_camera from the file that the options name; None without one.

    Raises:
        RecordingError: the file cannot be read, or holds no valid pose.
    """
    if options.odometry_file is None:
        return None
    odometry = read_tum_trajectory(options.odometry_file, 'odometry_pose', drops)
    return odometry if options.T_body_camera is None else moved(odometry, options.T_body_camera)


def _pose(translation: Iterable[str], quat_xyzw: Iterable[str]) -> se3.Pose:
    try:
        t, q = [float(value) for value in translation], [float(value) for value in quat_xyzw]
    except ValueError as err:
        raise InputError(f'pose is not made of numbers: {err}') from err
    return se3.pose_from_quat(t, q)
