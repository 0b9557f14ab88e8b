"""``s3e-gnn simulate``: a bag that any reader of rosbag2 understands."""

import functools
import json
from collections import defaultdict

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.simulation import recording
from s3e_gnn_ros.simulation.building import make_building

cached_building = functools.cache(make_building)


@pytest.fixture(autouse=True)
def _one_building(monkeypatch):
    """Make the building once for all tests: it takes seconds."""
    monkeypatch.setattr(recording, 'make_building', cached_building)


def simulate(*arguments):
    return main(['simulate', '--workers', '1', *map(str, arguments)])


@pytest.mark.parametrize(
    ('storage', 'transport', 'suffixes'),
    [('mcap', 'raw', ('', '')), ('sqlite3', 'compressed', ('/compressed', '/compressedDepth'))],
)
def test_writes_every_topic(tmp_path, capsys, storage, transport, suffixes):
    bag = tmp_path / 'bag'
    options = ('--max-frames', 3, '--storage', storage, '--image-transport', transport)
    assert simulate('--out', bag, '--json', *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['num_frames'] == 3
    assert result['duration_s'] == 0.2
    messages = defaultdict(list)
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            messages[connection.topic].append(message)
    color, depth = (
        f'/camera/color/image_raw{suffixes[0]}',
        f'/camera/aligned_depth_to_color/image_raw{suffixes[1]}',
    )
    counts = {topic: len(found) for topic, found in messages.items()}
    assert counts == {
        color: 3,
        depth: 3,
        '/camera/color/camera_info': 3,
        '/odometry': 3,
        '/ground_truth': 3,
        '/camera/imu': 41,
    }
    info = messages['/camera/color/camera_info'][0]
    assert (info.width, info.height) == (640, 480)
    up = messages['/camera/imu'][0].linear_acceleration
    assert np.hypot(up.y, up.z) == pytest.approx(9.81, abs=0.3)


def test_does_not_replace_a_bag_unless_told(tmp_path, capsys):
    bag = tmp_path / 'bag'
    assert simulate('--out', bag, '--max-frames', 1) == 0
    assert '1 frames' in capsys.readouterr().out
    assert simulate('--out', bag, '--max-frames', 1) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert simulate('--out', bag, '--max-frames', 1, '--overwrite') == 0


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--rate', '0'), 'rate_hz is 0.0'),
        (('--speed', '-1'), 'speed_mps is -1.0'),
        (('--seed', '-3'), 'seed is -3'),
        (('--drift', 'sideways=1'), "unknown drift 'sideways'"),
        (('--scene', 'missing.glb'), 'there is no scene file missing.glb'),
        (('--scene', 'castle'), "scene 'castle'"),
        (('--pictures', 'missing'), 'there is no folder of pictures missing'),
        (('--heights', '0.6,tall'), "--heights is '0.6,tall'"),
        (('--plain-walls', '2'), 'plain_walls is 2.0'),
        (('--dark', '0,1'), 'darkness is 1.0'),
        (('--max-lap', '1'), 'max_lap_m is 1.0'),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(tmp_path, capsys, options, words):
    assert simulate('--out', tmp_path / 'bag', *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_records_laps_with_options(tmp_path, capsys):
    options = ('--heights', '0.6,1.2', '--yaw-offsets', '0,180', '--dark', '0.9', '--blur', '0.03')
    others = ('--moving-objects', 2, '--plain-walls', 0.5, '--rate', 0.5, '--max-frames', 2)
    assert simulate('--out', tmp_path / 'bag', '--json', *options, *others) == 0
    assert json.loads(capsys.readouterr().out)['num_frames'] == 2
