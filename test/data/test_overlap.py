"""Overlap against a slow reference, in rooms whose depth is known exactly."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.data import overlap as overlap_module
from s3e_gnn_ros.data.overlap import (
    overlap,
    overlap_counts,
    overlap_matrix,
    symmetric_overlap,
)
from s3e_gnn_ros.data.overlap_culling import frustum_candidates
from s3e_gnn_ros.data.overlap_views import DepthView, ViewOptions, depth_view, make_depth_views
from s3e_gnn_ros.errors import ConfigError, InputError, RecordingError
from s3e_gnn_ros.evaluation.bench_overlap import overlap_by_loop, room_views
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import Frame

CAMERA = PinholeCamera(20, 15, 16.0, 16.5, 9.6, 7.2)
WIDE = PinholeCamera(26, 12, 14.0, 13.0, 12.1, 5.8)

# Faces of a room 8 x 3 x 6 m, and a wall across it at z = 3 with a gap at x > 6: axis, where on
# it, and from where to where on the others.
BOX = [(axis, where, (0, 0, 0), (8, 3, 6)) for axis in range(3) for where in (0, (8, 3, 6)[axis])]
WALL = [(2, 3, (0, 0, 3), (6, 3, 3))]


def pose(position, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0):
    angles = [yaw_deg, pitch_deg, roll_deg]
    return se3.make_pose(Rotation.from_euler('YXZ', angles, degrees=True).as_matrix(), position)


def see(T, camera=CAMERA, faces=(*BOX, *WALL)):
    """Return the view of a camera: the nearest face along each ray."""
    return DepthView(cast(T, camera, faces), camera, T)


def cast(T, camera, faces=(*BOX, *WALL)):
    """Return the z-depth (H, W) of a camera with or without distortion."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    plane = camera.normalise(np.column_stack([columns.ravel(), rows.ravel()]))
    rays = np.column_stack([plane, np.ones(len(plane))]) @ T[:3, :3].T
    nearest = np.full(len(rays), np.inf)
    for axis, where, low, high in faces:
        with np.errstate(divide='ignore', invalid='ignore'):
            z = (where - T[axis, 3]) / rays[:, axis]
            points = T[:3, 3] + rays * z[:, None]
        others = [other for other in range(3) if other != axis]
        hit = ((points >= low) & (points <= high))[:, others].all(axis=1) & (z > 0)
        nearest = np.where(hit & (z < nearest), z, nearest)
    return nearest.reshape(camera.height, camera.width).astype(np.float32)


def slow_overlap(source, target, tolerance_m):
    """Return the overlap, pixel by pixel, in double precision."""
    num_agreeing = num_known = 0
    T_target_source = np.linalg.inv(target.T_world_camera) @ source.T_world_camera
    K, L = source.camera, target.camera
    for row, column in np.ndindex(K.height, K.width):
        depth = float(source.depth_m[row, column])
        if not 0 < depth < math.inf:
            continue
        num_known += 1
        point = [(column - K.cx) * depth / K.fx, (row - K.cy) * depth / K.fy, depth, 1.0]
        x, y, z, _ = (T_target_source @ point).tolist()
        if z <= 0:
            continue
        u, v = round(L.fx * x / z + L.cx), round(L.fy * y / z + L.cy)
        if 0 <= u < L.width and 0 <= v < L.height:
            seen = float(target.depth_m[v, u])
            if not 0 < seen < math.inf:
                num_known -= 1
            elif abs(z - seen) <= tolerance_m * max(1.0, z):
                num_agreeing += 1
    return np.float32(num_agreeing / max(num_known, 1))


def slow_matrix(views, tolerance_m):
    return np.array([[slow_overlap(a, b, tolerance_m) for b in views] for a in views])


def with_holes(view, seed):
    """Make a fifth of the depth unknown, in every way it may be."""
    rng = np.random.default_rng(seed)
    holes = np.array([np.nan, 0.0, np.inf, -np.inf, -1.0], dtype=np.float32)
    depth = np.where(rng.random(view.depth_m.shape) < 0.2, rng.choice(holes), view.depth_m)
    depth[0, :5] = holes
    return dataclasses.replace(view, depth_m=depth)


