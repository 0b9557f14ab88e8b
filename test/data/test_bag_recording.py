"""Good bags and every kind of bad one."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from s3e_gnn_ros.data import bag_messages
from s3e_gnn_ros.data.bag_messages import header_message, image_message, make_message
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry import se3

CAMERA_FRAME = 'camera_color_optical_frame'


def read(path, **options):
    recording = BagRecording(path, RecordingOptions(**options))
    return recording, list(recording.frames())


def merged(frames, synthetic, **replaced):
    """All messages of the frames; ``replaced`` maps a number to what is put in its place."""
    return [
        one
        for number, frame in enumerate(frames)
        for one in synthetic.frame_messages(frame, **replaced.get(f'at_{number}', {}))
    ]


def header(frame):
    return header_message(frame.stamp_ns, CAMERA_FRAME)


def test_single_mcap_file(bag_of, frames, synthetic):
    path = bag_of(merged(frames, synthetic))
    _, back = read(path / 'bag.mcap')
    assert len(back) == len(frames)


def test_odometry_is_interpolated_at_the_image(bag_of, synthetic):
    frames = [synthetic.frame(number) for number in range(3)]
    middle = dataclasses.replace(frames[1], stamp_ns=frames[1].stamp_ns - synthetic.step_ns // 2)
    messages = merged([frames[0], frames[2]], synthetic)
    messages += [one for one in synthetic.frame_messages(frames[1]) if one[0] == '/odometry'] + [
        one for one in synthetic.frame_messages(middle) if one[0] != '/odometry'
    ]
    _, back = read(bag_of(sorted(messages, key=lambda one: one[1])))
    expected = se3.interpolate(frames[0].T_odom_camera, frames[1].T_odom_camera, 0.5)
    np.testing.assert_allclose(back[1].T_odom_camera, expected, atol=1e-12)


def test_odometry_is_not_interpolated_over_a_gap(bag_of, frames, synthetic):
    replaced = {f'at_{number}': {'odometry': None} for number in (1, 2, 3)}
    path = bag_of(merged(frames, synthetic, **replaced))
    _, back = read(path, max_odometry_gap_s=0.3)
    assert [frame.T_odom_camera is not None for frame in back] == [True, False, False, False, True]
    assert all(frame.T_odom_camera is not None for frame in read(path)[1])


def test_image_may_be_logged_before_the_first_camera_info(bag_of, frames, synthetic):
    path = bag_of(merged(frames, synthetic, at_0={'info': None}))
    assert len(read(path)[1]) == len(frames)


def test_empty_bag(tmp_path, synthetic):
    path = synthetic.write_messages(tmp_path / 'bag', [])
    with pytest.raises(RecordingError, match='holds no message'):
        BagRecording(path, RecordingOptions())


def test_bag_without_anything_of_use(bag_of):
    message = make_message('std_msgs/msg/String', data='hello')
    with pytest.raises(RecordingError, match='only std_msgs/msg/String'):
        BagRecording(bag_of([('/chatter', 0, message)]), RecordingOptions())


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.9])
def test_truncated_bag(tmp_path, frames, synthetic, storage, share):
    path = synthetic.write_messages(tmp_path / 'bag', merged(frames, synthetic), storage)
    (file,) = (one for one in path.iterdir() if one.suffix in ('.mcap', '.db3'))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RecordingError, match='cannot read bag') as caught:
        read(path)
    assert '\n' not in str(caught.value)


def test_damage_in_the_middle(tmp_path, frames, synthetic):
    path = synthetic.write_messages(tmp_path / 'bag', merged(frames, synthetic))
    file = path / 'bag.mcap'
    content = bytearray(file.read_bytes())
    content[2000:60000] = bytes(58000)
    file.write_bytes(content)
    with pytest.raises(RecordingError, match='bag'):
        read(path)


def test_metadata_that_is_no_metadata(tmp_path, frames, synthetic):
    path = synthetic.write_messages(tmp_path / 'bag', merged(frames, synthetic))
    (path / 'metadata.yaml').write_text('rosbag2_bagfile_information: 3')
    with pytest.raises(RecordingError, match='cannot read bag'):
        read(path)


def test_bag_without_image_lists_the_topics(bag_of, frames, synthetic):
    replaced = {f'at_{number}': {'image': None} for number in range(5)}
    path = bag_of(merged(frames, synthetic, **replaced))
    with pytest.raises(RecordingError, match=r'no image topic.*aligned_depth_to_color/image_raw'):
        read(path)


def test_bag_without_camera_info(bag_of, frames, synthetic):
    replaced = {f'at_{number}': {'info': None} for number in range(5)}
    path = bag_of(merged(frames, synthetic, **replaced))
    with pytest.raises(RecordingError, match='no camera_info'):
        read(path)
    _, back = read(path, camera=CameraOverride(70.0, 71.0, 30.0, 20.0))
    assert (back[0].camera.fx, back[0].camera.width) == (70.0, 64)


@pytest.mark.parametrize('purpose', ['image', 'depth', 'camera_info', 'odometry', 'ground_truth'])
def test_named_topic_is_missing(bag_of, frames, synthetic, purpose):
    path = bag_of(merged(frames, synthetic))
    with pytest.raises(RecordingError, match=rf"no {purpose} topic '/foo'; there are"):
        read(path, **{f'{purpose}_topic': '/foo'})


def test_depth_and_odometry_can_be_ignored(bag_of, frames, synthetic):
    path = bag_of(merged(frames, synthetic))
    recording, back = read(path, depth_topic='none', odometry_topic='none')
    assert recording.odometry is None
    assert all(frame.depth_m is None for frame in back)


def test_images_that_change_their_size(bag_of, frames, synthetic):
    small = image_message(header(frames[2]), frames[2].image[::2, ::2], 'bgr8')
    recording, back = read(bag_of(merged(frames, synthetic, at_2={'image': small})))
    assert len(back) == 4
    assert recording.drops == Counter(image_size=1)
    assert any('32x24' in note for note in recording.notes)


def test_camera_info_that_changes_its_size(bag_of, frames, synthetic):
    half = frames[2].camera.scaled(0.5)
    info = bag_messages.camera_info_message(header(frames[2]), half)
    small = image_message(header(frames[2]), frames[2].image[::2, ::2], 'bgr8')
    path = bag_of(merged(frames, synthetic, at_2={'image': small, 'info': info}))
    recording, back = read(path)
    assert recording.drops == Counter(camera_info=1, image_size=1)
    assert {frame.camera for frame in back} == {frames[0].camera}


def test_camera_info_with_zero_focal_length_midway(bag_of, frames, synthetic):
    info = bag_messages.camera_info_message(header(frames[2]), frames[2].camera)
    info.k[0] = 0.0
    recording, back = read(bag_of(merged(frames, synthetic, at_2={'info': info})))
    assert recording.drops == Counter(camera_info=1)
    assert {frame.camera for frame in back} == {frames[0].camera}


def test_camera_info_with_zero_focal_length_always(bag_of, frames, synthetic):
    replaced = {}
    for number, frame in enumerate(frames):
        info = bag_messages.camera_info_message(header(frame), frame.camera)
        info.k[0] = info.k[4] = 0.0
        replaced[f'at_{number}'] = {'info': info}
    path = bag_of(merged(frames, synthetic, **replaced))
    with pytest.raises(RecordingError, match=r'no valid camera.*focal length fx=0\.0'):
        read(path)
    assert len(read(path, camera=CameraOverride(50, 50, 32, 24))[1]) == 5


def test_depth_in_millimetres_as_floats(bag_of, frames, synthetic):
    depth = image_message(header(frames[1]), (frames[1].depth_m * 1000).view(np.uint8), '32FC1')
    depth.width = 64
    recording, back = read(bag_of(merged(frames, synthetic, at_1={'depth': depth})))
    assert recording.drops == Counter(depth_unit=1)
    assert [frame.depth_m is None for frame in back] == [False, True, False, False, False]
    assert any('median' in note for note in recording.notes)


def test_depth_scale_mends_the_unit(bag_of, frames, synthetic):
    replaced = {}
    for number, frame in enumerate(frames):
        depth = image_message(header(frame), (frame.depth_m * 1000).view(np.uint8), '32FC1')
        depth.width = 64
        replaced[f'at_{number}'] = {'depth': depth}
    recording, back = read(bag_of(merged(frames, synthetic, **replaced)), depth_scale=0.001)
    assert not recording.drops
    np.testing.assert_allclose(back[0].depth_m, frames[0].depth_m, rtol=1e-5)


def test_depth_in_whole_metres(bag_of, frames, synthetic):
    depth = image_message(header(frames[1]), np.full((48, 64), 3, np.uint16), '16UC1')
    recording, _ = read(bag_of(merged(frames, synthetic, at_1={'depth': depth})))
    assert recording.drops == Counter(depth_unit=1)


def test_depth_of_another_size(bag_of, frames, synthetic):
    depth = image_message(header(frames[1]), np.full((24, 32), 900, np.uint16), '16UC1')
    recording, back = read(bag_of(merged(frames, synthetic, at_1={'depth': depth})))
    assert recording.drops == Counter(depth_size=1)
    assert back[1].depth_m is None


def test_depth_with_nan_and_negative_values(bag_of, frames, synthetic):
    values = np.full((48, 64), 2.0, np.float32)
    values[0, :3] = [np.nan, -np.inf, -1.0]
    depth = image_message(header(frames[1]), values.view(np.uint8), '32FC1')
    depth.width = 64
    _, back = read(bag_of(merged(frames, synthetic, at_1={'depth': depth})))
    assert back[1].depth_m[0, :4].tolist() == [0, 0, 0, 2]


def test_unknown_encoding(bag_of, frames, synthetic):
    image = image_message(header(frames[1]), frames[1].image, 'bgr8')
    image.encoding = 'yuv999'
    recording, back = read(bag_of(merged(frames, synthetic, at_1={'image': image})))
    assert recording.drops == Counter(image_encoding=1)
    assert len(back) == 4


@pytest.mark.parametrize('name', ['image', 'depth'])
def test_truncated_data(bag_of, frames, synthetic, name):
    pixels, encoding = frames[1].image, 'bgr8'
    if name == 'depth':
        pixels, encoding = bag_messages.depth_to_mm(frames[1].depth_m), '16UC1'
    message = image_message(header(frames[1]), pixels, encoding)
    message.data = message.data[:1000]
    recording, back = read(bag_of(merged(frames, synthetic, at_1={name: message})))
    assert recording.drops == Counter([f'{name}_data'])
    assert len(back) == (4 if name == 'image' else 5)


def test_nan_and_unnormalised_poses(bag_of, frames, synthetic):
    odom = header_message(frames[1].stamp_ns, 'odom')
    bad = bag_messages.odometry_message(odom, CAMERA_FRAME, np.eye(4))
    bad.pose.pose.position.x = float('nan')
    worse = bag_messages.odometry_message(
        header_message(frames[2].stamp_ns, 'odom'), CAMERA_FRAME, np.eye(4)
    )
    worse.pose.pose.orientation.w = 0.2
    path = bag_of(merged(frames, synthetic, at_1={'odometry': bad}, at_2={'odometry': worse}))
    recording, back = read(path)
    assert recording.drops == Counter(odometry_pose=2)
    assert len(recording.odometry) == 3
    expected = se3.interpolate(frames[0].T_odom_camera, frames[3].T_odom_camera, 1 / 3)
    np.testing.assert_allclose(back[1].T_odom_camera, expected, atol=1e-12)


def test_only_nan_poses(bag_of, frames, synthetic):
    replaced = {}
    for number, frame in enumerate(frames):
        odom = header_message(frame.stamp_ns, 'odom')
        bad = bag_messages.odometry_message(odom, CAMERA_FRAME, np.eye(4))
        bad.pose.pose.position.x = float('nan')
        replaced[f'at_{number}'] = {'odometry': bad}
    with pytest.raises(RecordingError, match='no valid pose among 5'):
        read(bag_of(merged(frames, synthetic, **replaced)))


def test_time_that_goes_backwards(bag_of, frames, synthetic):
    back_again = dataclasses.replace(frames[1], stamp_ns=frames[1].stamp_ns - 1000)
    messages = [(topic, log, message) for topic, log, message in merged(frames[:3], synthetic)]
    late = frames[3].stamp_ns
    messages += [(topic, late, one) for topic, _, one in synthetic.frame_messages(back_again)]
    recording, back = read(bag_of(messages))
    assert [frame.stamp_ns for frame in back] == [frame.stamp_ns for frame in frames[:3]]
    assert recording.drops['time_backwards'] == 2  # the image and the odometry


def test_images_without_depth_are_counted(bag_of, frames, synthetic):
    recording, back = read(bag_of(merged(frames, synthetic, at_1={'depth': None})))
    assert len(back) == 4
    assert recording.drops == Counter(unsynchronised=1)


def test_depth_beyond_the_slop(bag_of, frames, synthetic):
    late = header_message(frames[1].stamp_ns + 30_000_000, CAMERA_FRAME)
    depth = image_message(late, bag_messages.depth_to_mm(frames[1].depth_m), '16UC1')
    path = bag_of(merged(frames, synthetic, at_1={'depth': depth}))
    assert read(path)[0].drops == Counter(unsynchronised=1)
    assert len(read(path, sync_slop_s=0.04)[1]) == 5


def test_drops_do_not_add_up_over_readings(bag_of, frames, synthetic):
    recording, _ = read(bag_of(merged(frames, synthetic, at_1={'depth': None})))
    list(recording.frames())
    assert recording.drops == Counter(unsynchronised=1)


def body_odometry(frames, T_camera_body, child='base_link'):
    return {
        f'at_{number}': {
            'odometry': bag_messages.odometry_message(
                header_message(frame.stamp_ns, 'odom'), child, frame.T_odom_camera @ T_camera_body
            )
        }
        for number, frame in enumerate(frames)
    }


def static_transform(parent, child, T, stamp_ns=0):
    x, y, z, w = se3.quat_xyzw(T).tolist()
    tx, ty, tz = T[:3, 3].tolist()
    transform = make_message(
        'geometry_msgs/msg/Transform',
        translation=make_message('geometry_msgs/msg/Vector3', x=tx, y=ty, z=tz),
        rotation=make_message('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )
    stamped = make_message(
        'geometry_msgs/msg/TransformStamped',
        header=header_message(stamp_ns, parent),
        child_frame_id=child,
        transform=transform,
    )
    return make_message('tf2_msgs/msg/TFMessage', transforms=[stamped])


def test_odometry_of_the_body_is_moved_by_tf_static(bag_of, frames, synthetic):
    T_body_link = se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    T_camera_link = se3.expmap([-0.3, 0.1, 0.5, 0.1, 0.2, 0.3])
    T_camera_body = T_camera_link @ se3.inverse(T_body_link)
    messages = merged(frames, synthetic, **body_odometry(frames, T_camera_body))
    start = frames[0].stamp_ns
    messages.append(('/tf_static', start, static_transform('base_link', 'link', T_body_link)))
    messages.append(('/tf_static', start, static_transform(CAMERA_FRAME, '/link', T_camera_link)))
    recording, back = read(bag_of(messages))
    for frame, other in zip(frames, back, strict=True):
        np.testing.assert_allclose(other.T_odom_camera, frame.T_odom_camera, atol=1e-9)
    assert any("moved to 'camera_color" in note for note in recording.notes)


def test_odometry_of_the_body_is_moved_by_the_option(bag_of, frames, synthetic):
    T_camera_body = se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    path = bag_of(merged(frames, synthetic, **body_odometry(frames, T_camera_body)))
    _, back = read(path, T_body_camera=se3.inverse(T_camera_body))
    np.testing.assert_allclose(back[3].T_odom_camera, frames[3].T_odom_camera, atol=1e-9)


def test_odometry_of_an_unknown_frame_is_noted(bag_of, frames, synthetic):
    recording, _ = read(bag_of(merged(frames, synthetic, **body_odometry(frames, np.eye(4)))))
    assert any("is of 'base_link': taken for" in note for note in recording.notes)


def test_pose_stamped_as_odometry_and_transform_as_truth(bag_of, frames, synthetic):
    replaced = {}
    extra = []
    for number, frame in enumerate(frames):
        odom = header_message(frame.stamp_ns, 'odom')
        pose = bag_messages.odometry_message(odom, '', frame.T_odom_camera).pose.pose
        message = make_message('geometry_msgs/msg/PoseStamped', header=odom, pose=pose)
        replaced[f'at_{number}'] = {'odometry': None}
        extra.append(('/orb_slam/pose', frame.stamp_ns, message))
        true = static_transform('world', 'vicon', frame.T_world_camera, frame.stamp_ns)
        extra.append(('/vicon/robot', frame.stamp_ns, true.transforms[0]))
    messages = merged(frames, synthetic, **replaced) + extra
    recording, back = read(bag_of(sorted(messages, key=lambda one: one[1])))
    np.testing.assert_allclose(back[2].T_odom_camera, frames[2].T_odom_camera, atol=1e-9)
    np.testing.assert_allclose(back[2].T_world_camera, frames[2].T_world_camera, atol=1e-9)
    assert any('does not say which frame' in note for note in recording.notes)


def test_odometry_file_takes_the_place_of_the_topic(bag_of, frames, synthetic, tmp_path):
    file = tmp_path / 'odometry.txt'
    lines = [f'{one.stamp_ns // 10**9}.{one.stamp_ns % 10**9:09d} 1 2 3 0 0 0 1' for one in frames]
    file.write_text('\n'.join(lines))
    _, back = read(bag_of(merged(frames, synthetic)), odometry_file=file)
    assert [frame.T_odom_camera[:3, 3].tolist() for frame in back] == [[1, 2, 3]] * 5
