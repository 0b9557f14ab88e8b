"""Poses that are no poses, frames with other names, and odometry that begins anew."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import (
    LAP,
    Sensors,
    change,
    counters,
    drops,
    is_alive,
    nothing,
    said,
    settle,
)

from s3e_gnn_ros.geometry import se3

POSE, TURN = 'pose__pose__position', 'pose__pose__orientation'
NAN, INFINITE = float('nan'), float('inf')


def scaled(factor):
    """Return a change that multiplies a quaternion."""

    def apply(message):
        q = message.pose.pose.orientation
        q.x, q.y, q.z, q.w = (factor * value for value in (q.x, q.y, q.z, q.w))
        return message

    return apply


def test_poses_that_make_no_sense(robot):
    sensors = Sensors(robot)
    child, graph = robot.start('loop_closure'), robot.start('pose_graph')
    sensors.drive(6)
    for wrong in (
        change(**{f'{POSE}__x': NAN}),
        change(**{f'{POSE}__y': INFINITE}),
        change(**{f'{TURN}__w': NAN}),
        scaled(0.0),
        scaled(1.5),
        change(**{f'{POSE}__z': 1e300}),
        change(**{f'{POSE}__z': 40.0}),
    ):
        sensors.send(odometry=wrong)
        sensors.send()
    sensors.send(odometry=scaled(1.003))  # rounded somewhere: it is made a unit again
    log = is_alive(robot, sensors, child)
    assert drops(robot) == {'odometry_pose': 5, 'odometry_jump': 2}
    assert counters(robot)['frames'] == sensors.number  # 0.2 s between poses are no gap
    assert counters(robot)['sessions'] == 0
    assert 'has norm 0.0000 instead of 1' in log or 'pose is not finite' in log
    robot.wait(lambda: robot.graph_status().is_idle, graph)
    status = robot.graph_status().counters
    assert status['drops.invalid'] == 5
    assert status['drops.odometry_jump'] == 2
    assert status['odometry_breaks'] == 0


def test_frames_that_have_other_names(robot):
    sensors = Sensors(robot)
    child = robot.start('loop_closure')
    sensors.drive(6)
    sensors.send(odometry=change(header__frame_id='odom_of_wheels'))
    sensors.send(odometry=change(child_frame_id='base_link'))
    # An image may overtake the camera_info of its frame, but not that of a frame long settled.
    for _ in range(2):
        sensors.send(camera_info=change(header__frame_id='other_eye'))
        settle(robot, sensors, child)
    sensors.send(depth=change(header__frame_id='depth_eye'))
    sensors.send(image=change(header__frame_id='third_eye'))
    log = is_alive(robot, sensors, child)
    assert drops(robot) == {'odometry_frame': 2}
    assert said(log, "has frame_id 'odom_of_wheels' instead of 'odom'") == 1
    for word in ('camera_info', 'depth', 'images'):
        assert counters(robot)[f'remarks.frame_of_{word}'] >= 1
    assert said(log, ' and camera_info of ') == 1  # which of the two came first is open
    assert counters(robot)['sessions'] == 0
    sensors.odom_frame, sensors.body_frame = 'odom_2', 'eye'  # for good: another estimator
    sensors.drive(8)
    log = is_alive(robot, sensors, child)
    assert counters(robot)['sessions'] == counters(robot)['odometry_restarts'] == 1
    assert said(log, "'odom_2' instead of 'odom': a new session begins") == 1


def test_odometry_that_begins_anew(robot):
    sensors = Sensors(robot)
    child, graph = robot.start('loop_closure'), robot.start('pose_graph')
    sensors.drive()
    settle(robot, sensors, child)
    assert counters(robot)['sessions'] == 0
    # The front end loses track: it goes on at its origin, two metres off, with stamps going on.
    sensors.T_odom_world = se3.make_pose(None, (2.0, 0.5, -1.0))
    sensors.drive(8)
    is_alive(robot, sensors, child)
    assert counters(robot)['odometry_restarts'] == 1
    assert drops(robot)['odometry_jump'] == 5
    # It dies, and comes back after ten seconds, somewhere else; the camera has gone on.
    for number in range(100):
        sensors.send(odometry=nothing, image=nothing, depth=nothing)
        if number % 10 == 9:
            settle(robot, sensors, child)  # a queue of camera_info holds no hundred
    sensors.T_odom_world = se3.make_pose(None, (-3.0, 0.0, 4.0))
    sensors.drive(8)
    is_alive(robot, sensors, child)
    found = counters(robot)
    assert found['odometry_restarts'] == found['sessions'] == 2
    assert found['pictures'] >= found['frames'] >= 3 * LAP
    # Each is a piece of its own, and closures tie them where they belong.
    robot.wait(
        lambda: (
            robot.graph_status().is_idle
            and robot.graph_status().counters['keyframes'] == found['keyframes']
        ),
        graph,
    )
    assert robot.graph_status().counters['odometry_breaks'] == 2
    poses, _ = robot.collector.pose_graph()
    by_session = {}
    for key, T in poses.items():
        by_session.setdefault(key.session, []).append(T[:3, 3])
    assert len(by_session) == 3
    for places in by_session.values():  # in one room of two metres, not three
        assert abs(places[-1] - by_session[min(by_session)][0]).max() < 2.5
