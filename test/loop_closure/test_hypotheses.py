import numpy as np

from s3e_gnn_ros.loop_closure.hypotheses import Hypothesis


def hypothesis(pairs):
    return Hypothesis(np.eye(4), np.eye(6), np.array(pairs, dtype=np.intp).reshape(-1, 2), [])


def test_a_feature_counts_once_however_many_keyframes_show_it():
    found = hypothesis([(0, 5), (1, 5), (2, 5), (2, 7)])
    assert found.features.tolist() == [5, 7]
    assert hypothesis([]).features.tolist() == []


def test_what_speaks_for_a_pose_beside_another():
    best = hypothesis([(0, 1), (0, 2), (1, 2), (1, 3)])
    near = hypothesis([(0, 1), (1, 2)])  # the same matches: the same place
    alike = hypothesis([(4, 1), (4, 2), (5, 2), (4, 3)])  # the same features, other landmarks
    assert near.num_beside(best) == 0
    assert alike.num_beside(best) == 3
    assert best.num_beside(near) == 2
    assert hypothesis([(0, 9)]).num_beside(best) == 1
