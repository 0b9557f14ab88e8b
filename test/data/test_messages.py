import array
import dataclasses

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.data import bag_messages, image_codec, messages
from s3e_gnn_ros.data.bag_messages import header_message, image_message, make_message
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.geometry import se3

HEADER = header_message(1_000_000_005, 'camera')


def drop_reason(function, *args, **options):
    with pytest.raises(DropError) as caught:
        function(*args, **options)
    assert '\n' not in str(caught.value)
    assert isinstance(caught.value, InputError)
    return caught.value.reason


@pytest.fixture
def colour(synthetic):
    return synthetic.frame(3).image


def test_stamp():
    assert messages.stamp_ns(HEADER.stamp) == 1_000_000_005


@pytest.mark.parametrize(
    ('encoding', 'code'),
    [
        ('bgr8', None),
        ('8UC3', None),
        ('rgb8', cv2.COLOR_BGR2RGB),
        ('bgra8', cv2.COLOR_BGR2BGRA),
        ('rgba8', cv2.COLOR_BGR2RGBA),
    ],
)
def test_colour_encodings(colour, encoding, code):
    pixels = colour if code is None else cv2.cvtColor(colour, code)
    image = messages.image_from_message(image_message(HEADER, pixels, encoding))
    np.testing.assert_array_equal(image, colour)
    assert image.flags.writeable


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey_encodings(colour, encoding):
    image = messages.image_from_message(image_message(HEADER, colour[:, :, 1], encoding))
    np.testing.assert_array_equal(image, colour[:, :, 1])


def test_mono16(colour):
    grey = colour[:, :, 0]
    message = image_message(HEADER, grey.astype(np.uint16) * 257, 'mono16')
    np.testing.assert_allclose(messages.image_from_message(message), grey, atol=1)


def test_bayer():
    # A red scene: only the red cells of the mosaic, at the even rows and columns, are bright.
    mosaic = np.zeros((48, 64), np.uint8)
    mosaic[::2, ::2] = 200
    image = messages.image_from_message(image_message(HEADER, mosaic, 'bayer_rggb8'))
    assert image[10:40, 10:50].mean(axis=(0, 1)).tolist() == [0, 0, 200]


@pytest.mark.parametrize(
    'kind', [bytes, lambda data: array.array('B', data), memoryview, bytearray]
)
def test_any_buffer(colour, kind):
    message = image_message(HEADER, colour, 'bgr8')
    message.data = kind(message.data.tobytes())
    np.testing.assert_array_equal(messages.image_from_message(message), colour)


def test_rows_with_padding(colour):
    message = image_message(HEADER, colour, 'bgr8')
    padded = np.pad(colour.reshape(48, 192), ((0, 0), (0, 8)), constant_values=77)
    message.step, message.data = 200, padded.reshape(-1)
    np.testing.assert_array_equal(messages.image_from_message(message), colour)


def test_big_endian_depth():
    depth = np.full((48, 64), 1234, '>u2')
    message = image_message(HEADER, np.full((48, 64), 1, np.uint16), '16UC1')
    message.data, message.is_bigendian = np.frombuffer(depth.tobytes(), np.uint8), 1
    assert messages.depth_from_message(message)[5, 5] == np.float32(1.234)


def test_image_is_refused_with_a_reason(colour):
    message = image_message(HEADER, colour, 'bgr8')
    assert drop_reason(messages.image_from_message, dataclasses.replace(message, width=0)) == (
        'image_size'
    )
    for changes in (
        {'step': 3},
        {'height': 49},
        {'data': message.data[:-1]},
        {'encoding': 'rgb16'},
    ):
        bad = dataclasses.replace(message, **changes)
        assert drop_reason(messages.image_from_message, bad) == 'image_data'
    for encoding in ('', '32FC1', '16UC1', 'nv12', 'jpeg'):
        bad = dataclasses.replace(message, encoding=encoding)
        assert drop_reason(messages.image_from_message, bad) == 'image_encoding'


