"""Pictures of closures."""

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.evaluation.closure_error import ClosureCheck
from s3e_gnn_ros.evaluation.pair_images import (
    GAP_PX,
    HEIGHT_PX,
    choose_pairs,
    draw_pair,
    encode,
    thumbnail,
)
from s3e_gnn_ros.evaluation.result import InlierMatches


def checks(run, wrong=()):
    return [ClosureCheck(0.0, 0.0, i in wrong, 'same', 0.0) for i in range(len(run.closures))]


@pytest.mark.parametrize('shape', [(480, 640), (480, 640, 1), (480, 640, 3)])
def test_thumbnails_are_bgr_and_small(shape):
    assert thumbnail(np.zeros(shape, dtype=np.uint8)).shape == (HEIGHT_PX, 320, 3)


def test_small_images_are_copied_not_enlarged():
    image = np.zeros((100, 50, 3), dtype=np.uint8)
    small = thumbnail(image)
    assert small.shape == image.shape
    assert not np.shares_memory(small, image)


def test_wrong_closures_are_always_chosen(run):
    assert choose_pairs(run, checks(run), 10) == list(range(7))
    assert choose_pairs(run, checks(run), 3) == [0, 3, 6]
    assert choose_pairs(run, checks(run, wrong=(5,)), 3) == [0, 5, 6]
    assert choose_pairs(run, checks(run, wrong=(1, 2)), 1) == [1]


def test_closures_without_image_are_left_out(make_run):
    run = make_run(
        images={(0, 50): np.zeros((9, 9, 3), np.uint8), (0, 10): np.zeros((9, 9), np.uint8)}
    )
    assert choose_pairs(run, checks(run), 10) == [1]
    assert draw_pair(run, 1).shape == (HEIGHT_PX, 2 * HEIGHT_PX + GAP_PX, 3)


def test_matches_are_scaled_to_the_pictures(make_run):
    black = {(0, i): np.zeros((120, 160, 3), np.uint8) for i in range(80)}
    # One match, in the middle of the query and a quarter into the match, of 640x480 images.
    one = InlierMatches(np.array([[320.0, 240.0]]), np.array([[160.0, 240.0]]), (640, 480))
    run = make_run(images=black, inliers={((0, 45), (0, 5)): one})
    picture = draw_pair(run, 0)
    assert picture.shape == (HEIGHT_PX, 640 + GAP_PX, 3)
    drawn = np.flatnonzero((picture != picture[0]).any(axis=2).any(axis=0))
    # Circles of radius 2, drawn smoothly, around x = 160 and x = 320 + gap + 80.
    assert abs(drawn.min() - (160 - 2)) <= 1
    assert abs(drawn.max() - (320 + GAP_PX + 80 + 2)) <= 1
    assert (draw_pair(run, 1)[0] == draw_pair(run, 1)[-1]).all()


def test_png_is_lossless(run):
    picture = draw_pair(run, 0)
    data = np.frombuffer(encode(picture, '.png'), dtype=np.uint8)
    assert (cv2.imdecode(data, cv2.IMREAD_COLOR) == picture).all()
