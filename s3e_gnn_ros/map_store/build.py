"""A map of a recording, without a node."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.map_store.files import remove_file
from s3e_gnn_ros.map_store.map_graph import solved_graph
from s3e_gnn_ros.map_store.odometry_edges import OdometryEdges
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.stored_keyframe import stored_keyframe
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.types import Frame, KeyframeKey

_ODOM_FRAME, _CAMERA_FRAME = 'odom', 'camera'


def build_map(
    path: Path,
    frames: Iterable[Frame],
    config: Config,
    session: int,
    *,
    overwrite: bool = False,
) -> int:
    """Write the keyframes of a recording with their loops and optimised poses.

    Args:
        path: of the map.
        frames: in order of their stamps; those without a pose are left out.
        config: all settings.
        session: number above 0, unlike that of any map this one will meet.
        overwrite: whether a map of this name may be lost.

    Returns:
        How many keyframes it holds.

    Raises:
        InputError: no frame has a pose, or the map cannot be written.
    """
    digest, name = weights_of(config.retrieval)
    store = MapStore.create(path, weights_digest=digest, weights_name=name, overwrite=overwrite)
    try:
        with store:
            _add_keyframes(store, frames, config, session)
            graph = solved_graph(store, config.pose_graph)
            store.set_poses(graph.keys, graph.poses())
            store.set_weights(graph.closure_weights())
            return store.num_keyframes
    except BaseException:
        remove_file(path)  # half a map is none
        raise


def _add_keyframes(store: MapStore, frames: Iterable[Frame], config: Config, session: int) -> None:
    pipeline = LoopClosurePipeline(config, session)
    odometry, keys = OdometryEdges(config.pose_graph.max_speed_m_per_s), set[KeyframeKey]()
    for frame in frames:
        if frame.T_odom_camera is not None and pipeline.offer(frame):
            keyframe, query = pipeline.process(frame)
            width_px = config.map.thumbnail_width_px
            stored = stored_keyframe(keyframe, _ODOM_FRAME, _CAMERA_FRAME, width_px)
            store.add(stored, query.closures, odometry.edge_to(stored, keys))
            keys.add(stored.key)
    if len(pipeline) == 0:
        raise InputError(f"map '{store.path}' has no keyframe: no frame has a pose")
