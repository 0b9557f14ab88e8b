"""Views of a photograph: where points land, how much they overlap, no borders."""

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.training.virtual_camera import (
    CameraRanges,
    camera_homography,
    draw_camera,
    is_inside,
    overlap_matrix,
    spacing_at,
    take_view,
    transform,
)

SIZE = (160, 120)
PHOTO = (400, 300)


def straight(centre, spacing=1.0, roll=0.0):
    return camera_homography(SIZE, np.array(centre, float), spacing, (roll, 0, 0), 150.0)


def test_a_straight_camera_crops():
    H = straight((200.5, 150.5))
    assert transform(H, np.array([[0, 0], [79.5, 59.5]])) == pytest.approx(
        np.array([[121, 91], [200.5, 150.5]])
    )
    photo = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
    assert (take_view(photo, H, SIZE) == photo[91:211, 121:281]).all()


def test_a_tilted_camera_sees_what_a_pinhole_would():
    yaw, focal, spacing = 30.0, 150.0, 0.8
    H = camera_homography(SIZE, np.array([200.0, 150.0]), spacing, (0, yaw, 0), focal)
    # A point 20 px right of the centre turns about the vertical axis through the centre.
    x, z = 20 * np.cos(np.radians(yaw)), focal * spacing - 20 * np.sin(np.radians(yaw))
    seen = np.array([[79.5 + focal * x / z, 59.5]])
    assert transform(H, seen) == pytest.approx(np.array([[220.0, 150.0]]))


def test_a_bright_spot_lands_where_the_homography_says():
    H = camera_homography(SIZE, np.array([200.0, 150.0]), 0.8, (25, 20, -15), 150.0)
    photo = np.zeros((300, 400), np.uint8)
    cv2.circle(photo, (210, 140), 3, 255, -1)
    view = take_view(photo, H, SIZE).astype(float)
    rows, columns = np.mgrid[:120, :160]
    centre = np.array([[(view * columns).sum(), (view * rows).sum()]]) / view.sum()
    assert transform(H, centre) == pytest.approx(np.array([[210, 140]]), abs=0.3)


@pytest.mark.parametrize('angles', [(0, 0, 0), (40, 20, -30)])
def test_spacing_is_the_local_scale(angles):
    H = camera_homography(SIZE, np.array([200.0, 150.0]), 0.8, angles, 150.0)
    middle = np.array([[79.5, 59.5]])
    corners = middle + np.array([[-0.01, -0.01], [0.01, -0.01], [0.01, 0.01], [-0.01, 0.01]])
    area = cv2.contourArea((transform(H, corners) - 200).astype(np.float32) * 1000) / 1e6
    cosine = np.cos(np.radians(angles[1])) * np.cos(np.radians(angles[2]))
    assert spacing_at(H, middle)[0] == pytest.approx(np.sqrt(area) / 0.02, rel=1e-2)
    assert spacing_at(H, middle)[0] == pytest.approx(0.8 / np.sqrt(cosine))


def test_overlap_of_known_shifts():
    cameras = [straight((150, 150)), straight((150, 150)), straight((230, 150))]
    far = straight((350, 150))
    overlap = overlap_matrix([*cameras, far], SIZE)
    assert overlap[0, 1] == pytest.approx(1)
    assert overlap[0, 2] == pytest.approx(0.5)
    assert overlap[2, 0] == pytest.approx(0.5)
    assert overlap[0, 3] == 0
    assert (np.diag(overlap) == 1).all()


def test_overlap_is_directed():
    near, wide = straight((200, 150), 0.5), straight((200, 150), 1.0, roll=180)
    overlap = overlap_matrix([near, wide], SIZE)
    assert overlap[0, 1] == pytest.approx(1, abs=1e-4)
    assert overlap[1, 0] == pytest.approx(0.25, abs=1e-4)


def test_overlap_agrees_with_counting_pixels():
    rng = np.random.default_rng(5)
    cameras = [draw_camera(PHOTO, SIZE, CameraRanges(), rng) for _ in range(4)]
    overlap = overlap_matrix(cameras, SIZE)
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    pixels = np.column_stack([x.ravel(), y.ravel()])
    for i, H_i in enumerate(cameras):
        for j, H_j in enumerate(cameras):
            points = np.column_stack([transform(H_i, pixels), np.ones(len(pixels))])
            mapped = points @ np.linalg.inv(H_j).T
            mapped /= np.where(mapped[:, 2:] * np.linalg.inv(H_j)[2, 2] > 0, mapped[:, 2:], np.nan)
            seen = (np.abs(mapped[:, :2] - (79.5, 59.5)) <= (80, 60)).all(axis=1)
            assert overlap[i, j] == pytest.approx(seen.mean(), abs=0.01)


@pytest.mark.parametrize('photo_size', [PHOTO, (180, 125), (150, 300), (640, 360)])
def test_views_never_reach_past_the_photograph(photo_size):
    rng = np.random.default_rng(2)
    white = np.full((photo_size[1], photo_size[0]), 255, np.uint8)
    for _ in range(25):
        H = draw_camera(photo_size, SIZE, CameraRanges(), rng)
        assert is_inside(H, SIZE, photo_size)
        assert (take_view(white, H, SIZE) >= 254).all()
