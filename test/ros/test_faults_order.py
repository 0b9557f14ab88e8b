"""Messages that come late, twice, or in another order, on every input."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import LAP, Sensors, counters, drops, is_alive, nothing, said, settle
from geometry_msgs.msg import Point32
from nav_msgs.msg import Odometry
from sensor_msgs.msg import ChannelFloat32, PointCloud

from s3e_gnn_ros.ros import conversions as conv

TOPICS = ('odometry', 'camera_info', 'image', 'depth')


def test_late_repeated_and_swapped_messages_of_a_camera(robot):
    sensors = Sensors(robot)
    child = robot.start('loop_closure')
    sensors.drive(6)
    settle(robot, sensors, child)
    for topic in TOPICS:  # everything twice
        sensors.send(**{topic: lambda message: [message, message]})
    assert counters_after(robot, sensors, child)['frames'] == 10
    assert drops(robot) == {'repeated': 3}  # camera_info may be repeated as often as it likes
    for topic in TOPICS:  # one message comes after the next frame
        held = sensors.messages()[topic]
        sensors.send(**{topic: nothing})
        sensors.send(**{topic: lambda message, held=held: [message, held]})
    late = counters_after(robot, sensors, child)
    # A late image or depth still finds its partner, unless the next frame was joined before it.
    assert late['frames'] >= 16
    assert late['drops.time_backwards'] >= 1  # odometry
    found = drops(robot)
    assert set(found) <= {'repeated', 'time_backwards', 'unsynchronised'}
    assert sum(found.values()) <= 3 + 4
    for topic in TOPICS:  # and one is lost
        sensors.send(**{topic: nothing})
    log = is_alive(robot, sensors, child)
    assert said(log, 'dropped (repeated)') >= 1
    assert 'has the stamp of the one before' in log
    assert counters(robot)['sessions'] == 0


def counters_after(robot, sensors, child):
    settle(robot, sensors, child)
    return counters(robot)


class VinsSensors(Sensors):
    """The same camera beside a front end that chooses keyframes."""

    def __init__(self, robot):
        super().__init__(robot)
        self.host = robot.host_publishers()

    def parts(self):
        frame = self._frames[self.number % LAP]
        header = conv.make_header(self.stamp_ns, 'world')
        pose = Odometry(header=header)
        pose.pose.pose = conv.pose_to_message(frame.T_world_camera)
        points = PointCloud(header=header)
        rng = np.random.default_rng(self.number)
        for pixel in rng.uniform(5, 115, (20, 2)).tolist():
            points.points.append(Point32(x=0.0, y=0.0, z=1.0))
            points.channels.append(ChannelFloat32(values=[0.0, 0.0, *pixel, 1.0]))
        return {'keyframe_pose': pose, 'keyframe_points': points}

    def send(self, *order, **changes):
        parts = self.parts()
        super().send(odometry=nothing, **changes)
        for name in order or ('keyframe_pose', 'keyframe_points'):
            self.publish(self.host[name], name, parts[name])
        return parts


def test_late_repeated_and_swapped_messages_of_a_front_end(robot):
    sensors = VinsSensors(robot)
    arguments = ('-p', 'node.host:=vins', '-p', 'node.use_depth:=true')
    extrinsic = ('-p', 'node.T_body_camera:=[0.0, 0.0, 0.001, 0.0, 0.0, 0.0, 1.0]')
    child = robot.start('loop_closure', *arguments, *extrinsic)
    wait_for = sensors.host['keyframe_pose']
    robot.wait(lambda: wait_for.get_subscription_count() == 1, child)
    sensors.drive(6)
    sensors.send('keyframe_points', 'keyframe_pose')
    sensors.send('keyframe_pose', 'keyframe_points', 'keyframe_pose', 'keyframe_points')
    first = sensors.parts()
    sensors.send('keyframe_points')  # its pose comes after that of the next
    sensors.send()
    sensors.publish(sensors.host['keyframe_pose'], 'keyframe_pose', first['keyframe_pose'])
    old = copy.deepcopy(first['keyframe_pose'])
    old.header.stamp.sec -= 100
    sensors.publish(sensors.host['keyframe_pose'], 'keyframe_pose', old)  # of another age
    sensors.send()
    settle(robot, sensors, child)
    found = drops(robot)
    assert found['wrong_stamp'] == 1
    assert found['repeated'] == 2
    assert found['time_backwards'] == 1
    assert counters(robot)['keyframes'] == 10
    sensors.drive()
    robot.wait(
        lambda: counters(robot)['keyframes'] == 10 + LAP and counters(robot)['closures'] > 3, child
    )
    assert counters(robot)['sessions'] == 0
    assert 'Traceback' not in child.log.read_text()
