"""Keyframes that were stored, as they are asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase, KeyframeRows
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.loop_closure.view_cache import ViewSource
from s3e_gnn_ros.types import Encoding, Frame, Keyframe, KeyframeKey, LoopClosure


@dataclass(frozen=True, eq=False)
class Rows:
    """N keyframes by column, in the order of their addition; implements ``KeyframeRows``.

    Attributes:
        keys: session and id of each.
        robot_ids: robot of each.
        stamps_ns: (N,) stamps.
        T_odom_camera: (N, 4, 4) drifting poses.
        T_map_camera: (N, 4, 4) corrected poses, NaN where unknown.
        embeddings: (N, D), or None without an encoder.
    """

    keys: Sequence[KeyframeKey]
    robot_ids: Sequence[str]
    stamps_ns: NDArray[np.int64]
    T_odom_camera: NDArray[np.float64]
    T_map_camera: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Archive:
    """All keyframes of a map, with what searching and verifying again needs.

    Attributes:
        rows: the keyframes.
        loops: all verified loops between them, in the order they were found.
        views: gives their views.
    """

    rows: KeyframeRows
    loops: Sequence[LoopClosure]
    views: ViewSource

    def row(self, key: KeyframeKey) -> int:
        """Return the row of a keyframe.

        Raises:
            InputError: there is no such keyframe.
        """
        if key not in self.rows.keys:
            raise InputError(f'there is no keyframe {key.keyframe_id} of session {key.session}')
        return self.rows.keys.index(key)

    def view(self, row: int) -> View:
        """Return the view of a keyframe.

        Raises:
            InputError: it cannot be had.
        """
        return self.views.view(self.rows.keys[row])

    def keyframe(self, row: int) -> Keyframe:
        """Return a keyframe in the form that asks."""
        return asking_keyframe(self.rows, row, self.view(row))

    def rows_before(self, row: int, num: int) -> list[int]:
        """Return the last rows, at most ``num``, of the same session before one, oldest first."""
        session = self.rows.keys[row].session
        found: list[int] = []
        for other in range(row - 1, -1, -1):
            if len(found) == num:
                break
            if self.rows.keys[other].session == session:
                found.append(other)
        return found[::-1]

    def first(self, num: int) -> Archive:
        """Return what there was when it had so many keyframes."""
        rows = self.rows
        first = Rows(
            rows.keys[:num],
            rows.robot_ids[:num],
            rows.stamps_ns[:num],
            rows.T_odom_camera[:num],
            rows.T_map_camera[:num],
            None if rows.embeddings is None else rows.embeddings[:num],
        )
        # Loops with a keyframe that was not there yet say nothing to a database.
        return Archive(first, self.loops, self.views)


def rows_of(database: KeyframeDatabase) -> Rows:
    """Return the keyframes of a database that were not removed."""
    origins = database.origins
    keys = origins.keys
    entries = origins.entries(keys)
    return Rows(
        keys=keys,
        robot_ids=[origins.robot_id(key.session) for key in keys],
        stamps_ns=origins.stamps_ns[entries],
        T_odom_camera=database.poses.odometry(keys),
        T_map_camera=database.poses.table(keys),
        embeddings=database.retrieval.embeddings(entries),
    )


def asking_keyframe(rows: KeyframeRows, row: int, view: View) -> Keyframe:
    """Return a stored keyframe in the form that asks; its image is gone.

    Args:
        rows: of the map.
        row: of the keyframe.
        view: of the keyframe.
    """
    key = rows.keys[row]
    frame = Frame(
        int(rows.stamps_ns[row]),
        np.zeros((0, 0), np.uint8),
        view.camera,
        T_odom_camera=rows.T_odom_camera[row],
    )
    encoding = None
    if rows.embeddings is not None:
        none = np.zeros((0, 0), np.float32)
        encoding = Encoding(
            rows.embeddings[row], none, np.zeros((0, 2), np.float32), np.zeros(0, np.intp)
        )
    return Keyframe(
        key.keyframe_id, key.session, frame, view.features, encoding, rows.robot_ids[row]
    )