def test_depth_is_refused_with_a_reason(colour):
    assert drop_reason(messages.depth_from_message, image_message(HEADER, colour, 'bgr8')) == (
        'depth_encoding'
    )
    message = image_message(HEADER, np.full((48, 64), 999, np.uint16), '16UC1')
    message.data = message.data[:-2]
    assert drop_reason(messages.depth_from_message, message) == 'depth_data'


def test_depth_without_any_valid_pixel_is_fine():
    message = image_message(HEADER, np.zeros((48, 64), np.uint16), '16UC1')
    assert not messages.depth_from_message(message).any()


@pytest.mark.parametrize(('value', 'is_fine'), [(49, False), (51, True), (60000, True)])
def test_limits_of_the_depth_unit(value, is_fine):
    message = image_message(HEADER, np.full((48, 64), value, np.uint16), '16UC1')
    if is_fine:
        assert messages.depth_from_message(message).max() == np.float32(value * 0.001)
    else:
        assert drop_reason(messages.depth_from_message, message) == 'depth_unit'


def test_jpeg_and_png(colour):
    jpeg = bag_messages.jpeg_message(HEADER, colour, 'bgr8')
    assert np.abs(messages.image_from_message(jpeg).astype(int) - colour).mean() < 3
    jpeg.data = cv2.imencode('.png', colour)[1].reshape(-1)
    np.testing.assert_array_equal(messages.image_from_message(jpeg), colour)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.5, 0.95])
def test_cut_images_are_refused(colour, suffix, share):
    data = cv2.imencode(suffix, colour)[1].tobytes()
    assert (
        drop_reason(image_codec.decode_image, data[: int(len(data) * share)], 'x') == 'image_data'
    )


def test_compressed_depth_png():
    depth_mm = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 500
    message = bag_messages.compressed_depth_message(HEADER, depth_mm)
    depth_m = messages.depth_from_message(message)
    np.testing.assert_allclose(depth_m, depth_mm * 0.001, rtol=1e-6)


def test_compressed_inverse_depth():
    # What compressed_depth_image_transport does with 32FC1, at its default parameters.
    depth_m = np.linspace(0.5, 8, 48 * 64, dtype=np.float32).reshape(48, 64)
    quantisation, max_m = 100.0, 10.0
    a = quantisation * (quantisation + 1)
    b = 1 - a / max_m
    raw = np.rint(a / depth_m + b).astype(np.uint16)
    raw[0, 0] = 0
    message = bag_messages.compressed_depth_message(HEADER, raw)
    message.format = '32FC1; compressedDepth png'
    message.data = np.concatenate(
        [
            np.frombuffer(bag_messages.COMPRESSED_DEPTH_HEADER.pack(0, a, b), np.uint8),
            message.data[12:],
        ]
    )
    back = messages.depth_from_message(message)
    assert back[0, 0] == 0
    np.testing.assert_allclose(back.ravel()[1:], depth_m.ravel()[1:], rtol=0.01)


def test_compressed_depth_is_refused_with_a_reason():
    message = bag_messages.compressed_depth_message(HEADER, np.full((48, 64), 999, np.uint16))
    for data, reason in ((message.data[:5], 'data'), (message.data[:40], 'data')):
        bad = dataclasses.replace(message, data=data)
        assert drop_reason(messages.depth_from_message, bad) == f'depth_{reason}'
    rvl = dataclasses.replace(message, format='16UC1; compressedDepth rvl')
    assert drop_reason(messages.depth_from_message, rvl) == 'depth_encoding'
    eight_bits = cv2.imencode('.png', np.zeros((48, 64), np.uint8))[1].reshape(-1)
    bad = dataclasses.replace(message, data=np.concatenate([message.data[:12], eight_bits]))
    assert drop_reason(messages.depth_from_message, bad) == 'depth_encoding'


def test_camera(synthetic):
    info = bag_messages.camera_info_message(HEADER, synthetic.camera)
    assert messages.camera_from_message(info) == synthetic.camera
    info.distortion_model = ''
    assert messages.camera_from_message(info) == synthetic.camera


