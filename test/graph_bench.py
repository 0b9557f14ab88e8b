"""A pose graph as messages build it up, for tests: rounds of a circle by a drifting odometry."""

from __future__ import annotations

import dataclasses

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.graph_builder import GraphBuilder
from s3e_gnn_ros.ros.keyframe_inbox import KeyframePose
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

DRIFT = se3.expmap([0.0, 0.0, 0.004, 0.01, 0.0, 0.0])
S = 1_000_000_000


def truth(number):
    """Eight keyframes to a round of a circle."""
    return se3.expmap([0.0, 0.0, np.pi / 4 * number, 0.0, 0.0, 0.0]) @ se3.make_pose(
        translation=(1.0, 0, 0)
    )


def odometry(number):
    T = truth(0)
    for i in range(number):
        T = T @ se3.inverse(truth(i)) @ truth(i + 1) @ DRIFT
    return T


def keyframe(number, session=1, frame='odom', start_s=100.0, **changes):
    stamp_ns = int((start_s + number) * S)
    made = KeyframePose(KeyframeKey(session, number), stamp_ns, odometry(number), frame)
    return dataclasses.replace(made, **changes)


def closure(query, match, shift_m=0.0, sessions=(1, 1)):
    T = se3.inverse(truth(match)) @ truth(query) @ se3.make_pose(translation=(shift_m, 0, 0))
    return LoopClosure(query, match, *sessions, 0, 0, T, 1e-4 * np.eye(6), 0.9, 50, 0.8)


class Bench:
    def __init__(self, edits_file=None):
        self.drops = []
        self.builder = GraphBuilder(
            PoseGraphConfig(), lambda *drop: self.drops.append(drop), edits_file=edits_file
        )

    def drive(self, number=12, **changes):
        for i in range(number):
            self.builder.add_keyframe(keyframe(i, **changes))
        return self

    def poses(self):
        self.builder.graph.update()
        self.builder.graph.finish()
        return self.builder.graph.poses()
