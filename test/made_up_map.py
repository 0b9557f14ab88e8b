"""Keyframes and closures for maps, small and quick to make."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from synthetic import CAMERA, DEPTH_CAMERA, START_NS, World

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.view import DepthImage, PatchDescriptors
from s3e_gnn_ros.map_store.records import StoredKeyframe
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

DIMENSIONS = 16


def make_keyframe(
    number: int, session: int = 1, *, robot_id: str = '', num_points: int = 40
) -> StoredKeyframe:
    """Return a keyframe whose every value depends on its number."""
    rng = np.random.default_rng([session % 2**32, number])
    T = se3.expmap(rng.normal(0, 0.3, 6))
    world = World(rng.uniform((-1, -1, 2), (1, 1, 4), (num_points, 3)), rng)
    depth_m = (rng.integers(0, 6000, (12, 16)).astype(np.float32)) / np.float32(1000)
    view = dataclasses.replace(
        world.view(number, np.eye(4)),
        session=session,
        depth=DepthImage(depth_m, DEPTH_CAMERA.scaled(0.1)),
        patches=PatchDescriptors(
            rng.normal(0, 1, (5, 8)).astype(np.float16), np.arange(5, dtype=np.intp)
        ),
    )
    embedding = rng.normal(0, 1, DIMENSIONS)
    return StoredKeyframe(
        key=KeyframeKey(session, number),
        robot_id=robot_id,
        stamp_ns=view.stamp_ns,
        odom_frame=f'odom_{session % 100}',
        camera_frame='camera_optical',
        T_odom_camera=T,
        T_map_camera=None,
        view=view,
        embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
        thumbnail=rng.integers(0, 256, (CAMERA.height // 8, CAMERA.width // 8), np.uint8),
    )


def make_closure(
    query: int, match: int, *, query_session: int = 1, match_session: int = 1
) -> LoopClosure:
    """Return a closure whose every value depends on its ends."""
    rng = np.random.default_rng([query, match])
    half = rng.normal(0, 0.1, (6, 6))
    return LoopClosure(
        query_id=query,
        match_id=match,
        query_session=query_session,
        match_session=match_session,
        query_stamp_ns=START_NS + query * 10**9,
        match_stamp_ns=START_NS + match * 10**9,
        T_match_query=se3.expmap(rng.normal(0, 0.2, 6)),
        covariance=half @ half.T + 1e-4 * np.eye(6),
        similarity=float(rng.uniform()),
        num_inliers=int(rng.integers(20, 200)),
        inlier_ratio=float(rng.uniform()),
    )


def is_same(a: Any, b: Any) -> bool:
    """Compare two dataclasses bit by bit."""
    if dataclasses.is_dataclass(a):
        names = [item.name for item in dataclasses.fields(a)]
        return type(a) is type(b) and all(is_same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)
