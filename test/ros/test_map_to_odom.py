"""The transform from map to odometry."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.ros.map_to_odom import MapToOdom


def test_odometry_named_like_the_map_gets_no_transform_and_one_warning():
    published, warnings = [], []
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(warning=warnings.append),
        create_publisher=lambda *_: SimpleNamespace(
            publish=published.append, topic_name='/map_to_odom'
        ),
    )
    transform = MapToOdom(node, 'map')
    warnings.clear()
    for frame in ('map', '/map'):
        transform.publish(np.eye(4), 1, frame)
    assert published == []
    (warning,) = warnings
    assert 'node.map_frame' in warning
    transform.publish(np.eye(4), 2, 'odom')
    assert len(published) == 1
