"""Images that are half there, damaged, or too large to be taken in."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import CAMERA, LAP, Sensors, change, counters, drops, is_alive, said, settle
from sensor_msgs.msg import CompressedImage

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.qos import reliable_qos

LIMIT = 200 * 200


def cut(message):
    """Return a message of which half the data has come."""
    message.data = message.data[: len(message.data) // 2]
    return message


def test_raw_images_that_cannot_be_right(robot):
    sensors = Sensors(robot)
    child = robot.start('loop_closure', '-p', f'node.max_image_pixels:={LIMIT}')
    sensors.drive(6)
    large = np.zeros((400, 400), np.uint8)
    pixels = {'width': 400, 'height': 400, 'step': 400, 'data': large.tobytes()}
    billions = {'width': 2**31, 'height': 2**31, 'step': 2**31}
    for wrong in (
        {'image': cut},
        {'image': change(**pixels)},
        {'image': change(**billions)},
        {'image': change(step=7)},
        {'image': change(encoding='none')},
        {'image': change(width=0, height=0)},
        {'depth': cut},
        {'depth': change(**billions)},
        {'depth': change(encoding='bgr8')},
        {'camera_info': change(width=100)},
        {'camera_info': change(k=[float('nan')] * 9)},
    ):
        sensors.send(**wrong)
    log = is_alive(robot, sensors, child)
    assert drops(robot) == {
        'image_data': 2,
        'image_too_large': 2,
        'image_encoding': 1,
        'image_size': 1,
        'depth_data': 1,
        'depth_too_large': 1,
        'depth_encoding': 1,
        'camera_info': 2,
    }
    # An image whose depth is of no use is still used.
    assert counters(robot)['frames'] == 6 + 5 + LAP
    assert said(log, 'has 400x400 pixels, more than 40000') == 1


def test_a_camera_that_comes_back_with_another_size(robot):
    sensors = Sensors(robot)
    child = robot.start('loop_closure')
    sensors.drive(6)
    settle(robot, sensors, child)
    small = PinholeCamera(80, 60, CAMERA.fx / 2, CAMERA.fy / 2, 39.5, 29.5)
    info = conv.camera_to_message(small, conv.make_header(0, 'eye'))
    sizes = {'width': 80, 'height': 60, 'k': info.k, 'p': info.p}

    def halved(message):
        pixels = np.frombuffer(bytes(message.data), np.uint8)
        if message.encoding == '32FC1':
            pixels = pixels.view(np.float32)
        half = pixels.reshape(120, 160)[::2, ::2]
        message.height, message.width, message.step = 60, 80, half.strides[1] * 80 // 2
        message.data = half.tobytes()
        return message

    sensors.send(camera_info=change(**sizes))  # this alone is believed by nobody
    sensors.send(image=halved)
    settle(robot, sensors, child)
    for _ in range(5):
        sensors.send(camera_info=change(**sizes), image=halved, depth=halved)
    settle(robot, sensors, child)
    assert counters(robot)['remarks.camera_resized'] >= 1
    for _ in range(2):  # and back again, once camera_info has come
        sensors.send()
        settle(robot, sensors, child)
    log = is_alive(robot, sensors, child)
    assert said(log, 'images and camera_info are 80x60 from now on') <= 1
    assert 'camera_info changes its size' in log


class CompressedSensors(Sensors):
    """The same camera behind image_transport."""

    def __init__(self, robot):
        super().__init__(robot)
        self.compressed = {
            topic: robot._node.create_publisher(
                CompressedImage, f'{topic}/{transport}', reliable_qos(100)
            )
            for topic, transport in (('image', 'compressed'), ('depth', 'compressedDepth'))
        }

    def send(self, **changes):
        frame, number = self._frames[self.number % LAP], self.number
        depth = np.round(frame.depth_m * 1000).astype(np.uint16)
        messages = {
            'image': ('jpeg', cv2.imencode('.jpg', frame.image)[1].tobytes()),
            'depth': (
                '16UC1; compressedDepth png',
                struct.pack('<iff', 0, 0.0, 0.0) + cv2.imencode('.png', depth)[1].tobytes(),
            ),
        }
        for topic, (kind, data) in messages.items():
            data = changes.get(topic, lambda same: same)(data)
            message = CompressedImage(header=self._eye(), format=kind, data=data)
            self.publish(self.compressed[topic], topic, message)
        super().send(image=nothing_, depth=nothing_)
        assert self.number == number + 1


def nothing_(_message):
    return None


def png_of_size(width, height):
    """Return a png that says it is of a size; there is hardly anything in it."""
    data = cv2.imencode('.png', np.zeros((4, 4), np.uint16))[1].tobytes()
    return data[:16] + struct.pack('>II', width, height) + data[24:]


def jpeg_of_size(width, height):
    """Return a jpeg that says it is of a size."""
    data = cv2.imencode('.jpg', np.zeros((8, 8), np.uint8))[1].tobytes()
    at = data.index(b'\xff\xc0') + 5
    return data[:at] + struct.pack('>HH', height, width) + data[at + 4 :]


def test_compressed_images_that_cannot_be_right(robot):
    sensors = CompressedSensors(robot)
    child = robot.start(
        'loop_closure',
        *('-p', 'node.image_transport:=compressed', '-p', f'node.max_image_pixels:={LIMIT}'),
        is_remapped=True,
    )
    robot.wait(lambda: sensors.compressed['depth'].get_subscription_count() == 1, child)
    sensors.drive(6)
    garbage = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8).tobytes()
    header = struct.pack('<iff', 0, 0.0, 0.0)
    for wrong in (
        lambda data: data[: len(data) // 2],
        lambda _: garbage,
        lambda _: b'',
        lambda data: data[:20] + garbage + data[-2:],
        lambda _: png_of_size(30000, 30000),
        lambda _: jpeg_of_size(65000, 65000),
    ):
        sensors.send(image=wrong)
    for wrong in (
        lambda data: data[: len(data) // 2],
        lambda _: garbage,
        lambda _: header + png_of_size(2**31 - 1, 2**31 - 1),
        lambda _: b'',
    ):
        sensors.send(depth=wrong)
    log = is_alive(robot, sensors, child)
    found = drops(robot)
    assert found == {
        'image_data': 4,
        'image_too_large': 2,
        'depth_data': 3,
        'depth_too_large': 1,
    }
    assert counters(robot)['frames'] == 6 + 4 + LAP
    assert said(log, 'has 30000x30000 pixels, more than 40000') == 1
    # The limit is looked at before memory is taken: a fiftieth of what these would need.
    lines = Path(f'/proc/{child.process.pid}/status').read_text().splitlines()
    assert next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) < 900_000
