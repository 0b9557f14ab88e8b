import dataclasses

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.encoder.patches import cut_patches
from s3e_gnn_ros.encoder.selection import PatchKeypoints
from s3e_gnn_ros.errors import ConfigError, InputError


def make_keypoints(points_px, size_px=31.0, angle_deg=0.0):
    n = len(points_px)
    return PatchKeypoints(
        points_px=np.asarray(points_px, np.float32).reshape(n, 2),
        sizes_px=np.full(n, size_px, np.float32),
        angles_deg=np.full(n, angle_deg, np.float32),
        keypoint_index=np.arange(n),
    )


def noise(*shape):
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


def smooth(height, width, sigma=4.0):
    image = cv2.GaussianBlur(noise(height, width).astype(np.float32), (0, 0), sigma)
    return cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


POINTS = [[100.2, 200.4], [320, 240], [540.6, 99.9]]


@pytest.mark.parametrize('form', ['paper', 'improved'])
@pytest.mark.parametrize('side', [16, 32, 64])
@pytest.mark.parametrize('num', [0, 1, 5, 128])
@pytest.mark.parametrize(
    'shape', [(240, 320), (240, 320, 1), (480, 640, 3), (240, 320, 4), (1080, 1920)]
)
def test_shapes(form, side, num, shape):
    rng = np.random.default_rng(0)
    points_px = rng.uniform(0, np.array(shape[1::-1]) - 1, (num, 2))
    patches = cut_patches(noise(*shape), make_keypoints(points_px, 60.0, 33.0), form, side)
    expected = (num, 3, side, side) if form == 'paper' else (num, 1, 32, 32)
    assert patches.pixels.shape == expected
    assert patches.pixels.dtype == np.uint8
    assert patches.pixels.flags.c_contiguous
    assert patches.image_size == (shape[1], shape[0])
    assert len(patches) == num


@pytest.mark.parametrize('form', ['paper', 'improved'])
def test_5000_patches(form):
    points_px = np.random.default_rng(0).uniform(0, (639, 479), (5000, 2))
    keypoints = make_keypoints(points_px)
    patches = cut_patches(noise(480, 640), keypoints, form, 16)
    some = make_keypoints(points_px[4990:])
    np.testing.assert_array_equal(
        cut_patches(noise(480, 640), some, form, 16).pixels, patches.pixels[4990:]
    )


def test_paper_crops_are_the_pixels_of_the_image():
    image = noise(480, 640, 3)
    patches = cut_patches(image, make_keypoints(POINTS), 'paper', 16)
    for (x, y), pixels in zip(POINTS, patches.pixels, strict=True):
        column, row = round(x), round(y)
        crop = image[row - 8 : row + 8, column - 8 : column + 8, ::-1]
        np.testing.assert_array_equal(pixels, crop.transpose(2, 0, 1))


def test_grey_is_repeated_and_alpha_left_out():
    grey = noise(480, 640)
    colour = noise(480, 640, 3)
    keypoints = make_keypoints(POINTS)
    flat = cut_patches(grey, keypoints, 'paper', 16).pixels
    np.testing.assert_array_equal(flat[:, 0], flat[:, 2])
    alpha = np.dstack([colour, noise(480, 640)])
    for form in ('paper', 'improved'):
        pixels = [cut_patches(i, keypoints, form).pixels for i in (colour, alpha)]
        np.testing.assert_array_equal(*pixels)
        pixels = [cut_patches(i, keypoints, form).pixels for i in (grey, grey[:, :, None])]
        np.testing.assert_array_equal(*pixels)


@pytest.mark.parametrize('form', ['paper', 'improved'])
@pytest.mark.parametrize('point', [[0, 0], [39, 29], [20, 0], [0, 29]])
def test_past_the_border_the_last_pixel_is_repeated(form, point):
    image = noise(30, 40)
    pixels = cut_patches(image, make_keypoints([point]), form, 64, 64).pixels
    padded = cv2.copyMakeBorder(image, 80, 80, 80, 80, cv2.BORDER_REPLICATE)
    shifted = make_keypoints([np.add(point, 80)])
    np.testing.assert_array_equal(cut_patches(padded, shifted, form, 64, 64).pixels, pixels)


