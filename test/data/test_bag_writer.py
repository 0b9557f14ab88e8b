import numpy as np
import pytest
import yaml

from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.bag_writer import IMAGE_TRANSPORTS, STORAGES, BagLayout, BagWriter
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import InputError, RecordingError


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('transport', IMAGE_TRANSPORTS)
def test_round_trip(tmp_path, frames, synthetic, storage, transport):
    path = synthetic.write_frames(
        tmp_path / 'bag', frames, storage=storage, image_transport=transport
    )
    recording = BagRecording(path, RecordingOptions())
    assert recording.num_frames == len(frames)
    for _ in range(2):  # readable any number of times
        back = list(recording.frames())
        assert [frame.stamp_ns for frame in back] == [frame.stamp_ns for frame in frames]
        for frame, other in zip(frames, back, strict=True):
            tolerance = 0 if transport == 'raw' else 3  # mean grey levels that jpeg may change
            assert np.abs(frame.image.astype(int) - other.image).mean() <= tolerance
            np.testing.assert_array_equal(frame.depth_m, other.depth_m)
            np.testing.assert_allclose(frame.T_odom_camera, other.T_odom_camera, atol=1e-12)
            np.testing.assert_allclose(frame.T_world_camera, other.T_world_camera, atol=1e-12)
            assert other.camera == frame.camera
    assert not recording.drops


def test_grey_image_and_frame_without_depth(tmp_path, synthetic):
    grey = synthetic.frame(1).image[:, :, 0]
    frame = synthetic.frame(0, image=grey, depth_m=None)
    path = synthetic.write_frames(tmp_path / 'bag', [frame])
    (back,) = BagRecording(path, RecordingOptions()).frames()
    np.testing.assert_array_equal(back.image, grey)
    assert back.depth_m is None


def test_distorted_camera_round_trip(tmp_path, synthetic):
    import dataclasses

    camera = dataclasses.replace(
        synthetic.camera, distortion=(0.1, -0.2, 0.01, 0.02), distortion_model='equidistant'
    )
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0, camera=camera)])
    (back,) = BagRecording(path, RecordingOptions()).frames()
    assert back.camera == camera


def test_unknown_depth_is_written_as_zero(tmp_path, synthetic):
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[0, :4] = [np.nan, np.inf, -1.0, 70.0]  # 70 m does not fit 16 bits of millimetres
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0, depth_m=depth_m)])
    (back,) = BagRecording(path, RecordingOptions()).frames()
    np.testing.assert_array_equal(back.depth_m[0, :5], np.float32([0, 0, 0, 0, 2]))


def test_metadata_is_what_humble_reads(tmp_path, synthetic):
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0)])
    content = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert content['version'] <= 8
    assert content['custom_data']  # Jazzy's reader wants a map, not null
    assert content['starting_time']['nanoseconds_since_epoch'] == synthetic.start_ns
    for topic in content['topics_with_message_count']:
        (qos,) = yaml.safe_load(topic['topic_metadata']['offered_qos_profiles'])
        assert (qos['reliability'], qos['history'], qos['depth']) == (1, 1, 10)
        assert qos['deadline'] == {'sec': 9223372036, 'nsec': 854775807}


def test_imu_and_layout(tmp_path):
    layout = BagLayout(imu='/my/imu', imu_frame='imu_link')
    with BagWriter(tmp_path / 'bag', layout=layout) as writer:
        writer.write_imu(5, [0.1, 0.2, 0.3], [0.0, 0.0, 9.81])
    with open_bag(tmp_path / 'bag') as bag:
        (logged,) = bag.messages(['/my/imu'])
        imu = bag.decode(logged)
    assert imu.header.frame_id == 'imu_link'
    assert (imu.header.stamp.sec, imu.header.stamp.nanosec, logged.log_ns) == (0, 5, 5)
    assert imu.angular_velocity.y == 0.2
    assert imu.linear_acceleration.z == 9.81
    assert imu.orientation_covariance[0] == -1


def test_messages_come_out_by_stamp_whatever_the_order_of_the_calls(tmp_path, frames):
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames:
            writer.write_frame(frame)
        for frame in frames:
            writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
    with open_bag(tmp_path / 'bag') as bag:
        stamps = [one.log_ns for one in bag.messages(['/odometry', '/camera/color/image_raw'])]
    assert len(stamps) == 2 * len(frames)
    assert stamps == sorted(stamps)


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path, synthetic, error):
    def stop():
        with BagWriter(tmp_path / 'bag') as writer:
            writer.write_frame(synthetic.frame(0))
            assert not (tmp_path / 'bag').exists()
            raise error

    with pytest.raises(error):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_exception_keeps_the_bag_that_was_to_be_replaced(tmp_path, synthetic):
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0)])

    def stop():
        with BagWriter(path, overwrite=True) as writer:
            writer.write_frame(synthetic.frame(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    (back,) = BagRecording(path, RecordingOptions()).frames()
    assert back.stamp_ns == synthetic.start_ns


def test_failed_rename_keeps_the_old_bag(tmp_path, synthetic, monkeypatch):
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0)])
    rename = type(path).rename

    def failing(self, target):
        if self.name == 'bag' and target == path and '.partial' in str(self):
            raise OSError('no space')
        return rename(self, target)

    monkeypatch.setattr(type(path), 'rename', failing)
    with pytest.raises(RecordingError, match='no space'):
        synthetic.write_frames(path, [synthetic.frame(1)], overwrite=True)
    (back,) = BagRecording(path, RecordingOptions()).frames()
    assert back.stamp_ns == synthetic.start_ns
    assert list(tmp_path.iterdir()) == [path]


def test_overwrite(tmp_path, synthetic):
    path = synthetic.write_frames(tmp_path / 'bag', [synthetic.frame(0)])
    with pytest.raises(RecordingError, match='exists already'):
        synthetic.write_frames(path, [synthetic.frame(1)])
    synthetic.write_frames(path, [synthetic.frame(1)], overwrite=True)
    (back,) = BagRecording(path, RecordingOptions()).frames()
    assert back.stamp_ns == synthetic.start_ns + synthetic.step_ns
    assert list(tmp_path.iterdir()) == [path]


def test_overwrite_spares_what_is_no_bag(tmp_path):
    precious = tmp_path / 'photos'
    precious.mkdir()
    (precious / 'a.jpg').write_text('x')
    with pytest.raises(RecordingError, match='no bag'):
        BagWriter(precious, overwrite=True).__enter__()
    assert (precious / 'a.jpg').exists()


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(RecordingError, match='nothing was written'), BagWriter(tmp_path / 'bag'):
        pass
    assert list(tmp_path.iterdir()) == []


def test_parent_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(RecordingError, match='cannot write'):
        BagWriter(tmp_path / 'file' / 'bag').__enter__()


@pytest.mark.parametrize('offset_ns', [0, -1])
def test_stamps_must_increase(tmp_path, synthetic, offset_ns):
    frame = synthetic.frame(0)
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
        with pytest.raises(InputError, match='does not follow'):
            writer.write_odometry(frame.stamp_ns + offset_ns, frame.T_odom_camera)


def test_nan_pose_is_refused(tmp_path, synthetic):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_frame(synthetic.frame(0))
        with pytest.raises(InputError, match='not finite'):
            writer.write_odometry(0, np.full((4, 4), np.nan))


@pytest.mark.parametrize('options', [{'storage': 'csv'}, {'image_transport': 'theora'}])
def test_unknown_option(tmp_path, options):
    with pytest.raises(InputError, match='instead of one of'):
        BagWriter(tmp_path / 'bag', **options)
