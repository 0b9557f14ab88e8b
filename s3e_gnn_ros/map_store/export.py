"""A map in the formats of other systems."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import make_directory, tum_text, write_atomic
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.map_store.map_graph import map_poses, solved_graph
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.vins_export import write_vins
from s3e_gnn_ros.pose_graph.g2o import write_g2o

FORMATS = ('g2o', 'tum', 'vins')


def export_map(
    store: MapStore,
    form: str,
    out: Path,
    config: PoseGraphConfig | None = None,
    T_body_camera: Pose | None = None,
) -> None:
    """Write a map for another program.

    Args:
        store: the map.
        form: 'g2o' (the graph, optimised; ids count the keyframes in order of addition), 'tum'
            (T_map_camera by stamp) or 'vins' (``pose_graph.txt`` with ``<i>_keypoints.txt``).
        out: the file, of 'vins' the folder.
        config: noise and solver, where poses have to be computed.
        T_body_camera: (4, 4) camera in the body whose poses 'vins' holds; None: the identity.

    Raises:
        InputError: an unknown format, an empty map, or ``out`` cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"a map cannot be exported as '{form}': known are {', '.join(FORMATS)}")
    if store.num_keyframes == 0:
        raise InputError(f"map '{store.path}' holds no keyframe to export")
    config = PoseGraphConfig() if config is None else config
    make_directory(out.parent)
    if form == 'g2o':
        write_g2o(out, solved_graph(store, config).to_g2o())
        return
    poses = map_poses(store, config)
    if form == 'tum':
        stamps_ns = store.rows().stamps_ns
        order = np.argsort(stamps_ns, kind='stable')
        write_atomic(out, tum_text(Trajectory(stamps_ns[order], poses[order])))
    else:
        write_vins(store, poses, out, np.eye(4) if T_body_camera is None else T_body_camera)
