import numpy as np
import pytest

from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions, parse_camera, parse_pose
from s3e_gnn_ros.errors import ConfigError


def test_camera():
    assert parse_camera('1,2,3,4') == CameraOverride(1, 2, 3, 4)
    camera = parse_camera('1, 2, 3, 4, .1, .2, .3, .4, .5').camera(640, 480)
    assert (camera.width, camera.distortion) == (640, (0.1, 0.2, 0.3, 0.4, 0.5))


@pytest.mark.parametrize('text', ['', '1,2,3', '0,1,2,3', 'a,b,c,d', '1,2,3,nan', '1,2,3,4,5'])
def test_no_camera(text):
    with pytest.raises(ConfigError, match='camera'):
        parse_camera(text)


def test_pose():
    T = parse_pose('1,2,3,0,0,1,0')
    np.testing.assert_allclose(T, [[-1, 0, 0, 1], [0, -1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


@pytest.mark.parametrize('text', ['', '1,2,3', '1,2,3,0,0,0,2', '1,2,nan,0,0,0,1', 'x'])
def test_no_pose(text):
    with pytest.raises(ConfigError, match='pose'):
        parse_pose(text)


@pytest.mark.parametrize(
    'wrong', [{'depth_scale': 0.0}, {'sync_slop_s': -1}, {'max_odometry_gap_s': float('nan')}]
)
def test_ranges(wrong):
    with pytest.raises(ConfigError, match='instead of more than 0'):
        RecordingOptions(**wrong)
