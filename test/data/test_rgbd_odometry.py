import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from synthetic import CAMERA, START_NS, look_at, make_frame

from s3e_gnn_ros.data import rgbd_odometry
from s3e_gnn_ros.data.rgbd_odometry import with_rgbd_odometry
from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera

needs_opencv_5 = pytest.mark.skipif(
    not hasattr(cv2, 'OdometrySettings'), reason='cv2.Odometry came with OpenCV 5'
)


@pytest.fixture(scope='module')
def frames():
    """An arc of 50 cm and 8 degrees in steps of 4 cm."""
    share = np.linspace(0, 1, 13)
    poses = [look_at([-0.6 + 0.5 * s, -0.2, 1.0], [1.3 + 0.1 * s, 0.8, 3.7]) for s in share]
    return [make_frame(T, START_NS + i * 33_000_000) for i, T in enumerate(poses)]


def errors(frames, tracked):
    """Return the distance and angle between the true and the tracked motion of each frame."""
    out = []
    for frame, other in zip(frames, tracked, strict=True):
        T_true = se3.inverse(frames[0].T_world_camera) @ frame.T_world_camera
        difference = se3.inverse(other.T_odom_camera) @ T_true
        out.append((se3.translation_m(difference), se3.rotation_angle_deg(difference)))
    return np.array(out)


@needs_opencv_5
@pytest.mark.parametrize('colour', [False, True], ids=['grey', 'colour'])
def test_motion_is_followed_within_a_few_percent(frames, colour):
    given = frames
    if colour:
        given = [
            dataclasses.replace(f, image=cv2.cvtColor(f.image, cv2.COLOR_GRAY2BGR)) for f in frames
        ]
    tracked = list(with_rgbd_odometry(iter(given), 6.0))
    assert [frame.stamp_ns for frame in tracked] == [frame.stamp_ns for frame in frames]
    np.testing.assert_array_equal(tracked[0].T_odom_camera, np.eye(4))
    error = errors(frames, tracked)
    assert error[-1, 0] < 0.03 * 0.5
    assert error[-1, 1] < 0.5


@needs_opencv_5
def test_a_larger_image_is_reduced_and_followed_as_well():
    camera = PinholeCamera(640, 480, 480.0, 480.0, 319.5, 239.5)
    poses = [look_at([-0.6 + 0.04 * i, -0.2, 1.0], [1.3, 0.8, 3.7]) for i in range(5)]
    frames = [make_frame(T, START_NS + i, camera) for i, T in enumerate(poses)]
    tracked = list(with_rgbd_odometry(iter(frames), 6.0))
    assert errors(frames, tracked)[-1, 0] < 0.05 * 0.16


@needs_opencv_5
@pytest.mark.parametrize('blank', ['image', 'depth_m'])
def test_a_lost_step_is_counted_and_repeats_the_one_before(frames, blank):
    odometry = rgbd_odometry.RgbdOdometry(CAMERA, 6.0)
    poses = [odometry.track(frame.image, frame.depth_m) for frame in frames[:4]]
    assert odometry.num_lost == 0
    step = se3.inverse(poses[2]) @ poses[3]
    lost = dataclasses.replace(frames[4], **{blank: np.zeros_like(getattr(frames[4], blank))})
    T = odometry.track(lost.image, lost.depth_m)
    if blank == 'depth_m':
        assert odometry.num_lost == 1
        np.testing.assert_allclose(T, poses[3] @ step)
    for frame in frames[5:]:  # it goes on
        T = odometry.track(frame.image, frame.depth_m)
    assert np.isfinite(T).all()
    assert odometry.num_lost <= 2


@needs_opencv_5
def test_a_jump_no_camera_makes_is_not_believed(frames, monkeypatch):
    odometry = rgbd_odometry.RgbdOdometry(CAMERA, 6.0)
    answers = iter([se3.make_pose(None, [0.1, 0, 0]), se3.make_pose(None, [0.6, 0, 0])])
    monkeypatch.setattr(
        odometry, '_odometry', SimpleNamespace(compute=lambda *_: (True, next(answers)))
    )
    for frame in frames[:3]:
        T = odometry.track(frame.image, frame.depth_m)
    assert odometry.num_lost == 1
    np.testing.assert_allclose(T[:3, 3], [0.2, 0, 0])


def test_a_frame_without_depth_is_refused(frames):
    blind = dataclasses.replace(frames[0], depth_m=None)
    with pytest.raises(InputError, match=f'needs depth, the frame at {START_NS} ns has none'):
        next(with_rgbd_odometry(iter([blind])))


def test_a_distorted_image_is_refused(frames):
    camera = dataclasses.replace(CAMERA, distortion=(-0.1, 0.0, 0.0, 0.0))
    distorted = dataclasses.replace(frames[0], camera=camera)
    with pytest.raises(InputError, match='rectified'):
        next(with_rgbd_odometry(iter([distorted])))


def test_an_older_opencv_is_named(frames, monkeypatch):
    monkeypatch.delattr(cv2, 'OdometrySettings', raising=False)
    with pytest.raises(DependencyError, match='needs OpenCV 5'):
        next(with_rgbd_odometry(iter(frames)))
