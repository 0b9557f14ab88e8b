import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.pruning import choose_pruned


def at(x_m, y_m=0.0, yaw_deg=0.0):
    turn = se3.expmap([0, np.radians(yaw_deg), 0, 0, 0, 0])
    return se3.make_pose(None, [x_m, 0, y_m]) @ turn


def ages(num):
    return -np.arange(num)


def test_the_older_of_the_nearest_two_goes():
    poses = np.array([at(0), at(1), at(2), at(2.1), at(4)])
    assert choose_pruned(poses, ages(5), 1).tolist() == [2]
    assert choose_pruned(poses, ages(5)[::-1], 1).tolist() == [3]


def test_another_direction_of_gaze_is_another_view():
    poses = np.array([at(0), at(0, yaw_deg=180), at(1), at(1.4)])
    assert choose_pruned(poses, ages(4), 1).tolist() == [2]


def test_where_many_stand_one_stays():
    crowd = [at(0.001 * number, 0.002 * (number % 7)) for number in range(50)]
    poses = np.array([*crowd, *[at(x) for x in range(2, 12)]])
    dropped = choose_pruned(poses, ages(60), 49)
    assert dropped.tolist() == list(range(49))  # the newest of the crowd, and all who stand alone


def test_the_newest_stay():
    poses = np.array([at(x) for x in range(10)] + [at(9 + 0.01 * x) for x in range(1, 6)])
    dropped = choose_pruned(poses, ages(15), 3, num_newest=6)
    assert dropped.max() < 9
    assert len(choose_pruned(poses, ages(15), 100, num_newest=6)) == 9
    assert len(choose_pruned(poses, ages(15), 100, num_newest=20)) == 0


def test_frames_that_nothing_ties_are_far_apart():
    poses = np.array([at(0), at(0.01), at(0.0), at(3.0)])
    groups = np.array([0, 1, 2, 2])
    assert choose_pruned(poses, ages(4), 1, groups=groups).tolist() == [2]


def test_nothing_to_drop():
    assert choose_pruned(np.zeros((0, 4, 4)), ages(0), 5).tolist() == []
    assert choose_pruned(np.array([at(0)]), ages(1), 5).tolist() == []  # nothing is near it
    assert choose_pruned(np.array([at(0), at(0)]), ages(2), 0).tolist() == []


def by_hand(poses, num_drop):
    """Look at all pairs, again and again."""
    points = np.hstack([poses[:, :3, 3], poses[:, :3, 2]])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    distance[np.tril_indices(len(poses))] = np.inf
    dropped = []
    for _ in range(num_drop):
        older = int(np.unravel_index(distance.argmin(), distance.shape)[0])
        dropped.append(older)
        distance[older] = distance[:, older] = np.inf
    return sorted(dropped)


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(2, 40), num_drop=st.integers(0, 38))
def test_the_same_as_looking_at_all_pairs(seed, num, num_drop):
    num_drop = min(num_drop, num - 1)
    rng = np.random.default_rng(seed)
    poses = np.array([at(*rng.uniform(0, 2, 2), yaw_deg=rng.uniform(0, 360)) for _ in range(num)])
    assert choose_pruned(poses, ages(num), num_drop).tolist() == by_hand(poses, num_drop)
