"""A robot whose sensors a test can break: small rendered frames, over and over the same places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from nav_msgs.msg import Odometry  # noqa: TID251
from synthetic import make_frame, out_and_back

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv

CAMERA = PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5)
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
LAP = 24

CONFIG = """
/**:
  ros__parameters:
    keyframes: {min_translation_m: 0.001, min_rotation_deg: 0.1, min_interval_s: 0.0}
    features: {num_features: 150}
    retrieval: {method: bow, min_time_gap_s: 0.5, min_keyframe_gap: 4, max_candidates: 2}
    # Of images as small as these and without depth, closures are less certain.
    verification: {refine_with_depth: false, ransac_iterations: 50, max_sigma_m: 0.2}
    node: {reliable_inputs: true, sync_queue_size: 100}
"""


class Sensors:
    """Publishes what a camera and odometry say, one frame after the other.

    Attributes:
        number: of the next frame.
        published: messages by topic.
        offset_ns: added to every stamp.
        T_odom_world: where odometry has its origin.
        odom_frame: its frame.
        body_frame: whose pose it gives.
    """

    def __init__(self, robot):
        self.robot = robot
        (robot._folder / 'config.yaml').write_text(CONFIG)
        self.number = 0
        self.published = Counter()
        self.offset_ns = 0
        self.T_odom_world = np.eye(4)
        self.odom_frame, self.body_frame = 'odom', 'eye'
        self._frames = [make_frame(T, camera=CAMERA) for T in out_and_back(LAP)]

    @property
    def stamp_ns(self):
        """Of the next frame."""
        return START_NS + self.number * STEP_NS + self.offset_ns

    def messages(self):
        """Return the next frame's messages by topic."""
        frame = self._frames[self.number % LAP]
        odometry = Odometry(header=conv.make_header(self.stamp_ns, self.odom_frame))
        odometry.child_frame_id = self.body_frame
        odometry.pose.pose = conv.pose_to_message(self.T_odom_world @ frame.T_world_camera)
        return {
            'odometry': odometry,
            'camera_info': conv.camera_to_message(CAMERA, self._eye()),
            'image': conv.image_to_message(frame.image, self._eye()),
            'depth': conv.depth_to_message(frame.depth_m, self._eye()),
        }

    def _eye(self):
        """Return a header that no other message shares."""
        return conv.make_header(self.stamp_ns, 'eye')

    def send(self, **changes: Callable | None):
        """Publish the next frame; a change by topic returns what to publish instead, or None.

        Returns:
            What was published.
        """
        messages = self.messages()
        for topic, change in changes.items():
            messages[topic] = change(messages[topic])
        for topic, message in messages.items():
            for each in message if isinstance(message, list) else [message]:
                if each is not None:
                    self.publish(self.robot.publishers[topic], topic, each)
        self.number += 1
        return messages

    def publish(self, publisher, topic, message):
        """Publish one message, and count it."""
        publisher.publish(message)
        self.published[topic] += 1

    def drive(self, num_frames=LAP):
        """Publish so many good frames."""
        for _ in range(num_frames):
            self.send()


def nothing(_message):
    """Publish no message."""
    return


def change(**attributes):
    """Return a change that sets attributes, such as ``header.frame_id`` as header__frame_id."""

    def apply(message):
        for path, value in attributes.items():
            *owners, name = path.split('__')
            owner = message
            for each in owners:
                owner = getattr(owner, each)
            setattr(owner, name, value)
        return message

    return apply


def counters(robot):
    """Return the counters of the loop closure node."""
    return robot.loop_status().counters


def drops(robot):
    """Return the loop closure node's drops by reason."""
    return {
        name.removeprefix('drops.'): number
        for name, number in counters(robot).items()
        if name.startswith('drops.') and number
    }


def settle(robot, sensors, child):
    """Wait until all that was published has come, and is worked off.

    The last frames may be waiting for what follows them.
    """

    def done():
        status = robot.loop_status()
        if status is None or not status.is_idle:
            return False
        for topic, number in sensors.published.items():
            if status.counters[f'received.{topic}'] != number:
                return False
        robot.collector.spin(0.1)
        return status.counters == robot.loop_status().counters

    robot.wait(done, child)


def is_alive(robot, sensors, child):
    """Prove that the node lives on: a lap of good data closes loops again, and nothing is lost."""
    settle(robot, sensors, child)
    before = counters(robot)
    sensors.drive()
    settle(robot, sensors, child)
    after = counters(robot)
    assert after['frames'] >= before['frames'] + LAP
    assert after['closures'] >= before['closures'] + 3
    log = child.log.read_text()
    assert 'Traceback' not in log
    assert counters(robot)['drops.callback_error'] == 0
    assert counters(robot)['drops.worker_error'] == 0
    assert counters(robot)['keyframes'] == counters(robot)['keyframes_chosen']
    return log


def said(log, words):
    """Return how often something was said."""
    return sum(words in line for line in log.splitlines())


def rotated_pose(angle_deg, T=None):
    """Return a pose message turned about the vertical."""
    turn = se3.expmap([0.0, np.radians(angle_deg), 0.0, 0.0, 0.0, 0.0])
    return conv.pose_to_message(turn if T is None else T @ turn)
