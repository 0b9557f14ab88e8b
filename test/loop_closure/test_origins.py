import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.origins import Origins
from s3e_gnn_ros.types import KeyframeKey


@pytest.fixture
def origins():
    """Two sessions of different robots, taking turns, more entries than fit the first table."""
    filled = Origins()
    for number in range(100):
        session = 1 + number % 2
        key = KeyframeKey(session, number // 2)
        assert filled.add(key, 1000 + number, f'robot {session}') == number
    return filled


def test_columns(origins):
    assert len(origins) == origins.num_alive == 100
    np.testing.assert_array_equal(origins.sessions, np.tile([1, 2], 50))
    np.testing.assert_array_equal(origins.keyframe_ids, np.repeat(np.arange(50), 2))
    np.testing.assert_array_equal(origins.stamps_ns, 1000 + np.arange(100))
    assert origins.is_alive.all()
    assert origins.key(7) == KeyframeKey(2, 3)
    assert origins.entries([KeyframeKey(2, 3), KeyframeKey(1, 0)]) == [7, 0]
    assert origins.robot_id(2) == 'robot 2'
    assert origins.robot_id(3) == ''


def test_numbers_survive_a_removal(origins):
    assert origins.remove(KeyframeKey(2, 3)) == 7
    assert len(origins) == 100
    assert origins.num_alive == 99
    assert np.flatnonzero(~origins.is_alive).tolist() == [7]
    assert KeyframeKey(2, 3) not in origins
    assert origins.key(8) == KeyframeKey(1, 4)
    assert origins.add(KeyframeKey(2, 3), 5) == 100
    with pytest.raises(InputError, match='no keyframe 9 of session 9'):
        origins.remove(KeyframeKey(9, 9))


def test_a_keyframe_has_one_entry(origins):
    with pytest.raises(InputError, match='keyframe 3 of session 2 is in the map already'):
        origins.add(KeyframeKey(2, 3), 5)
    assert len(origins) == 100


def test_the_last_of_a_session(origins):
    assert origins.last_entry(1) == 98
    origins.remove(KeyframeKey(1, 48))
    assert origins.last_entry(1) == 98
    origins.remove(KeyframeKey(1, 49))
    assert origins.last_entry(1) is None
    assert origins.last_entry(2) == 99
    assert origins.last_entry(3) is None


@pytest.mark.parametrize('session', [-1, 2**63])
def test_a_session_that_no_column_can_hold_is_refused(session):
    with pytest.raises(InputError, match=f'session {session} '):
        Origins().check_new([KeyframeKey(session, 0)])
    Origins().check_new([KeyframeKey(2**63 - 1, 0)])
