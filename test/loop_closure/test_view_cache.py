import numpy as np
import pytest
from synthetic import CAMERA, World, look_at, random_wall_points

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.loop_closure.view_cache import ViewCache
from s3e_gnn_ros.types import KeyframeKey

KEYS = [KeyframeKey(7, number) for number in range(5)]


class Source:
    """A stored map that counts how often it is read."""

    def __init__(self, views):
        self.views = {KeyframeKey(view.session, view.keyframe_id): view for view in views}
        self.num_reads = 0

    def view(self, key):
        self.num_reads += 1
        return self.views[key]


@pytest.fixture(scope='module')
def views():
    rng = np.random.default_rng(0)
    features = World(random_wall_points(20, rng), rng).features(look_at([0, 0, 0], [0, 0, 4]))
    return [View(k.keyframe_id, k.session, 0, CAMERA, features, None) for k in KEYS]


def test_without_a_source_everything_stays(views):
    cache = ViewCache(size=1)
    for view in views:
        cache.add(view)
    assert len(cache) == cache.num_in_memory == 5
    assert [cache.view(key) for key in KEYS] == views


def test_of_a_stored_map_the_last_used_stay(views):
    cache, source = ViewCache(size=2), Source(views)
    cache.attach(KEYS, source)
    assert len(cache) == 5
    assert cache.num_in_memory == 0
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[2], KEYS[0]):
        assert cache.view(key) is views[key.keyframe_id]
    assert source.num_reads == 3
    assert cache.num_in_memory == 2
    cache.view(KEYS[1])  # has left
    assert source.num_reads == 4


def test_a_view_leaves_memory_only_when_a_source_has_it(views):
    cache, source = ViewCache(size=2), Source(views)
    for view in views:
        cache.add(view)
    cache.attach(KEYS[:4], source)
    assert cache.num_in_memory == 3
    assert cache.view(KEYS[4]) is views[4]
    assert cache.view(KEYS[3]) is views[3]
    assert source.num_reads == 0
    cache.view(KEYS[0])
    assert source.num_reads == 1


def test_a_removed_keyframe_has_no_view(views):
    cache = ViewCache(size=2)
    cache.add(views[0])
    cache.attach(KEYS[1:3], Source(views))
    cache.view(KEYS[1])
    for key in KEYS[:2]:
        cache.remove(key)
        assert key not in cache
        with pytest.raises(InputError, match=f'no keyframe {key.keyframe_id} of session 7'):
            cache.view(key)
    cache.remove(KEYS[0])
    assert len(cache) == 1
    assert cache.num_in_memory == 0
