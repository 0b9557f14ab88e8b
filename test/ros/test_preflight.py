"""The pre-flight check over real DDS, beside a camera and a front end that publish."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud

from s3e_gnn_ros.ros.conversions import make_header
from s3e_gnn_ros.ros.preflight import check_inputs
from s3e_gnn_ros.ros.processes import Child, cli_command
from s3e_gnn_ros.ros.qos import input_qos, reliable_qos
from s3e_gnn_ros.ros.setup_plan import Choices, make_plan
from s3e_gnn_ros.ros.setups import SETUPS

PERIOD_S = 0.04
SIZE = 40, 30
RELIABLE, BEST_EFFORT = reliable_qos(50), input_qos(50, is_reliable=False)
CAMERA = {
    'image': '/camera/camera/color/image_raw',
    'camera_info': '/camera/camera/color/camera_info',
    'depth': '/camera/camera/aligned_depth_to_color/image_raw',
}
VINS = {
    'odometry': '/vins_estimator/odometry',
    'keyframe_pose': '/vins_estimator/keyframe_pose',
    'keyframe_points': '/vins_estimator/keyframe_point',
    'extrinsic': '/vins_estimator/extrinsic',
}
KINDS = {
    'image': Image,
    'depth': Image,
    'camera_info': CameraInfo,
    'odometry': Odometry,
    'keyframe_pose': Odometry,
    'keyframe_points': PointCloud,
    'extrinsic': Odometry,
}


class World:
    """Publishes camera and front end at 25 Hz until it is closed.

    Args:
        topics: our name of an input -> where it is published.
        qos: of single inputs.
        late_s: of single inputs: added to the stamps.
        focal_px: of the camera_info.
    """

    def __init__(self, topics, qos=None, late_s=None, focal_px=35.0):
        self._late_s = late_s or {}
        self._focal_px = focal_px
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node('world', context=self._context)
        self._publishers = {
            name: self._node.create_publisher(KINDS[name], topic, (qos or {}).get(name, RELIABLE))
            for name, topic in topics.items()
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(PERIOD_S):
            now_ns = time.time_ns()
            for name, publisher in self._publishers.items():
                publisher.publish(self._message(name, now_ns))

    def _message(self, name, now_ns):
        stamp_ns = now_ns + round(self._late_s.get(name, 0.0) * 1e9)
        message = KINDS[name](header=make_header(stamp_ns, 'world'))
        if name in ('image', 'depth'):
            message.header.frame_id = 'camera_color_optical_frame'
            message.width, message.height = SIZE
            message.encoding = 'mono8' if name == 'image' else '16UC1'
            message.step = SIZE[0] * (1 if name == 'image' else 2)
            message.data = np.full(message.step * SIZE[1], 7, np.uint8).tobytes()
        elif name == 'camera_info':
            message.width, message.height = SIZE
            message.distortion_model, message.d = 'plumb_bob', [0.0] * 5
            message.k = [self._focal_px, 0, 19.5, 0, self._focal_px, 14.5, 0, 0, 1]
            message.k = [float(value) for value in message.k]
        elif KINDS[name] is Odometry:
            message.pose.pose.orientation.w = 1.0
        return message

    def close(self):
        self._end.set()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def world(domain):
    """Return a function that starts a world."""
    worlds = []

    def start(*args, **kwargs):
        worlds.append(World(*args, **kwargs))

    yield start
    for item in worlds:
        item.close()


def check(name='vins_mono', timeout_s=3.0, **choices):
    return check_inputs(make_plan(SETUPS[name], Choices(**choices)), timeout_s)


def expect(is_expected, name='vins_mono', **choices):
    """Demand something of the problems that a short check finds, or else a long one.

    On a busy machine the short one may end before everybody has been found.
    """
    problems = check(name, **choices).problems
    if not is_expected(problems):
        problems = check(name, timeout_s=15.0, **choices).problems
    assert is_expected(problems), problems


def test_when_all_is_well_there_is_a_line_per_input_with_its_rate(world):
    world({**CAMERA, **VINS})
    report = check(timeout_s=30.0)
    assert report.problems == []
    assert report.num_frames >= 3
    rates = {item.name: item.rate_hz for item in report.inputs}
    assert rates.keys() == {*CAMERA, *VINS}
    for name, rate_hz in rates.items():
        assert 5 < rate_hz < 40, name
    assert [line.split(', ')[0] for line in report.lines if line.startswith('extrinsic')] == [
        'extrinsic: /vins_estimator/extrinsic'
    ]


def test_a_port_without_the_prefix_is_found_by_the_type_of_its_topics(world):
    world(
        {**CAMERA, **{name: topic.replace('/vins_estimator', '') for name, topic in VINS.items()}}
    )
    points = (
        "input 'keyframe_points' (/vins_estimator/keyframe_point) has received nothing: nobody "
        'publishes it; publishers of its type exist on /keyframe_point'
    )
    expect(
        lambda problems: (
            len(problems) == len(VINS)
            and [line for line in problems if "'keyframe_points'" in line] == [points]
        )
    )
    assert check(host_namespace='', timeout_s=30.0).problems == []


def test_quality_of_service_that_does_not_match_is_named(world):
    world({**CAMERA, **VINS}, qos={'image': BEST_EFFORT})
    words = "'image'", '/world offers reliability BEST_EFFORT, RELIABLE is asked for'
    expect(
        lambda problems: len(problems) == 1 and all(each in problems[0] for each in words),
        parameters={'node.reliable_inputs': True},
    )
    assert check(timeout_s=30.0).problems == []


def test_raw_images_where_compressed_ones_are_wanted(world):
    world({**CAMERA, **VINS})
    words = [
        f'{CAMERA[name]} exists: set node.image_transport to raw' for name in ('image', 'depth')
    ]
    expect(
        lambda problems: (
            len(problems) == 2 and words[0] in problems[0] and words[1] in problems[1]
        ),
        image_transport='compressed',
    )


def test_depth_whose_stamps_differ(world):
    world({**CAMERA, **VINS}, late_s={'depth': 0.017})
    words = "'image' lie 0.01", "the nearest of 'depth'", 'node.sync_slop_s is 0.002'
    expect(lambda problems: len(problems) == 1 and all(each in problems[0] for each in words))


def test_keyframes_whose_stamps_are_of_no_image(world):
    world({**CAMERA, **VINS}, late_s={'keyframe_pose': -0.0005})
    words = "the stamps of 'keyframe_pose' lie 0.0005", 'equal stamps are needed'
    expect(lambda problems: all(any(each in line for line in problems) for each in words))


def test_a_camera_info_without_intrinsics(world):
    world({**CAMERA, **VINS}, focal_px=0.0)
    expect(lambda problems: problems and all('camera_info' in line for line in problems))


def test_a_camera_info_that_is_missing(world):
    world({name: topic for name, topic in {**CAMERA, **VINS}.items() if name != 'camera_info'})
    words = f"input 'camera_info' ({CAMERA['camera_info']}) has received nothing"
    expect(lambda problems: len(problems) == 1 and problems[0].startswith(words))


def test_a_camera_whose_place_in_the_body_nobody_tells(world):
    world({**CAMERA, 'odometry': '/odometry'})
    words = 'where the camera sits in the body is unknown'
    expect(lambda problems: len(problems) == 1 and problems[0].startswith(words), 'rgbd_odometry')
    T = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    found = check('rgbd_odometry', timeout_s=30.0, parameters={'node.T_body_camera': T})
    assert found.problems == []
    assert 'extrinsic: /extrinsic is silent, which it may be' in found.lines


def test_time_that_never_begins(world):
    world({**CAMERA, **VINS})
    sentence = 'use_sim_time is true, and nobody publishes /clock'
    expect(lambda problems: problems == [sentence], use_sim_time=True)


@pytest.mark.parametrize('host_namespace', ['vins_estimator', 'elsewhere'])
def test_the_command_prints_a_line_each_and_says_it_by_its_status(world, tmp_path, host_namespace):
    world({**CAMERA, **VINS})
    is_well = host_namespace == 'vins_estimator'
    command = ['run', 'vins_fusion', '--check', '--host-namespace', host_namespace]
    command += ['--check-time', '60' if is_well else '10']
    with Child('check', cli_command(command), folder=tmp_path) as child:
        status = child.process.wait(90)
        lines = child.output().splitlines()
    assert status == (0 if is_well else 2), child.log.read_text()
    if is_well:
        assert {line.partition(':')[0] for line in lines} == {*CAMERA, *VINS}
    else:
        assert len(lines) == len(VINS)
        assert all('has received nothing: nobody publishes it; ' in line for line in lines)


def test_the_command_prints_json_also_of_problems(domain, tmp_path):
    command = ['run', 'rgbd_odometry', '--check', '--check-time', '0.5', '--json']
    with Child('check', cli_command(command), folder=tmp_path) as child:
        assert child.process.wait(90) == 2
        report = json.loads(child.output())
    assert report['num_frames'] == 0
    assert len(report['problems']) == 4
    assert {item['num_received'] for item in report['inputs']} == {0}