def test_rectified_camera_takes_p_and_no_distortion(synthetic):
    distorted = dataclasses.replace(synthetic.camera, distortion=(0.1, 0.2, 0.0, 0.0, 0.0))
    info = bag_messages.camera_info_message(HEADER, distorted)
    info.p = np.array([40.0, 0, 30, 0, 0, 41, 20, 0, 0, 0, 1, 0])
    camera = messages.camera_from_message(info, is_rectified=True)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (40, 41, 30, 20)
    assert not camera.is_distorted
    info.p = np.zeros(12)
    assert messages.camera_from_message(info, is_rectified=True).fx == 50


@pytest.mark.parametrize(
    'changes',
    [
        {'k': np.zeros(9)},
        {'k': np.full(9, np.nan)},
        {'width': 0},
        {'distortion_model': 'magic', 'd': np.ones(5)},
        {'d': np.ones(3)},
    ],
)
def test_camera_is_refused(synthetic, changes):
    info = bag_messages.camera_info_message(HEADER, synthetic.camera)
    bad = dataclasses.replace(info, **changes)
    assert drop_reason(messages.camera_from_message, bad) == 'camera_info'


def test_pose():
    T = se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    pose = bag_messages.odometry_message(HEADER, 'camera', T).pose.pose
    np.testing.assert_allclose(messages.pose_from_message(pose), T, atol=1e-12)
    transform = make_message(
        'geometry_msgs/msg/Transform', translation=pose.position, rotation=pose.orientation
    )
    np.testing.assert_allclose(messages.pose_from_message(transform), T, atol=1e-12)
    pose.orientation.w = float('nan')
    assert drop_reason(messages.pose_from_message, pose) == 'odometry_pose'
    pose.orientation.w = 3.0
    assert drop_reason(messages.pose_from_message, pose) == 'odometry_pose'


def test_sizes_of_a_frame(synthetic):
    image, camera = synthetic.frame(0).image, synthetic.camera
    depth_m = np.zeros((48, 64), np.float32)
    messages.check_frame(image, camera, depth_m)
    messages.check_frame(image, camera)
    assert drop_reason(messages.check_frame, image[:40], camera, depth_m) == 'image_size'
    assert drop_reason(messages.check_frame, image, camera, depth_m[:40]) == 'depth_size'


def test_messages_of_rclpy(colour, synthetic):
    sensor = pytest.importorskip('sensor_msgs.msg')
    geometry = pytest.importorskip('geometry_msgs.msg')
    image = sensor.Image(height=48, width=64, encoding='bgr8', step=192)
    image.data = colour.tobytes()  # becomes an array.array
    np.testing.assert_array_equal(messages.image_from_message(image), colour)
    depth = sensor.Image(height=48, width=64, encoding='16UC1', step=128)
    depth.data = np.full((48, 64), 1500, np.uint16).tobytes()
    assert messages.depth_from_message(depth)[7, 7] == 1.5
    jpeg = sensor.CompressedImage(format='jpeg', data=cv2.imencode('.jpg', colour)[1].tobytes())
    assert messages.image_from_message(jpeg).shape == (48, 64, 3)
    info = sensor.CameraInfo(height=48, width=64, distortion_model='plumb_bob', d=[0.0] * 5)
    assert drop_reason(messages.camera_from_message, info) == 'camera_info'
    info.k = synthetic.camera.matrix.ravel()
    assert messages.camera_from_message(info) == synthetic.camera
    np.testing.assert_array_equal(messages.pose_from_message(geometry.Pose()), np.eye(4))


@pytest.mark.parametrize('encoding', ['yuyv', 'uyvy'])
def test_a_yuv_image_of_odd_width_is_refused(encoding):
    message = dataclasses.replace(
        image_message(HEADER, np.zeros((3, 5, 3), np.uint8), 'bgr8'),
        encoding=encoding,
        step=10,
        data=np.zeros(30, np.uint8),
    )
    assert drop_reason(messages.image_from_message, message) == 'image_encoding'
