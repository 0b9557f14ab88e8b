import dataclasses

import pytest
from made_up_map import make_keyframe

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.map_graph import map_poses, solved_graph


@pytest.mark.parametrize(('max_speed_m_per_s', 'num_edges'), [(10.0, 0), (20.0, 2)])
def test_odometry_ties_keyframes_that_the_configured_speed_allows(
    store, max_speed_m_per_s, num_edges
):
    for number in range(3):  # one second and 15 m apart
        keyframe = make_keyframe(number)
        T = se3.make_pose(None, (15.0 * number, 0.0, 0.0))
        store.add(dataclasses.replace(keyframe, T_odom_camera=T))
    config = PoseGraphConfig(max_speed_m_per_s=max_speed_m_per_s)
    graph = solved_graph(store, config)
    assert len(graph.odometry_edges) == num_edges
    assert graph.num_pieces == 3 - num_edges
    assert map_poses(store, config).shape == (3, 4, 4)
