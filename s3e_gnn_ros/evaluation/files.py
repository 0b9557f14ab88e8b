"""The result files that other programs read: TUM trajectories, CSV tables, JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.closure_error import ClosureCheck
from s3e_gnn_ros.geometry.se3 import Pose, quat_xyzw
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import LoopClosure, LoopQuery

CLOSURE_HEAD = (
    'query_id,match_id,query_stamp_ns,match_stamp_ns,tx,ty,tz,qx,qy,qz,qw,'
    'num_inliers,inlier_ratio,similarity,translation_error_m,rotation_error_deg'
)
QUERY_HEAD = 'query_id,session,query_stamp_ns,status,best_match_id,best_similarity'


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that its old content stays whole until the new one is.

    Raises:
        InputError: the file cannot be written.
    """
    data = content.encode('utf-8') if isinstance(content, str) else content
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        try:
            with temporary.open('wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as err:
        raise InputError(f"cannot write '{path}': {err.strerror}") from err


def make_directory(path: Path) -> None:
    """Create a folder with its parents unless it is there.

    Raises:
        InputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(f"cannot create folder '{path}': {err.strerror}") from err


def tum_text(trajectory: Trajectory) -> str:
    """Write poses as ``stamp tx ty tz qx qy qz qw``, seconds to the nanosecond and metres."""
    lines = (
        f'{stamp // 10**9}.{stamp % 10**9:09d} {_pose_text(T, " ")}\n'
        for stamp, T in zip(trajectory.stamps_ns.tolist(), trajectory.poses, strict=True)
    )
    return ''.join(lines)


def closures_csv(closures: Sequence[LoopClosure], checks: Sequence[ClosureCheck]) -> str:
    """Write T_match_query of each closure; the two errors stay empty without ground truth."""
    rows = (
        [
            closure.query_id,
            closure.match_id,
            closure.query_stamp_ns,
            closure.match_stamp_ns,
            *_pose_text(closure.T_match_query, ',').split(','),
            closure.num_inliers,
            f'{closure.inlier_ratio:.6f}',
            f'{closure.similarity:.6f}',
            _number_text(check.translation_error_m),
            _number_text(check.rotation_error_deg),
        ]
        for closure, check in zip(closures, checks, strict=True)
    )
    return _csv_text(CLOSURE_HEAD, rows)


def queries_csv(queries: Sequence[LoopQuery]) -> str:
    """Write what became of each query; no best match where nothing was retrieved."""
    rows = (
        [
            query.query_id,
            query.session,
            query.stamp_ns,
            query.status.name,
            query.candidates[0].keyframe_id if query.candidates else '',
            f'{query.candidates[0].similarity:.6f}' if query.candidates else '',
        ]
        for query in queries
    )
    return _csv_text(QUERY_HEAD, rows)


def json_text(value: object) -> str:
    """Write strict JSON: a NaN that slipped through is an error, not a broken file."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + '\n'


def _pose_text(T: Pose, separator: str) -> str:
    values = (*T[:3, 3].tolist(), *quat_xyzw(T).tolist())
    return separator.join(f'{value:.9f}' for value in values)


def _number_text(value: float | None) -> str:
    return '' if value is None else f'{value:.6f}'


def _csv_text(head: str, rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    writer.writerow(head.split(','))
    writer.writerows(rows)
    return out.getvalue()
