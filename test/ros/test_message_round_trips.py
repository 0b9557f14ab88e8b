"""What is written into a message comes back as it was, over the wire format of DDS."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import PoseStamped
from made_up_map import make_closure, make_keyframe
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation

from s3e_gnn_ros import srv
from s3e_gnn_ros.data import messages as data_messages
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.pose_graph.graph_columns import GraphColumns
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import graph_messages, vins_messages
from s3e_gnn_ros.ros import loop_messages as lm
from s3e_gnn_ros.ros.keyframe_poses import poses_from_message, weights_from_message
from s3e_gnn_ros.ros.map_messages import loaded_messages
from s3e_gnn_ros.ros.open_maps import LoadedMap
from s3e_gnn_ros.types import (
    Candidate,
    Encoding,
    Features,
    Frame,
    Keyframe,
    KeyframeKey,
    LoopClosure,
    LoopQuery,
    Status,
)

STAMPS_NS = st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1)
SESSIONS = st.integers(0, 2**64 - 1)
IDS = st.integers(0, 2**32 - 1)
NAMES = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=12)
SHARES = st.floats(0, 1, width=32)
KEYS = st.builds(KeyframeKey, SESSIONS, IDS)
FLOATS = st.floats(-1e6, 1e6, width=32)
_POSE_TOLERANCE = 1e-9  # relative; a quaternion of doubles


def wired(message):
    """Return what a subscriber gets."""
    return deserialize_message(serialize_message(message), type(message))


@st.composite
def poses(draw):
    """Any rotation, half turns among them, and places up to the other side of the earth."""
    q = draw(arrays(np.float64, 4, elements=st.floats(-1, 1)))
    half_turns = st.sampled_from(np.vstack([np.eye(4), -np.eye(4)]).tolist())
    if np.linalg.norm(q) < 0.1 or draw(st.integers(0, 4)) == 0:
        q = np.array(draw(half_turns))
    t = draw(arrays(np.float64, 3, elements=st.floats(-2e7, 2e7)))
    return se3.make_pose(Rotation.from_quat(q).as_matrix(), t)


@st.composite
def covariances(draw):
    half = draw(arrays(np.float64, (6, 6), elements=st.floats(-10, 10)))
    return half @ half.T + 1e-6 * np.eye(6)


@st.composite
def cameras(draw):
    model, sizes = draw(
        st.sampled_from(
            [
                ('plumb_bob', (0, 4, 5)),
                ('equidistant', (0, 4)),
                ('rational_polynomial', (0, 8, 12, 14)),
            ]
        )
    )
    size = draw(st.sampled_from(sizes))
    return PinholeCamera(
        draw(st.integers(1, 10_000)),
        draw(st.integers(1, 10_000)),
        *draw(st.tuples(*[st.floats(1, 1e4)] * 4)),
        tuple(draw(st.lists(st.floats(-1, 1), min_size=size, max_size=size))),
        model,
    )


def assert_same(found, wanted, name=''):
    """Equal, but for poses, which a quaternion keeps to its precision."""
    if isinstance(wanted, np.ndarray) and wanted.shape[-2:] == (4, 4):
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        np.testing.assert_allclose(found, wanted, atol=_POSE_TOLERANCE * scale, err_msg=name)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        assert found.dtype == wanted.dtype, name
    elif dataclasses.is_dataclass(wanted) and not isinstance(wanted, PinholeCamera):
        for field in dataclasses.fields(wanted):
            assert_same(getattr(found, field.name), getattr(wanted, field.name), field.name)
    else:
        assert found == wanted, name


@fuzzed(40)
@given(STAMPS_NS)
def test_stamps(stamp_ns):
    message = wired(conv.stamp_from_ns(stamp_ns))
    assert conv.stamp_to_ns(message) == data_messages.stamp_ns(message) == stamp_ns
    assert 0 <= message.nanosec < 10**9


@pytest.mark.parametrize('stamp_ns', [2**31 * 10**9, -(2**31) * 10**9 - 1, 2**63])
def test_a_stamp_that_does_not_fit_is_refused(stamp_ns):
    with pytest.raises(InputError, match=str(stamp_ns)):
        conv.stamp_from_ns(stamp_ns)


def test_nanoseconds_of_a_second_and_more_are_refused():
    stamp = conv.stamp_from_ns(0)
    stamp.nanosec = 10**9
    for read in (conv.stamp_to_ns, data_messages.stamp_ns):
        with pytest.raises(InputError, match='1000000000 ns'):
            read(stamp)


@fuzzed(40)
@given(STAMPS_NS, NAMES)
def test_headers(stamp_ns, frame):
    message = wired(conv.make_header(stamp_ns, frame))
    assert (conv.stamp_to_ns(message.stamp), message.frame_id) == (stamp_ns, frame)


@fuzzed(40)
@given(poses())
def test_poses(T):
    message = wired(conv.pose_to_message(T))
    for read in (conv.pose_from_message, data_messages.pose_from_message):
        assert_same(read(message), T)
    assert_same(conv.poses_from_messages([message]), T[None])
    q = message.orientation
    # q and -q are one rotation: either may be sent.
    q.x, q.y, q.z, q.w = -q.x, -q.y, -q.z, -q.w
    assert_same(conv.pose_from_message(message), T)


@fuzzed(40)
@given(st.lists(poses(), max_size=4))
def test_many_poses_are_each_as_one(many):
    stack = np.array(many).reshape(-1, 4, 4)
    messages = [wired(message) for message in graph_messages.pose_messages(stack)]
    assert_same(conv.poses_from_messages(messages), stack)


@fuzzed(40)
@given(poses(), STAMPS_NS, NAMES, NAMES)
def test_transforms(T, stamp_ns, frame_a, frame_b):
    message = wired(conv.transform_to_message(T, stamp_ns, frame_a, frame_b))
    assert_same(data_messages.pose_from_message(message.transform), T)
    assert (message.header.frame_id, message.child_frame_id) == (frame_a, frame_b)
    assert conv.stamp_to_ns(message.header.stamp) == stamp_ns


@fuzzed(40)
@given(covariances())
def test_covariances_change_their_order_and_nothing_else(covariance):
    message = Odometry()
    message.pose.covariance = conv.covariance_to_message(covariance)
    values = wired(message).pose.covariance
    np.testing.assert_array_equal(conv.covariance_from_message(values), covariance)
    table = np.reshape(values, (6, 6))
    np.testing.assert_array_equal(table[:3, :3], covariance[3:, 3:])  # translation first
    np.testing.assert_array_equal(table[:3, 3:], covariance[3:, :3])


@fuzzed(40)
@given(cameras())
def test_cameras(camera):
    message = wired(conv.camera_to_message(camera, conv.make_header(0, 'c')))
    assert conv.camera_from_message(message) == camera
    read = data_messages.camera_from_message(message)
    if camera.is_distorted:
        assert read == camera
    else:  # without distortion all models are one
        assert read.matrix.tolist() == camera.matrix.tolist()
        assert not read.is_distorted


@st.composite
def images(draw):
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    shape = (*shape, 3) if draw(st.booleans()) else shape
    return draw(arrays(np.uint8, shape))


@fuzzed(40)
@given(images())
def test_images(image):
    message = wired(conv.image_to_message(image, conv.make_header(1, 'c')))
    np.testing.assert_array_equal(conv.image_from_message(message), image)
    np.testing.assert_array_equal(data_messages.image_from_message(message), image)


@fuzzed(40)
@given(arrays(np.float32, (5, 7), elements=st.floats(0, 60, width=32)))
def test_depth(depth_m):
    message = wired(conv.depth_to_message(depth_m, conv.make_header(1, 'c')))
    np.testing.assert_array_equal(conv.depth_from_message(message), depth_m)
    if depth_m[depth_m > 0].size and 0.05 <= np.median(depth_m[::4, ::4]) <= 60:
        np.testing.assert_array_equal(data_messages.depth_from_message(message), depth_m)


@st.composite
def closures(draw):
    return LoopClosure(
        query_id=draw(IDS),
        match_id=draw(IDS),
        query_session=draw(SESSIONS),
        match_session=draw(SESSIONS),
        query_stamp_ns=draw(STAMPS_NS),
        match_stamp_ns=draw(STAMPS_NS),
        T_match_query=draw(poses()),
        covariance=draw(covariances()),
        similarity=draw(SHARES),
        num_inliers=draw(IDS),
        inlier_ratio=draw(SHARES),
        query_robot_id=draw(NAMES),
        match_robot_id=draw(NAMES),
    )


@fuzzed(40)
@given(closures(), NAMES)
def test_closures(closure, frame):
    message = wired(lm.closure_to_message(closure, frame))
    assert_same(lm.closure_from_message(message), closure)
    assert message.header.frame_id == frame


@fuzzed(40)
@given(
    st.builds(
        LoopQuery,
        query_id=IDS,
        session=SESSIONS,
        stamp_ns=STAMPS_NS,
        status=st.sampled_from(list(Status)),
        candidates=st.lists(st.builds(Candidate, IDS, SESSIONS, SHARES), max_size=4).map(tuple),
        stage_ms=st.dictionaries(NAMES, FLOATS, max_size=4),
        robot_id=NAMES,
    )
)
def test_queries(query):
    assert_same(lm.query_from_message(wired(lm.query_to_message(query, 'c'))), query)


@st.composite
def keyframes(draw):
    N = draw(st.integers(0, 5))

    def table(width, dtype, elements):
        return draw(arrays(dtype, (N, width), elements=elements))

    camera, image = draw(cameras()), draw(images())
    depth_m = np.full(image.shape[:2], 1.5, np.float32) if draw(st.booleans()) else None
    features = Features(
        points_px=table(2, np.float32, FLOATS),
        points_normalised=table(2, np.float64, FLOATS),
        sizes_px=np.full(N, 31.0, np.float32),
        angles_deg=np.zeros(N, np.float32),
        responses=np.zeros(N, np.float32),
        descriptors=table(32, np.uint8, None),
        landmarks_m=table(3, np.float64, FLOATS | st.just(float('nan'))),
    )
    vector = draw(arrays(np.float32, 8, elements=st.floats(-1, 1, width=32)))
    vector[0] += 2.0
    nothing = np.zeros((0, 0), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.intp)
    encoding = Encoding(vector / np.linalg.norm(vector), *nothing)
    frame = Frame(draw(STAMPS_NS), image, camera, depth_m, T_odom_camera=draw(poses()))
    return Keyframe(draw(IDS), draw(SESSIONS), frame, features, encoding, draw(NAMES))


@fuzzed(40)
@given(keyframes(), NAMES, NAMES, st.booleans())
def test_keyframes(keyframe, odom_frame, camera_frame, has_encoding):
    if not has_encoding:
        keyframe = dataclasses.replace(keyframe, encoding=None)
    ids = np.arange(len(keyframe.features), dtype=np.int64) - 1
    message = wired(
        lm.keyframe_to_message(
            keyframe, odom_frame, camera_frame, with_images=True, feature_ids=ids
        )
    )
    assert_same(lm.keyframe_from_message(message), keyframe)
    assert (message.header.frame_id, message.camera_frame) == (odom_frame, camera_frame)
    assert list(message.feature_ids) == ids.tolist()
    summary = lm.keyframe_from_message(wired(lm.keyframe_summary(keyframe, '', '')))
    assert (summary.keyframe_id, summary.session) == (keyframe.keyframe_id, keyframe.session)
    assert len(summary.features) == 0


@st.composite
def snapshots(draw):
    keys = draw(st.lists(KEYS, min_size=1, max_size=5, unique=True))
    N = len(keys)
    pairs = st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)).filter(lambda p: p[0] != p[1])
    closed = np.array(draw(st.lists(pairs, max_size=4)) if N > 1 else [], np.intp).reshape(-1, 2)
    T = np.array([draw(poses()) for _ in keys])
    stamps_ns = np.array([draw(STAMPS_NS) for _ in keys], np.int64)
    weights = draw(arrays(np.float32, len(closed), elements=SHARES))
    is_tied = draw(arrays(np.bool_, N))
    rows = np.arange(N)
    columns = GraphColumns(
        keys=np.column_stack([rows, rows]),  # g2o numbers them itself
        stamps_ns=stamps_ns,
        T_map_camera=T,
        is_tied=is_tied,
        edges=np.column_stack([rows[:-1], rows[1:]]),
        edge_poses=se3.inverse(T[:-1]) @ T[1:],
        edge_covariances=np.tile(np.eye(6), (N - 1, 1, 1)),
        num_odometry=N - 1,
        closures=closed,
        weights=weights,
    )
    none = np.zeros((0, 2), np.intp)
    return graph_messages.GraphSnapshot(
        keys, stamps_ns, T, none, closed, weights, none, is_tied, columns
    )


@fuzzed(40)
@given(snapshots(), NAMES)
def test_pose_graphs(snapshot, frame):
    message = wired(graph_messages.keyframe_poses_message(snapshot, frame))
    keys, T = poses_from_message(message)
    rows = np.flatnonzero(snapshot.is_tied)
    assert keys == [snapshot.keys[row] for row in rows]
    assert_same(T, snapshot.T_map_camera[rows])
    ends = [(snapshot.keys[i], snapshot.keys[j]) for i, j in snapshot.closures.tolist()]
    found = weights_from_message(message)
    assert [each[:2] for each in found] == ends
    assert [each[2] for each in found] == snapshot.weights.tolist()
    path = wired(graph_messages.path_message(snapshot, frame))
    stamps = [conv.stamp_to_ns(each.header.stamp) for each in path.poses]
    assert stamps == sorted(snapshot.stamps_ns.tolist())
    response = wired(graph_messages.fill_pose_graph(srv.GetPoseGraph.Response(), snapshot, frame))
    found = zip(response.sessions, response.keyframe_ids, strict=True)
    assert [KeyframeKey(*key) for key in found] == snapshot.keys
    assert_same(conv.poses_from_messages(response.t_map_camera), snapshot.T_map_camera)
    assert [conv.stamp_to_ns(each) for each in response.stamps] == snapshot.stamps_ns.tolist()


@fuzzed(40)
@given(
    STAMPS_NS,
    st.integers(0, vins_messages.MAX_INDEX - 1),
    st.lists(st.integers(0, vins_messages.MAX_INDEX - 1), max_size=5, unique=True),
    poses(),
    st.data(),
)
def test_what_vins_is_told(stamp_ns, index, ids, T, data):
    points = data.draw(arrays(np.float64, (len(ids), 2), elements=FLOATS))
    numbers = np.array(ids, np.int64)
    message = wired(vins_messages.match_points_message(stamp_ns, index, points, numbers, T))
    assert conv.stamp_to_ns(message.header.stamp) == stamp_ns
    order = np.argsort(numbers)
    assert [(p.x, p.y, int(p.z)) for p in message.points] == [
        (*points[row].tolist(), ids[row]) for row in order
    ]
    *pose, number = message.channels[0].values
    assert int(number) == index
    w, x, y, z = pose[3:]
    found = se3.pose_from_quat(pose[:3], (x, y, z, w))
    scale = max(1.0, float(np.abs(T).max()))
    np.testing.assert_allclose(found, T, atol=1e-6 * scale)  # float32


@fuzzed(40)
@given(st.integers(0, vins_messages.MAX_INDEX - 1), poses())
def test_what_vins_answers(index, T):
    message = Odometry()
    message.pose.pose = conv.pose_to_message(T)
    message.twist.twist.linear.y = float(index)
    found, T_found = vins_messages.relo_pose_from_message(wired(message))
    assert found == index
    assert_same(T_found, T)


@fuzzed(40)
@given(poses(), poses(), covariances(), STAMPS_NS, NAMES)
def test_odometry_goes_to_the_map_and_back(T_map_odom, T, covariance, stamp_ns, child):
    message = Odometry(header=conv.make_header(stamp_ns, 'odom'), child_frame_id=child)
    message.pose.pose = conv.pose_to_message(T)
    message.pose.covariance = conv.covariance_to_message(covariance)
    there = wired(conv.corrected_odometry(message, T_map_odom, 'map'))
    back = conv.corrected_odometry(there, se3.inverse(T_map_odom), 'odom')
    scale = max(1.0, float(np.abs(T).max()), float(np.abs(T_map_odom).max()))
    found = conv.pose_from_message(back.pose.pose)
    np.testing.assert_allclose(found, T, atol=1e-8 * scale)
    found = conv.covariance_from_message(back.pose.covariance)
    np.testing.assert_allclose(found, covariance, atol=1e-9 * np.abs(covariance).max())
    assert back.header == message.header
    assert back.child_frame_id == child


@fuzzed(40)
@given(poses(), STAMPS_NS)
def test_stamped_poses(T, stamp_ns):
    message = PoseStamped(header=conv.make_header(stamp_ns, 'a'), pose=conv.pose_to_message(T))
    found = wired(message)
    assert conv.stamp_to_ns(found.header.stamp) == stamp_ns
    assert_same(conv.pose_from_message(found.pose), T)


def test_a_stored_map(tmp_path):
    """What a back end that comes late is told is what the file holds."""
    big = 2**64 - 1
    with MapStore.create(tmp_path / 'a.s3emap', weights_digest='d') as store:
        for session, number in ((1, 0), (1, 1), (big, 0), (1, 2)):
            store.add(make_keyframe(number, session, robot_id=f'r{session}'))
        store.add_closure(make_closure(2, 0))
        store.add_closure(make_closure(0, 1, query_session=big))
        rows, closures = store.rows(), store.closures()
        keyframes, found = loaded_messages(LoadedMap(store, rows, closures, is_fixed=False))
        for row, (key, message) in enumerate(zip(rows.keys, map(wired, keyframes), strict=True)):
            back = lm.keyframe_from_message(message)
            assert (back.session, back.keyframe_id) == key
            assert back.robot_id == rows.robot_ids[row]
            assert back.stamp_ns == rows.stamps_ns[row]
            assert_same(back.T_odom_camera, rows.T_odom_camera[row])
            assert back.frame.camera == store.view(key).camera
            frames = message.header.frame_id, message.camera_frame
            assert frames == (rows.odom_frames[row], rows.camera_frames[row])
    for message, closure in zip(map(wired, found), closures, strict=True):
        back = lm.closure_from_message(message)
        rounded = {
            n: float(np.float32(getattr(closure, n))) for n in ('similarity', 'inlier_ratio')
        }
        assert_same(back, dataclasses.replace(closure, **rounded))
