"""A trajectory: stamped poses of one frame in another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses at strictly increasing stamps.

    Attributes:
        stamps_ns: (N,) int64.
        poses: (N, 4, 4) float64, T_parent_child.

    Raises:
        InputError: lengths differ, or stamps do not increase strictly.
    """

    stamps_ns: NDArray[np.int64]
    poses: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check lengths and order."""
        if self.poses.shape != (len(self.stamps_ns), 4, 4):
            raise InputError(
                f'trajectory has {len(self.stamps_ns)} stamps'
                f' and poses of shape {self.poses.shape}'
            )
        steps = np.diff(self.stamps_ns)
        if (steps <= 0).any():
            first = int(np.argmax(steps <= 0))
            raise InputError(
                f'trajectory stamps do not increase: {self.stamps_ns[first + 1]} ns '
                f'follows {self.stamps_ns[first]} ns'
            )

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self.stamps_ns)

    def at(self, stamp_ns: int, max_gap_s: float = 0.5) -> se3.Pose | None:
        """Return the pose at a stamp, interpolated between its neighbours.

        Args:
            stamp_ns: the stamp asked for.
            max_gap_s: neighbours further apart than this are not interpolated between.

        Returns:
            The pose (4, 4), or None outside the trajectory or within a larger gap.
        """
        i = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if i < len(self) and self.stamps_ns[i] == stamp_ns:
            return np.asarray(self.poses[i])
        if i in (0, len(self)):
            return None
        before, after = int(self.stamps_ns[i - 1]), int(self.stamps_ns[i])
        if after - before > max_gap_s * 1e9:
            return None
        fraction = (stamp_ns - before) / (after - before)
        return se3.interpolate(self.poses[i - 1], self.poses[i], fraction)
