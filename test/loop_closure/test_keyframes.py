import numpy as np
import pytest

from s3e_gnn_ros.config import KeyframeConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector

CONFIG = KeyframeConfig(min_translation_m=0.1, min_rotation_deg=10.0, min_interval_s=0.2)
SECOND_NS = 1_000_000_000


def moved(x_m=0.0, yaw_deg=0.0):
    return se3.expmap([0, np.radians(yaw_deg), 0, 0, 0, 0]) @ se3.make_pose(None, [x_m, 0, 0])


@pytest.mark.parametrize(
    ('T', 'is_chosen'),
    [
        (moved(), False),
        (moved(x_m=0.099), False),
        (moved(x_m=0.101), True),
        (moved(x_m=-0.101), True),
        (moved(yaw_deg=9.9), False),
        (moved(yaw_deg=-10.1), True),
        (moved(x_m=0.099, yaw_deg=9.9), False),
    ],
)
def test_either_motion_makes_a_keyframe(T, is_chosen):
    selector = KeyframeSelector(CONFIG)
    start = se3.expmap([0.3, -1.0, 0.2, 4.0, 5.0, 6.0])
    assert selector.is_keyframe(0, start)
    assert selector.is_keyframe(SECOND_NS, start @ T) is is_chosen


def test_motion_is_counted_from_the_last_keyframe():
    selector = KeyframeSelector(CONFIG)
    chosen = [selector.is_keyframe(i * SECOND_NS, moved(x_m=0.04 * i)) for i in range(9)]
    assert np.flatnonzero(chosen).tolist() == [0, 3, 6]


def test_fast_motion_waits_for_the_interval():
    selector = KeyframeSelector(CONFIG)
    stamps = [0, SECOND_NS // 10, SECOND_NS // 5, SECOND_NS // 4, SECOND_NS * 2 // 5]
    chosen = [selector.is_keyframe(stamp, moved(x_m=i)) for i, stamp in enumerate(stamps)]
    assert chosen == [True, False, True, False, True]


def test_an_hour_of_standing_still_adds_nothing():
    """30 Hz, with the jitter of a visual odometry; neither time nor noise makes a keyframe."""
    rng = np.random.default_rng(0)
    selector = KeyframeSelector(KeyframeConfig())
    start = se3.expmap([0.3, -1.0, 0.2, 4.0, 5.0, 6.0])
    sigmas = np.repeat([np.radians(0.3), 0.01], 3)
    chosen = []
    for number in range(3600 * 30):
        # What expmap gives for steps so small, in a tenth of the time.
        wx, wy, wz, *shift = rng.normal(0, sigmas)
        jitter = np.array([[1, -wz, wy, 0], [wz, 1, -wx, 0], [-wy, wx, 1, 0], [0, 0, 0, 1]])
        jitter[:3, 3] = shift
        if selector.is_keyframe(number * SECOND_NS // 30, start @ jitter):
            chosen.append(number)
    assert chosen == [0]
    assert selector.is_keyframe(3601 * SECOND_NS, start @ moved(x_m=0.15))
