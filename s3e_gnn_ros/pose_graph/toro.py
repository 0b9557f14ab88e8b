"""Pose graphs as TORO files, which hold edges alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry.se3 import swap_rotation_translation
from s3e_gnn_ros.plain_data import read_text
from s3e_gnn_ros.pose_graph.g2o import G2oGraph

_NUM_VALUES = 29
_ROWS, _COLUMNS = np.triu_indices(6)


def read_toro(path: Path) -> G2oGraph:
    """Read ``EDGE3 i j x y z roll pitch yaw`` and the upper triangle of the information.

    The poses are those that the edges between successive ids lead to.

    Raises:
        RecordingError: no such file, or it is no such file.
    """
    try:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
        values = np.array([line[1:] for line in lines if line[0] == 'EDGE3'], dtype=np.float64)
    except (OSError, UnicodeDecodeError, ValueError) as err:
        raise RecordingError(f"cannot read '{path}': {err}") from err
    if values.ndim != 2 or values.shape[1] != _NUM_VALUES:
        raise RecordingError(f"'{path}' has no lines 'EDGE3' of {_NUM_VALUES} values")
    if not np.isfinite(values).all():
        raise RecordingError(f"'{path}' holds a value that is not finite")
    edge_ids = values[:, :2].astype(np.int64)
    if (edge_ids != values[:, :2]).any() or edge_ids.min() < 0 or edge_ids.max() > len(values):
        raise RecordingError(f"'{path}' has ids that are not the numbers from 0 to its last pose")
    T = np.tile(np.eye(4), (len(values), 1, 1))
    T[:, :3, :3] = Rotation.from_euler('xyz', values[:, 5:8]).as_matrix()
    T[:, :3, 3] = values[:, 2:5]
    information = np.zeros((len(values), 6, 6))
    information[:, _ROWS, _COLUMNS] = information[:, _COLUMNS, _ROWS] = values[:, 8:]
    information = np.array([swap_rotation_translation(each) for each in information])
    steps = {int(i): k for k, (i, j) in enumerate(edge_ids) if j == i + 1}
    poses = [np.eye(4)]
    ids = np.arange(int(edge_ids.max()) + 1)
    for i in ids[:-1].tolist():
        if i not in steps:
            raise RecordingError(f"'{path}' has no edge from pose {i} to pose {i + 1}")
        poses.append(poses[-1] @ T[steps[i]])
    return G2oGraph(ids, np.array(poses), edge_ids, T, information)