@pytest.fixture(scope='module')
def views():
    """Views on both sides of the wall, through the gap, backwards, tilted; one sees nothing."""
    rng = np.random.default_rng(5)
    poses = [pose((4.1, 1.4, 0.9)), pose((3.7, 1.5, 1.1), 17, 4), pose((4.1, 1.4, 0.9), 180)]
    poses += [pose((4.3, 1.6, 3.4), 5), pose((6.8, 1.4, 0.7), 3), pose((6.9, 1.5, 5.1), 176)]
    poses += [
        pose(
            rng.uniform((1, 0.5, 0.5), (7, 2.5, 2.7)),
            *rng.uniform((-180, -30, -180), (180, 30, 180)),
        )
        for _ in range(4)
    ]
    seen = [see(T, WIDE if index % 3 == 2 else CAMERA) for index, T in enumerate(poses)]
    holed = [with_holes(view, index) if index % 2 else view for index, view in enumerate(seen)]
    blind = dataclasses.replace(seen[0], depth_m=np.zeros((15, 20), np.float32))
    return [*holed, blind]


@pytest.mark.parametrize('tolerance_m', [0.05, 0.4])
def test_equals_the_slow_reference(views, tolerance_m):
    expected = slow_matrix(views, tolerance_m)
    assert ((expected > 0) & (expected < 1)).sum() > 10
    assert (expected == 0).sum() > 10
    for with_culling in (True, False):
        fast = overlap_matrix(views, tolerance_m, with_culling=with_culling)
        assert fast.dtype == np.float32
        np.testing.assert_array_equal(fast, expected)


def test_a_pair_equals_its_entry(views):
    matrix = overlap_matrix(views)
    for i, j in ((0, 1), (1, 0), (4, 3), (2, 5), (1, 1)):
        assert overlap(views[i], views[j]) == matrix[i, j]


def test_a_view_sees_itself_and_a_blind_one_nothing(views):
    diagonal = np.diag(overlap_matrix(views))
    assert (diagonal[:-1] == 1).all()
    assert diagonal[-1] == 0
    assert overlap_matrix([]).shape == (0, 0)
    assert overlap_matrix(views[-1:]).tolist() == [[0.0]]


def test_batches_and_progress_do_not_matter(views, monkeypatch):
    whole = overlap_matrix(views)
    monkeypatch.setitem(overlap_module._PIXELS_AT_ONCE, 'cpu', 7 * 26 * 15)
    told = []
    batched = overlap_matrix(views, progress=lambda *numbers: told.append(numbers))
    np.testing.assert_array_equal(batched, whole)
    assert len(told) > 3
    assert told[-1][0] == told[-1][1] == len(frustum_candidates(views, 0.05))


def test_a_wall_hides_what_is_behind_it():
    T_before, T_behind = pose((3.0, 1.5, 0.5)), pose((3.0, 1.5, 3.5))
    before, behind = see(T_before), see(T_behind)
    assert overlap(before, behind) == overlap(behind, before) == 0
    # From before the wall the camera looks at where the other one does, if there were no wall.
    assert overlap(see(T_before, faces=BOX), behind) > 0.1
    assert overlap(behind, see(T_before, faces=BOX)) > 0.5


def test_turned_round_on_the_spot_nothing_is_shared():
    there, back = (see(pose((4, 1.5, 1.5), yaw)) for yaw in (0, 180))
    assert overlap(there, back) == overlap(back, there) == 0


def test_seen_from_the_opposite_side_the_floor_is_shared():
    # Image y is down and so is world y: the floor is y = 3.
    one = see(pose((4, 1, 1), 0, -45), faces=BOX)
    other = see(pose((4, 1, 5), 180, -45), faces=BOX)
    assert overlap(one, other) > 0.3
    assert overlap(one, other) == slow_overlap(one, other, 0.05)


def plane(depth_m):
    return DepthView(np.full((15, 20), depth_m, dtype=np.float32), CAMERA, np.eye(4))


@pytest.mark.parametrize(
    ('depth_m', 'other_m', 'expected'),
    [
        (0.5, 0.54, 1),
        (0.5, 0.56, 0),
        (4.0, 4.19, 1),
        (4.0, 4.21, 0),
        (4.0, 3.81, 1),
        (4.0, 3.79, 0),
    ],
)
def test_the_tolerance_grows_beyond_a_metre(depth_m, other_m, expected):
    assert overlap(plane(depth_m), plane(other_m)) == expected


