import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera

CAMERAS = {
    'rectified': PinholeCamera(640, 480, 600.0, 610.0, 320.5, 240.25),
    'plumb_bob': PinholeCamera(
        640, 480, 458.7, 457.3, 367.2, 248.4, (-0.28, 0.07, 2e-4, 1.8e-5, 0.0)
    ),
    'rational_polynomial': PinholeCamera(
        640,
        480,
        504.0,
        504.2,
        319.0,
        243.0,
        (4.9, 2.4, 2e-4, -8e-5, 0.11, 5.2, 3.7, 0.65),
        'rational_polynomial',
    ),
    'equidistant': PinholeCamera(
        640, 480, 285.0, 286.0, 320.0, 240.0, (-0.008, 0.045, -0.042, 0.008), 'equidistant'
    ),
}
pixels = arrays(
    np.float64,
    (6, 2),
    elements=st.floats(0.0, 1.0, allow_subnormal=False),
    fill=st.nothing(),
).map(lambda share: share * (639.0, 479.0))


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS)
@given(points_px=pixels, z=st.floats(0.1, 50.0))
def test_project_inverts_normalise(camera, points_px, z):
    plane = camera.normalise(points_px)
    points = np.column_stack([plane, np.ones(len(plane))]) * z
    np.testing.assert_allclose(camera.project(points), points_px, atol=1e-4)


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS)
def test_the_principal_point_is_straight_ahead(camera):
    centre = np.array([[camera.cx, camera.cy]])
    np.testing.assert_allclose(camera.normalise(centre), [[0, 0]], atol=1e-9)
    np.testing.assert_allclose(camera.project(np.array([[0, 0, 2.0]])), centre, atol=1e-9)


def test_barrel_distortion_pulls_the_corners_in():
    camera = CAMERAS['plumb_bob']
    corner = np.array([[600.0, 400.0]])
    ideal = (corner - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    assert np.linalg.norm(camera.normalise(corner)) > np.linalg.norm(ideal)


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS)
def test_points_behind_give_nan_and_no_points_none(camera):
    out = camera.project(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [0.1, 0.1, 1.0]]))
    assert np.isnan(out[:2]).all()
    assert np.isfinite(out[2]).all()
    assert camera.project(np.zeros((0, 3))).shape == (0, 2)
    assert camera.normalise(np.zeros((0, 2))).shape == (0, 2)


def test_a_scaled_camera_sees_the_same_rays():
    camera = CAMERAS['rectified']
    half = camera.scaled(0.5)
    assert (half.width, half.height) == (320, 240)
    # The centre of a pixel of the half image lies between four of the whole.
    np.testing.assert_allclose(
        half.normalise(np.array([[10.0, 20.0]])), camera.normalise(np.array([[20.5, 40.5]]))
    )


def test_matrix():
    camera = PinholeCamera(4, 3, 2.0, 2.5, 1.5, 1.0)
    np.testing.assert_array_equal(camera.matrix, [[2, 0, 1.5], [0, 2.5, 1], [0, 0, 1]])
    assert not PinholeCamera(4, 3, 2.0, 2.5, 1.5, 1.0, (0.0,) * 5).is_distorted


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ((0, 480, 1.0, 1.0, 0.0, 0.0), 'size 0x480'),
        ((640, -1, 1.0, 1.0, 0.0, 0.0), 'size 640x-1'),
        ((640, 480, 0.0, 1.0, 0.0, 0.0), 'focal length fx=0'),
        ((640, 480, 1.0, -5.0, 0.0, 0.0), 'fy=-5'),
        ((640, 480, np.nan, 1.0, 0.0, 0.0), 'not finite'),
        ((640, 480, 1.0, 1.0, 0.0, 0.0, (np.inf,)), 'not finite'),
        ((640, 480, 1.0, 1.0, 0.0, 0.0, (), 'fisheye624'), "'fisheye624'"),
    ],
)
def test_impossible_cameras_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        PinholeCamera(*values)


@pytest.mark.parametrize(
    ('model', 'count'),
    [('plumb_bob', 3), ('plumb_bob', 8), ('equidistant', 5), ('rational_polynomial', 5)],
)
def test_a_wrong_number_of_coefficients_is_refused(model, count):
    """OpenCV would fail later, in the middle of a frame."""
    with pytest.raises(InputError, match=f'{model} has {count} coefficients instead of'):
        PinholeCamera(640, 480, 500.0, 500.0, 320.0, 240.0, (0.1,) * count, model)
