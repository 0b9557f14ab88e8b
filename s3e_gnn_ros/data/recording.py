"""What every recording offers, whatever its files look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import Frame


class Recording(Protocol):
    """A sequence of frames in order of their stamps, readable any number of times.

    Attributes:
        name: short name, for titles.
        num_frames: how many frames there are (an upper bound when some prove unreadable).
        odometry: the recording's own T_odom_camera of the optical frame, or None.
        ground_truth: the true T_world_camera of the optical frame, or None.
        drops: why frames or messages were left out, counted; filled while reading.
        notes: choices made for the user, and the first drop of each kind, as sentences.
    """

    name: str
    num_frames: int
    odometry: Trajectory | None
    ground_truth: Trajectory | None
    drops: Counter[str]
    notes: list[str]

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; ``T_odom_camera`` and ``T_world_camera`` are filled where known."""
        ...


def count_drop(err: DropError, drops: Counter[str], notes: list[str]) -> None:
    """Count a drop under its reason; the first of a reason is noted with its sentence."""
    drops[err.reason] += 1
    note = f'first {err.reason}: {err}'
    if drops[err.reason] == 1 and note not in notes:
        notes.append(note)