def test_unknown_depth_leaves_both_counts():
    whole, half = plane(2.0), plane(2.0)
    half.depth_m[:, :10] = np.nan
    assert overlap(whole, half) == overlap(half, whole) == 1
    # Half of what remains lies at another depth.
    half.depth_m[:, 15:] = 3.0
    assert overlap(whole, half) == overlap(half, whole) == 0.5
    counts = overlap_counts([whole, half])
    assert counts.num_known.tolist() == [[300, 150], [150, 150]]
    assert counts.num_agreeing.tolist() == [[300, 75], [75, 150]]
    np.testing.assert_allclose(counts.symmetric, [[1, 1 / 3], [1 / 3, 1]], rtol=1e-6)


def test_symmetric_form_by_hand():
    directed = np.array([[1.0, 0.5], [0.25, 1.0]])
    # 50 of 100 pixels one way, 50 of 200 the other: 50 / (100 + 200 - 50).
    np.testing.assert_allclose(
        symmetric_overlap(directed, np.array([100, 200])), [[1, 0.2], [0.2, 1]], rtol=1e-6
    )
    assert not symmetric_overlap(np.zeros((2, 2)), np.array([0, 0])).any()


def test_far_from_the_origin_nothing_changes(views):
    offset = se3.make_pose(None, [4e5, -7e5, 100.0])
    moved = [
        dataclasses.replace(view, T_world_camera=offset @ view.T_world_camera) for view in views
    ]
    np.testing.assert_array_equal(overlap_matrix(moved), overlap_matrix(views))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.9))
def test_culling_drops_no_pair_with_overlap(seed, tolerance_m):
    views = room_views(12, np.random.default_rng(seed))
    small = [depth_view(frame_of(view), ViewOptions(width_px=20)) for view in views]
    small.append(dataclasses.replace(small[0], depth_m=small[0].depth_m * np.float32(0.01)))
    culled = overlap_counts(small, tolerance_m)
    complete = overlap_counts(small, tolerance_m, with_culling=False)
    np.testing.assert_array_equal(culled.directed, complete.directed)
    np.testing.assert_array_equal(culled.symmetric, complete.symmetric)
    np.testing.assert_array_equal(culled.symmetric, culled.symmetric.T)


def test_culling_leaves_out_other_rooms():
    views = room_views(16, np.random.default_rng(0))
    pairs = {tuple(pair) for pair in frustum_candidates(views, 0.05).tolist()}
    assert {(i, i) for i in range(16)} <= pairs
    assert pairs == {pair[::-1] for pair in pairs}
    assert len(pairs) < 16 * 16 / 2


def test_the_loop_of_the_benchmark_gives_the_same(views):
    for i, j in ((0, 1), (1, 4), (3, 2), (0, 10)):
        assert np.float32(overlap_by_loop(views[i], views[j])) == overlap(views[i], views[j])


@pytest.mark.parametrize(
    ('error', 'message', 'call'),
    [
        (ConfigError, 'tolerance_m is -1', lambda: overlap(plane(1), plane(1), -1)),
        (ConfigError, 'tolerance_m is nan', lambda: overlap(plane(1), plane(1), math.nan)),
        (ConfigError, "'abacus'", lambda: overlap_matrix([plane(1)], device='abacus')),
        (ConfigError, "'meta'", lambda: overlap_matrix([plane(1)], device='meta')),
        (
            InputError,
            r'depth has shape \(2, 3\)',
            lambda: DepthView(np.ones((2, 3), np.float32), CAMERA, np.eye(4)),
        ),
        (
            InputError,
            'without distortion',
            lambda: dataclasses.replace(
                plane(1), camera=dataclasses.replace(CAMERA, distortion=(0.1, 0, 0, 0))
            ),
        ),
        (
            InputError,
            'T_world_camera of a depth view',
            lambda: dataclasses.replace(plane(1), T_world_camera=np.ones((4, 4))),
        ),
        (ConfigError, 'width_px is 0', lambda: ViewOptions(width_px=0)),
        (ConfigError, 'from 2 m to 1 m', lambda: ViewOptions(min_depth_m=2, max_depth_m=1)),
        (ConfigError, '-1 m or', lambda: ViewOptions(min_translation_m=-1)),
    ],
)
def test_what_cannot_be_compared_is_said(error, message, call):
    with pytest.raises(error, match=message):
        call()


def frame_of(view, **changes):
    image = np.zeros(view.depth_m.shape, dtype=np.uint8)
    frame = Frame(7, image, view.camera, view.depth_m, None, view.T_world_camera)
    return dataclasses.replace(frame, **changes)


