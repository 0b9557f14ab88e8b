"""Two maps of one room become one."""

import dataclasses

import numpy as np
import pytest
from synthetic import START_NS, look_at, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.build import build_map
from s3e_gnn_ros.map_store.merge import merge_maps
from s3e_gnn_ros.map_store.records import EdgeKind
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.types import KeyframeKey

CONFIG = config_from_dict(
    {
        'retrieval': {'method': 'bow', 'min_keyframe_gap': 3, 'min_time_gap_s': 0.5},
        'features': {'num_features': 400},
    }
)
# Where the second session's odometry believes its origin is, in the first one's.
T_FIRST_SECOND = se3.expmap([0.0, 0.4, 0.0, 5.0, 0.0, -3.0])


def frames(poses, start_s, T_odom_world):
    for index, T_world_camera in enumerate(poses):
        frame = make_frame(T_world_camera, START_NS + int((start_s + index) * 1e9))
        yield dataclasses.replace(frame, T_odom_camera=T_odom_world @ T_world_camera)


@pytest.fixture(scope='module')
def maps(tmp_path_factory):
    """Two drives through the same room, each in an odometry frame of its own."""
    folder = tmp_path_factory.mktemp('maps')
    first, second = folder / 'first.s3emap', folder / 'second.s3emap'
    poses = out_and_back(14)
    assert build_map(first, frames(poses, 0, np.eye(4)), CONFIG, session=7) > 5
    moved = se3.inverse(T_FIRST_SECOND)
    assert build_map(second, frames(poses[3:12], 100, moved), CONFIG, session=8) > 4
    return first, second


def test_the_second_session_lies_in_the_frame_of_the_first(maps, tmp_path):
    out = tmp_path / 'both.s3emap'
    merged = merge_maps(*maps, out, CONFIG)
    assert merged.num_new_closures > 0
    assert merged.num_rejected_closures == 0
    with MapStore.open(out, read_only=True) as store, MapStore.open(maps[0]) as first:
        rows, before = store.rows(), first.rows()
        assert len(rows) == merged.num_keyframes == store.num_keyframes
        assert {key.session for key in rows.keys} == {7, 8}
        assert len(store.closures()) >= merged.num_new_closures
        np.testing.assert_allclose(
            rows.T_map_camera[: len(before)], before.T_map_camera, atol=0.02
        )
        second = np.array([key.session == 8 for key in rows.keys])
        truth = T_FIRST_SECOND @ rows.T_odom_camera[second]
        error_m = np.linalg.norm(rows.T_map_camera[second][:, :3, 3] - truth[:, :3, 3], axis=1)
        assert error_m.max() < 0.05


def test_a_map_merged_with_its_own_copy_stays_as_it_is(maps, tmp_path):
    """All keyframes are there already: nothing asks, and no place is shared anew."""
    with MapStore.open(maps[0], read_only=True) as store:
        store.save_as(tmp_path / 'copy.s3emap')
    with pytest.raises(InputError, match='share no place'):
        merge_maps(maps[0], tmp_path / 'copy.s3emap', tmp_path / 'out.s3emap', CONFIG)
    assert not (tmp_path / 'out.s3emap').exists()


def test_maps_of_different_places_are_not_merged(maps, tmp_path):
    away = tmp_path / 'away.s3emap'
    other_wall = [look_at([0.0, 0.0, 3.0 + 0.02 * k], [2.0, -40.0 + 3 * k, 3.9]) for k in range(3)]
    build_map(away, frames(other_wall, 200, np.eye(4)), CONFIG, session=9)
    with pytest.raises(InputError, match='share no place'):
        merge_maps(maps[0], away, tmp_path / 'out.s3emap', CONFIG)


def test_what_cannot_be_merged_is_said(maps, tmp_path):
    with pytest.raises(InputError, match='while it is merged'):
        merge_maps(*maps, maps[0], CONFIG)
    taken = tmp_path / 'taken.s3emap'
    taken.touch()
    with pytest.raises(InputError, match='taken'):
        merge_maps(*maps, taken, CONFIG)
    learned = config_from_dict({'retrieval': {'method': 's3e'}}, CONFIG)
    with pytest.raises(InputError, match='re-embedded'):
        merge_maps(*maps, tmp_path / 'out.s3emap', learned)


def test_a_recording_without_poses_gives_no_map(tmp_path):
    bare = [dataclasses.replace(make_frame(np.eye(4)), T_odom_camera=None)]
    with pytest.raises(InputError, match='no frame has a pose'):
        build_map(tmp_path / 'a.s3emap', bare, CONFIG, session=1)
    assert not list(tmp_path.iterdir())


def test_keyframes_of_a_built_map_can_be_read(maps):
    with MapStore.open(maps[0], read_only=True) as store:
        key = KeyframeKey(7, 0)
        assert len(store.view(key).features) > 100
        assert store.thumbnail(key).shape == (240, 320)
        assert np.isfinite(store.rows().T_map_camera).all()
        assert len(store.edges(EdgeKind.ODOMETRY)) == store.num_keyframes - 1
