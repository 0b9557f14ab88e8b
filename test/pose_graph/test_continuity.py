"""A jump of odometry is told from motion."""

from __future__ import annotations

import numpy as np

from s3e_gnn_ros.geometry.se3 import make_pose
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step


def test_driving_goes_on_and_a_restart_at_the_origin_does_not():
    before = make_pose(None, [12.0, -3.0, 0.0])
    assert is_plausible_step(0.3, before, make_pose(None, [12.2, -3.0, 0.0]))
    assert is_plausible_step(10.0, before, make_pose(None, [40.0, -3.0, 0.0]))
    assert not is_plausible_step(0.3, before, np.eye(4))