BIG = PinholeCamera(160, 120, 130.0, 131.0, 80.3, 58.9)


def points_of(view):
    """Return the points (H * W, 3) of a view in its camera."""
    rows, columns = np.mgrid[: view.camera.height, : view.camera.width]
    rays = view.camera.normalise(np.column_stack([columns.ravel(), rows.ravel()]))
    z = view.depth_m.reshape(-1, 1)
    return np.column_stack([rays * z, z])


@pytest.mark.parametrize(('width_px', 'size'), [(80, (60, 80)), (40, (30, 40)), (53, (40, 53))])
def test_depth_is_picked_where_the_reduced_camera_looks(width_px, size):
    T = pose((4.1, 1.4, 0.9), 20, 5)
    full = see(T, BIG)
    view = depth_view(frame_of(full), ViewOptions(width_px=width_px))
    assert view.depth_m.shape == size
    np.testing.assert_array_equal(view.depth_m, see(T, view.camera).depth_m)
    everything = {tuple(point) for point in points_of(full).round(6).tolist()}
    assert {tuple(point) for point in points_of(view).round(6).tolist()} <= everything
    assert (view.stamp_ns, view.depth_m.dtype) == (7, np.float32)


def test_depth_out_of_range_is_unknown():
    view = plane(2.0)
    view.depth_m[0, :6] = (0.09, 0.11, 9.9, 10.1, np.nan, np.inf)
    reduced = depth_view(frame_of(view))
    np.testing.assert_allclose(reduced.depth_m[0, :7], [0, 0.11, 9.9, 0, 0, 0, 2])


def test_distortion_is_removed():
    T = pose((4.1, 1.4, 0.9), 50, 3)
    camera = dataclasses.replace(BIG, distortion=(-0.2, 0.05, 0.001, -0.001))
    frame = frame_of(see(T, BIG), camera=camera, depth_m=cast(T, camera))
    view = depth_view(frame)
    assert not view.camera.is_distorted
    known = view.depth_m > 0
    assert known.mean() > 0.95
    truth = see(T, view.camera).depth_m
    off_m = np.abs(view.depth_m - truth)[known]
    distorted_off_m = np.abs(frame.depth_m[1::2, 1::2] - truth)[known]
    assert np.mean(off_m) < 0.25 * np.mean(distorted_off_m)
    # Off by less than a pixel everywhere but at edges.
    assert np.median(off_m) < 0.01


class FakeRecording:
    """Frames and a truth."""

    def __init__(self, frames, ground_truth=True):
        self.name = 'fake'
        self.num_frames = len(frames)
        self.odometry = None
        self.ground_truth = Trajectory(np.array([0]), np.eye(4)[None]) if ground_truth else None
        self.drops = Counter()
        self.notes = []
        self._frames = frames

    def frames(self):
        return iter(self._frames)


def test_views_are_chosen_by_motion():
    moves = [(0, 0), (0.05, 0), (0.11, 0), (0.15, 5), (0.15, 11), (0.3, 11)]
    frames = [
        frame_of(plane(2.0), stamp_ns=index, T_world_camera=pose((x, 0, 0), yaw))
        for index, (x, yaw) in enumerate(moves)
    ]
    frames.append(dataclasses.replace(frames[0], stamp_ns=6, depth_m=None))
    frames.append(dataclasses.replace(frames[0], stamp_ns=7, T_world_camera=None))
    recording = FakeRecording(frames)
    assert [view.stamp_ns for view in make_depth_views(recording)] == [0, 2, 4, 5]
    assert recording.drops == Counter(no_depth=1, no_ground_truth=1)
    every = make_depth_views(recording, ViewOptions(min_translation_m=0, min_rotation_deg=0))
    assert len(every) == 6


@pytest.mark.parametrize(
    ('changes', 'truth', 'message'),
    [
        ({}, False, "'fake' holds no ground truth poses"),
        ({'T_world_camera': None}, True, "'fake' has no frame with a true pose"),
        ({'depth_m': None}, True, "'fake' has no depth"),
    ],
)
def test_a_recording_that_lacks_something(changes, truth, message):
    with pytest.raises(RecordingError, match=message):
        make_depth_views(FakeRecording([frame_of(plane(2.0), **changes)], truth))


def test_a_frame_that_lacks_something():
    with pytest.raises(InputError, match='the frame at 7 ns has no true pose'):
        depth_view(frame_of(plane(2.0), T_world_camera=None))
