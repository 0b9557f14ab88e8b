"""Messages that cannot be used are dropped and counted; the node lives on."""

from __future__ import annotations

import signal

import numpy as np
import pytest

pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from std_msgs.msg import Header

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv

CAMERA = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
SHAPE = (240, 320)
STEP_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def send(robot):
    """Return a function that publishes one frame, with what is wrong with it."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (30, 40)), np.ones((8, 8))).astype(np.uint8)

    def publish(i, *, image=None, depth=None, info=None, pose=None, stamp_ns=None):
        stamp_ns = START_NS + i * STEP_NS if stamp_ns is None else stamp_ns
        header = conv.make_header(stamp_ns, 'camera')
        message = conv.image_to_message(picture, header)
        for name, value in (image or {}).items():
            setattr(message, name, value)
        shape, scale = depth or (SHAPE, 1.0)
        values = np.full(shape, 2.0 * scale, np.float32)
        camera = conv.camera_to_message(CAMERA, header)
        for name, value in (info or {}).items():
            setattr(camera, name, value)
        robot.publishers['camera_info'].publish(camera)
        robot.publishers['image'].publish(message)
        robot.publishers['depth'].publish(conv.depth_to_message(values, header))
        odometry = Odometry(header=Header(stamp=header.stamp, frame_id='odom'))
        odometry.child_frame_id = 'camera'
        odometry.pose.pose = conv.pose_to_message(np.eye(4))
        odometry.pose.pose.position.x = 0.2 * i if pose is None else pose
        robot.publishers['odometry'].publish(odometry)

    return publish


def processed(robot, frames, drops):
    """Wait until as many frames and drops have been counted; returns the counters."""

    def done():
        counters = robot.loop_status().counters
        return counters['frames'] >= frames and total(counters) >= drops

    robot.wait(done)
    robot.wait(lambda: robot.loop_status().is_idle)
    return robot.loop_status().counters


def total(counters):
    return sum(n for name, n in counters.items() if name.startswith('drops.'))


def test_each_kind_is_counted_and_good_frames_still_make_keyframes(robot, send):
    node = robot.start('loop_closure')
    small = np.zeros((60, 80), np.uint8)
    small_image = {'height': 60, 'width': 80, 'step': 80, 'data': small.tobytes()}
    send(0)
    processed(robot, 1, 0)  # the camera is known now, so it is the small image that is wrong
    send(1, pose=float('nan'))
    send(2, image=small_image)
    send(3, depth=(SHAPE, 1000.0))
    send(4, depth=((60, 80), 1.0))
    send(5, info={'k': np.zeros(9)})
    send(6, image={'encoding': 'rot13'})
    send(7, image={'data': b'123'})
    send(8)
    send(8, stamp_ns=START_NS + 15 * STEP_NS // 2)  # a message that comes late
    send(9)
    counters = processed(robot, 7, 9)
    drops = {name: n for name, n in counters.items() if name.startswith('drops.')}
    # The late image is given up when the next is joined, before or after its own depth has come.
    drops['drops.time_backwards'] += drops.pop('drops.unsynchronised', 0)
    assert drops == {
        'drops.odometry_pose': 1,
        'drops.image_size': 1,
        'drops.depth_unit': 1,
        'drops.depth_size': 1,
        'drops.camera_info': 1,
        'drops.image_encoding': 1,
        'drops.image_data': 1,
        'drops.time_backwards': 2,  # odometry, and the joined image
    }
    assert counters['keyframes'] == counters['frames']
    assert node.returncode is None
    log = node.log.read_text()
    assert 'dropped (image_encoding)' in log
    assert 'Traceback' not in log
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 0


def test_a_recording_that_starts_again_is_a_new_session(robot, send):
    node = robot.start('loop_closure')
    for i in range(30):
        send(i)
    processed(robot, 30, 0)
    for i in range(5):
        send(i)
    counters = processed(robot, 35, 0)
    robot.wait(lambda: len(robot.keyframes) == counters['keyframes'])
    assert counters['sessions'] == 1
    ids = [k.keyframe_id for k in robot.keyframes]
    assert ids == [*range(30), *range(5)]
    assert len({k.session for k in robot.keyframes}) == 2
    assert total(counters) == 0
    assert node.returncode is None


def test_a_camera_without_focal_length_gives_no_keyframe_and_no_crash(robot, send):
    node = robot.start('loop_closure')
    for i in range(5):
        send(i, info={'k': np.zeros(9)})
    robot.wait(lambda: robot.loop_status().counters['drops.camera_info'] == 5)
    send(5)  # the camera is calibrated now: what waited is used
    counters = processed(robot, 6, 5)
    assert counters['keyframes'] == 6
    assert node.returncode is None


@pytest.mark.parametrize('override', ['node.queue_size:=0', 'node.unknown:=1'])
def test_a_node_refuses_to_start_on_bad_parameters(domain, tmp_path, override):
    from s3e_gnn_ros.ros.processes import Child, node_command

    command = node_command('loop_closure', ['--ros-args', '-p', override])
    with Child('node', command, folder=tmp_path) as child:
        assert child.process.wait(60) == 2
        assert override.partition(':')[0] in child.log.read_text()
        assert 'Traceback' not in child.log.read_text()