@pytest.mark.parametrize('form', ['paper', 'improved'])
def test_an_image_of_one_colour_and_of_one_pixel(form):
    keypoints = make_keypoints([[0, 0]] * 128, 100.0, 45.0)
    for shape in [(480, 640, 3), (1, 1)]:
        image = np.full(shape, 90, np.uint8)
        pixels = cut_patches(image, keypoints, form).pixels
        assert (pixels == pixels.flat[0]).all()
        assert form == 'improved' or pixels.flat[0] == 90


def test_upright_samples_are_the_crop():
    image = smooth(480, 640)
    point = np.array([[100.5, 200.5]])  # the centre of an even patch lies between pixels
    sampled = cut_patches(image, make_keypoints(point), 'improved', 32).pixels[0, 0]
    np.testing.assert_array_equal(sampled, image[185:217, 85:117])


@pytest.mark.parametrize('turns', [1, 2, 3])
def test_a_turned_image_gives_the_same_patches(turns):
    image = smooth(480, 640)
    original = cut_patches(image, make_keypoints(POINTS, 50.0, 30.0), 'improved').pixels
    points = np.array(POINTS)
    height, width = image.shape
    for _ in range(turns):  # clockwise
        points = np.column_stack([height - 1 - points[:, 1], points[:, 0]])
        height, width = width, height
    turned = np.ascontiguousarray(np.rot90(image, -turns))
    keypoints = make_keypoints(points, 50.0, 30.0 + 90.0 * turns)
    pixels = cut_patches(turned, keypoints, 'improved').pixels
    assert np.abs(pixels.astype(int) - original).max() <= 4


@pytest.mark.parametrize('factor', [0.25, 0.4, 0.6, 0.8])
def test_a_nearer_image_gives_the_same_patches(factor):
    image = smooth(960, 1280, 20.0)
    near = cut_patches(image, make_keypoints(np.multiply(POINTS, 2), 124.0), 'improved').pixels
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    points = (np.multiply(POINTS, 2) + 0.5) * factor - 0.5
    far = cut_patches(small, make_keypoints(points, 124.0 * factor), 'improved').pixels
    off = np.abs(far.astype(int) - near)
    assert off.mean() < 2
    assert off.max() < 12


@pytest.mark.parametrize('size_px', [62, 88, 124, 400])
def test_large_patches_do_not_alias(size_px):
    pixels = cut_patches(noise(480, 640), make_keypoints([[320, 240]], size_px), 'improved').pixels
    # Averaging k x k pixels of noise leaves 1 / k of its contrast.
    assert pixels.std() < 1.3 * 74 / (size_px / 31)


def test_each_scale_and_size_is_sampled_as_if_it_came_alone():
    image = smooth(480, 640)
    rng = np.random.default_rng(0)
    sizes_px = (31.0 * 1.2 ** rng.permutation(np.arange(40) % 8)).astype(np.float32)
    points_px = rng.uniform((80, 80), (560, 400), (40, 2))
    keypoints = make_keypoints(points_px, angle_deg=20.0)
    keypoints = dataclasses.replace(keypoints, sizes_px=sizes_px)
    together = cut_patches(image, keypoints, 'improved', 64, 16, 2).pixels
    assert together.shape == (40, 2, 16, 16)
    for row, (point, size_px) in enumerate(zip(points_px, sizes_px, strict=True)):
        for scale in range(2):
            alone = make_keypoints([point], size_px, 20.0)
            pixels = cut_patches(image, alone, 'improved', 64 * 2**scale, 16).pixels[0, 0]
            assert np.abs(pixels.astype(int) - together[row, scale]).max() <= 1


def test_wrong_arguments():
    with pytest.raises(ConfigError, match="'round'"):
        cut_patches(noise(48, 64), make_keypoints(POINTS), 'round')
    with pytest.raises(InputError, match=r'\(48, 64, 2\)'):
        cut_patches(noise(48, 64, 2), make_keypoints(POINTS))
