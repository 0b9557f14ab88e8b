"""Writing the map: in step with what is published, and patient with a disk that takes nothing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from synthetic import make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dotted
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import map_writer as module
from s3e_gnn_ros.ros.map_writer import MapWriter
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.types import KeyframeKey

SESSION = 7


class Disk:
    """A map whose disk can be full."""

    def __init__(self, store):
        self._store = store
        self.is_full = False

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name not in ('add', 'add_closure', 'set_poses', 'set_weights', 'remove'):
            return found

        def write(*args):
            if self.is_full:
                raise InputError('the disk is full')
            return found(*args)

        return write


class Scene:
    """A writer whose clock, disk and warnings the test has in its hands."""

    def __init__(self, folder, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(module.time, 'monotonic', lambda: self.now_s)
        self.store = MapStore.create(folder / 'a.s3emap', weights_digest='')
        self.disk = Disk(self.store)
        self.statistics = Statistics()
        self.drops = []
        self.readable = []
        self.writer = MapWriter(
            self.disk,
            64,
            self.statistics,
            lambda reason, _: self.drops.append(reason),
            self.readable.append,
        )

    def add(self, *made):
        return [self.writer.add(k, q.closures, 'odom', 'eye') for k, q in made]

    @property
    def keys(self):
        return [key.keyframe_id for key in self.store.rows().keys]

    @property
    def waiting(self):
        return self.statistics.counters()['map.waiting']


@pytest.fixture(scope='module')
def made():
    """Return keyframes and their queries on the way round a corner and back."""
    config = config_from_dotted(
        {'retrieval.method': 'bow', 'retrieval.min_time_gap_s': 0.5, 'features.num_features': 300}
    )
    pipeline = LoopClosurePipeline(config, SESSION)
    poses = out_and_back(24)
    out = [pipeline.process(make_frame(T, i * 10**9)) for i, T in enumerate(poses)]
    assert sum(len(query.closures) for _, query in out) > 3
    return out


@pytest.fixture
def scene(tmp_path, monkeypatch):
    scene = Scene(tmp_path, monkeypatch)
    yield scene
    scene.store.close()


def test_what_add_returns_for_is_on_disk(scene, made):
    for number, item in enumerate(made):
        assert scene.add(item) == [True]
        with MapStore.open(scene.store.path, read_only=True) as other:
            assert other.num_keyframes == number + 1
    closures = [closure for _, query in made for closure in query.closures]
    assert len(scene.store.closures()) == len(closures)
    assert [key.keyframe_id for key in scene.readable] == list(range(len(made)))
    assert scene.store.thumbnail(KeyframeKey(SESSION, 0)).shape == (48, 64)
    assert scene.waiting == 0


def test_a_full_disk_is_waited_for(scene, made):
    scene.add(*made[:5])
    scene.disk.is_full = True
    assert scene.add(*made[5:12]) == [False] * 7
    assert scene.waiting == 7
    assert scene.drops == ['map_write']  # it is not tried again for each keyframe
    scene.disk.is_full = False
    assert not scene.writer.is_due
    scene.now_s += module.RETRY_S
    assert scene.writer.is_due
    scene.writer.tick()
    assert scene.waiting == 0
    assert sorted(scene.keys) == list(range(12))
    scene.add(*made[12:])
    expected = {(c.match_id, c.query_id) for _, q in made for c in q.closures}
    scene.now_s += module.RETRY_S
    scene.writer.tick()
    assert {(c.match_id, c.query_id) for c in scene.store.closures()} == expected


def test_only_so_many_wait(scene, made, monkeypatch):
    monkeypatch.setattr(module, 'MAX_WAITING', 3)
    scene.disk.is_full = True
    scene.add(*made[:5])
    assert scene.waiting == 3
    assert scene.drops.count('map_lost') == 2
    scene.disk.is_full = False
    scene.writer.flush()
    assert len(scene.keys) == 3
    assert max(scene.keys) == 4  # the newest are not the ones given up


def test_a_closure_waits_for_a_match_of_another_map(scene, made):
    first = next(i for i, (_, query) in enumerate(made) if query.closures)
    closures = made[first][1].closures
    gone = closures[0].match_id
    rest = [item for item in made[:first] if item[0].keyframe_id != gone]
    scene.add(*rest, made[first])
    assert len(scene.store.closures()) == len(closures) - 1
    scene.add(made[gone])  # as if copied from elsewhere
    scene.now_s += module.RETRY_S
    scene.writer.tick()
    assert len(scene.store.closures()) == len(closures)


def test_poses_are_written_now_and_then_and_only_those_that_moved(scene, made):
    scene.add(*made[:4])
    keys = [KeyframeKey(SESSION, i) for i in range(4)]
    poses = np.array([np.eye(4)] * 4)
    poses[:, 0, 3] = range(4)
    scene.writer.take_poses(keys, poses)
    scene.writer.tick()
    np.testing.assert_array_equal(scene.store.rows().T_map_camera, poses)
    moved = poses.copy()
    moved[2, 1, 3] = 0.5
    scene.writer.take_poses(keys, moved)
    scene.writer.tick()  # too early
    np.testing.assert_array_equal(scene.store.rows().T_map_camera, poses)
    written = []
    scene.disk.set_poses = lambda keys, T: written.append(keys) or scene.store.set_poses(keys, T)
    scene.now_s += module.POSES_PERIOD_S
    scene.writer.tick()
    np.testing.assert_array_equal(scene.store.rows().T_map_camera, moved)
    assert written == [[keys[2]]]
    scene.writer.take_poses(keys, moved)
    scene.now_s += module.POSES_PERIOD_S
    assert not scene.writer.is_due


def test_removed_keyframes_leave_the_map_and_the_queue(scene, made):
    scene.add(*made[:3])
    scene.disk.is_full = True
    scene.add(*made[3:5])
    scene.disk.is_full = False
    scene.writer.remove([KeyframeKey(SESSION, 1), KeyframeKey(SESSION, 3)])
    assert scene.waiting == 1
    scene.writer.flush()
    assert scene.keys == [0, 2, 4]


def test_a_refined_closure_takes_the_place_of_the_first(scene, made):
    import dataclasses

    scene.add(*made)
    old = scene.store.closures()[0]
    T = old.T_match_query.copy()
    T[0, 3] += 0.01
    scene.writer.replace_closure(dataclasses.replace(old, T_match_query=T))
    found = scene.store.closures()
    assert len(found) == sum(len(query.closures) for _, query in made)
    same = [c for c in found if (c.match_id, c.query_id) == (old.match_id, old.query_id)]
    np.testing.assert_array_equal(same[0].T_match_query, T)
    assert scene.drops == []


def test_closing_writes_what_is_left(scene, made):
    scene.disk.is_full = True
    scene.add(*made[:2])
    scene.writer.take_poses([KeyframeKey(SESSION, 0)], np.eye(4)[None])
    scene.disk.is_full = False
    scene.writer.close()
    with MapStore.open(scene.store.path, read_only=True) as store:
        rows = store.rows()
    assert sorted(key.keyframe_id for key in rows.keys) == [0, 1]
    assert np.isfinite(rows.T_map_camera).all(axis=(1, 2)).sum() == 1
