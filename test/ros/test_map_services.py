"""Maps over DDS: written, saved, loaded into another run, searched, and taken care of."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import PoseWithCovarianceStamped

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import pose_from_message
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos


@pytest.fixture
def frames(recording):
    """Return the frames of the recording with odometry."""
    return list(open_recording(recording).frames())


def parameters(folder, **values):
    out = ['-p', f'map.directory:={folder}']
    for name, value in values.items():
        out += ['-p', f'{name.replace("__", ".")}:={value}']
    return out


def played(robot, recording, first, last):
    """Play frames and wait until the node rests; returns its counters."""
    before = robot.loop_status().counters['frames']
    robot.play(recording, first, last)

    def done():
        status = robot.loop_status()
        wanted = before + last - first
        return status is not None and status.counters['frames'] >= wanted and status.is_idle

    robot.wait(done)
    return robot.loop_status().counters


def image_fields(frame, *, with_camera=False):
    header = conv.make_header(frame.stamp_ns + 10**12, 'eye')
    fields = {
        'image': conv.image_to_message(frame.image, header),
        'depth': conv.depth_to_message(frame.depth_m, header),
    }
    if with_camera:
        fields['camera_info'] = conv.camera_to_message(frame.camera, header)
    return fields


def assert_located(answer, frame):
    """The map is the first run: its odometry, which drifts by some centimetres."""
    assert answer.success, answer.message
    assert answer.t_map_camera.header.frame_id == 'map'
    T = pose_from_message(answer.t_map_camera.pose.pose)
    error = se3.inverse(frame.T_odom_camera) @ T
    assert se3.translation_m(error) < 0.06
    assert se3.rotation_angle_deg(error) < 1.0
    covariance = conv.covariance_from_message(answer.t_map_camera.pose.covariance)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert answer.num_inliers >= 20


def test_a_map_survives_its_run(robot, caller, recording, frames, tmp_path):
    maps = tmp_path / 'maps'
    node = robot.start('loop_closure', *parameters(maps, map__name='first'))
    counters = played(robot, recording, 0, 26)
    num_keyframes = counters['keyframes']
    assert counters['map.stored'] == num_keyframes > 10
    assert counters['map.waiting'] == 0
    saved = caller.call(srv.SaveMap, names.SAVE_MAP, name='saved')
    assert saved.success, saved.message
    assert saved.num_keyframes == num_keyframes
    assert saved.num_bytes > 10_000 * num_keyframes
    assert not caller.call(srv.SaveMap, names.SAVE_MAP, name='saved').success
    assert caller.call(srv.SaveMap, names.SAVE_MAP, name='saved', overwrite=True).success
    for name in ('first', '../elsewhere', ''):
        answer = caller.call(srv.SaveMap, names.SAVE_MAP, name=name, overwrite=True)
        assert not answer.success
    (maps / 'torn.s3emap').write_bytes(b'SQLite format 3\x00' + bytes(200))
    robot.stop(node)

    robot.start('loop_closure', *parameters(maps))
    removed = caller.keep(msg.KeyframeIds, names.REMOVED, latched_qos(10))
    nothing = caller.call(srv.Relocalize, names.RELOCALIZE, **image_fields(frames[10]))
    assert not nothing.success
    assert 'camera' in nothing.message
    loaded = caller.call(srv.LoadMap, names.LOAD_MAP, name='saved')
    assert loaded.success, loaded.message
    assert loaded.num_keyframes == num_keyframes
    again = caller.call(srv.LoadMap, names.LOAD_MAP, name='saved')
    assert not again.success
    assert 'in use' in again.message
    for frame in frames[3:24:5]:
        fields = image_fields(frame, with_camera=True)
        assert_located(caller.call(srv.Relocalize, names.RELOCALIZE, **fields), frame)
    history = caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES)
    assert [k.keyframe_id for k in history.keyframes] == list(range(num_keyframes))
    assert len({k.session for k in history.keyframes}) == 1
    np.testing.assert_allclose(
        pose_from_message(history.keyframes[5].t_odom_camera), robot.keyframes[5].T_odom_camera
    )

    listed = caller.call(srv.ListMaps, names.LIST_MAPS)
    assert list(listed.names) == ['first', 'saved', 'torn']
    assert list(listed.num_keyframes) == [num_keyframes, num_keyframes, 0]
    assert [bool(problem) for problem in listed.problems] == [False, False, True]
    assert not caller.call(srv.DeleteMap, names.DELETE_MAP, name='saved').success
    assert caller.call(srv.DeleteMap, names.DELETE_MAP, name='first').success
    assert not caller.call(srv.DeleteMap, names.DELETE_MAP, name='first').success
    assert not caller.call(srv.SaveMap, names.SAVE_MAP, name='x').success  # no map is written
    for out in ('../x', '', '.'):
        answer = caller.call(srv.ExportMap, names.EXPORT_MAP, name='saved', format='tum', out=out)
        assert not answer.success

    session = history.keyframes[0].session
    gone = caller.call(
        srv.RemoveKeyframes,
        names.REMOVE_KEYFRAMES,
        sessions=[session] * (num_keyframes - 1),
        keyframe_ids=list(range(1, num_keyframes)),
    )
    assert gone.success
    assert gone.num_removed == num_keyframes - 1
    robot.wait(lambda: (caller.spin(0.1), removed)[1])
    caller.spin(0.5)
    assert [list(message.keyframe_ids) for message in removed] == [list(range(1, num_keyframes))]
    history = caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES)
    assert [k.keyframe_id for k in history.keyframes] == [0]
    assert not history.closures
    lost = caller.call(
        srv.Relocalize, names.RELOCALIZE, **image_fields(frames[23], with_camera=True)
    )
    assert not lost.success


def test_a_map_is_gone_on_with(robot, caller, recording, tmp_path):
    bow = {'retrieval__method': 'bow'}
    node = robot.start('loop_closure', *parameters(tmp_path, map__name='home', **bow))
    first = played(robot, recording, 0, 20)
    removed = caller.call(
        srv.RemoveKeyframes,
        names.REMOVE_KEYFRAMES,
        sessions=[robot.keyframes[0].session],
        keyframe_ids=[3],
    )
    assert removed.num_removed == 1
    robot.stop(node)
    robot.start('loop_closure', *parameters(tmp_path, map__name='home', **bow))
    second = played(robot, recording, 30, 52)
    assert second['keyframes_loaded'] == first['keyframes'] - 1
    history = caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES)
    assert len(history.keyframes) == first['keyframes'] - 1 + second['keyframes']
    between = [c for c in history.closures if c.query_session != c.match_session]
    assert len(between) > 3
    with MapStore.open(tmp_path / 'home.s3emap', read_only=True) as store:
        assert store.num_keyframes == len(history.keyframes)
        assert len(store.closures()) == len(history.closures)
        assert len(store.sessions()) == 2


def test_a_map_of_other_weights_is_refused(robot, caller, tmp_path):
    MapStore.create(tmp_path / 'old.s3emap', weights_digest='0' * 64, weights_name='x').close()
    robot.start('loop_closure', *parameters(tmp_path, retrieval__method='bow'))
    answer = caller.call(srv.LoadMap, names.LOAD_MAP, name='old')
    assert not answer.success
    assert "weights 'x'" in answer.message


def num_tried(robot):
    counters = robot.loop_status().counters
    return sum(n for name, n in counters.items() if name.startswith('relocalisation.'))


def has_seen(robot, num_pictures):
    status = robot.loop_status()
    return status.counters['pictures'] >= num_pictures and status.is_idle


def test_an_image_is_located_while_tracking_is_lost(robot, caller, recording, frames, tmp_path):
    poses = caller.keep(PoseWithCovarianceStamped, names.RELOCALISED_POSE, reliable_qos(10))
    robot.start('loop_closure', *parameters(tmp_path, retrieval__method='bow'))
    played(robot, recording, 0, 26)
    caller.spin(0.5)
    tried, num_before = num_tried(robot), robot.loop_status().counters['pictures']
    poses.clear()
    start_ns = frames[26].stamp_ns + 10**10
    shown = {}
    for number, frame in enumerate(frames[5:23:2]):  # no odometry any more
        stamp_ns = start_ns + number * 600_000_000
        shown[stamp_ns] = frame
        header = conv.make_header(stamp_ns, 'eye')
        robot.publishers['image'].publish(conv.image_to_message(frame.image, header))
        robot.publishers['depth'].publish(conv.depth_to_message(frame.depth_m, header))
        robot.wait(lambda number=number: has_seen(robot, num_before + number + 1))
        caller.spin(0.1)
    assert num_tried(robot) - tried == 5  # every other image: not more often than once a second
    assert len(poses) >= 4
    for message in poses:
        frame = shown[conv.stamp_to_ns(message.header.stamp)]
        error = se3.inverse(frame.T_odom_camera) @ pose_from_message(message.pose.pose)
        assert se3.translation_m(error) < 0.06
        assert se3.rotation_angle_deg(error) < 1.0
