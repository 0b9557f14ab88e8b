import dataclasses

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.encoder.attention_map import attention_at, attention_map
from s3e_gnn_ros.encoder.completion import complete_points, intensity_centroid_angles
from s3e_gnn_ros.encoder.features import _set_intensity_centroid_angles
from s3e_gnn_ros.encoder.selection import METHODS, select_keypoints
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.types import Features

NUM = 128


def make_features(points_px, responses=None):
    N = len(points_px)
    rng = np.random.default_rng(1)
    return Features(
        points_px=np.asarray(points_px, np.float32).reshape(N, 2),
        points_normalised=np.zeros((N, 2)),
        sizes_px=np.full(N, 37.2, np.float32),
        angles_deg=rng.uniform(0, 360, N).astype(np.float32),
        responses=np.asarray(rng.uniform(size=N) if responses is None else responses, np.float32),
        descriptors=np.zeros((N, 32), np.uint8),
        landmarks_m=np.full((N, 3), np.nan),
    )


def random_points(num, width=640, height=480, seed=0):
    return np.random.default_rng(seed).uniform((0, 0), (width - 1, height - 1), (num, 2))


def noise(*shape):
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


IMAGE = noise(480, 640)


def assert_inside(keypoints, width, height):
    assert np.isfinite(keypoints.points_px).all()
    assert (keypoints.points_px >= 0).all()
    assert (keypoints.points_px <= (width - 1, height - 1)).all()


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('num_features', [0, 1, 5, 127, 128, 129, 5000])
def test_exactly_the_asked_number_of_points(method, num_features):
    features = make_features(random_points(num_features))
    keypoints = select_keypoints(features, IMAGE, NUM, method)
    assert keypoints.points_px.shape == (NUM, 2)
    assert keypoints.sizes_px.shape == keypoints.angles_deg.shape == (NUM,)
    assert {a.dtype for a in (keypoints.points_px, keypoints.sizes_px, keypoints.angles_deg)} == {
        np.dtype(np.float32)
    }
    index = keypoints.keypoint_index
    given = index >= 0
    assert given.sum() == min(NUM, num_features)
    assert len(np.unique(index[given])) == given.sum()
    np.testing.assert_array_equal(keypoints.points_px[given], features.points_px[index[given]])
    np.testing.assert_array_equal(keypoints.angles_deg[given], features.angles_deg[index[given]])
    assert_inside(keypoints, 640, 480)
    size_px = 37.2 if num_features else 31.0
    np.testing.assert_allclose(keypoints.sizes_px, size_px, rtol=1e-6)


@pytest.mark.parametrize('method', METHODS)
def test_a_seed_decides_all_chance(method):
    features = make_features(random_points(500))
    few = make_features(random_points(5))
    for given in (features, few):
        first, again, other = (
            select_keypoints(given, IMAGE, NUM, method, rng_seed=seed).points_px
            for seed in (3, 3, 4)
        )
        np.testing.assert_array_equal(first, again)
        if given is few or method in ('random', 'attention'):
            assert not np.array_equal(first, other)


@pytest.mark.parametrize('shape', [(240, 320), (1080, 1920, 3), (480, 640, 1), (480, 640, 4)])
@pytest.mark.parametrize('method', METHODS)
def test_images_of_any_size_and_channels(shape, method):
    image = noise(*shape)
    features = make_features(random_points(300, shape[1], shape[0]))
    assert_inside(select_keypoints(features, image, NUM, method), shape[1], shape[0])


@pytest.mark.parametrize('method', METHODS)
def test_an_image_of_one_colour(method):
    image = np.full((480, 640, 3), 90, np.uint8)
    nothing = select_keypoints(make_features(np.zeros((0, 2))), image, NUM, method)
    assert_inside(nothing, 640, 480)
    assert (nothing.keypoint_index == -1).all()
    assert (nothing.angles_deg == 0).all()
    spread = nothing.points_px.std(axis=0)
    np.testing.assert_allclose(spread, np.array([640, 480]) / np.sqrt(12), rtol=0.15)
    many = select_keypoints(make_features(random_points(500)), image, NUM, method)
    assert (many.keypoint_index >= 0).all()


def test_response_takes_the_strongest():
    apart = np.stack(np.meshgrid(np.arange(20, 640, 40), np.arange(20, 480, 40)), -1)
    features = make_features(apart.reshape(-1, 2))
    chosen = select_keypoints(features, IMAGE, NUM, 'response').keypoint_index
    assert features.responses[chosen].min() >= np.sort(features.responses)[-NUM]


def test_response_takes_turns_over_the_scales():
    apart = np.stack(np.meshgrid(np.arange(20, 640, 60), np.arange(20, 480, 60)), -1)
    features = make_features(apart.reshape(-1, 2))
    fine = np.arange(len(features)) % 4 != 0
    sizes_px = np.where(fine, 31.0, 62.0).astype(np.float32)
    strength = (features.responses + 10 * fine).astype(np.float32)
    features = dataclasses.replace(features, sizes_px=sizes_px, responses=strength)
    chosen = select_keypoints(features, IMAGE, 20, 'response').keypoint_index
    assert fine[chosen].tolist() == [True, False] * 10
    for scale in (fine, ~fine):
        strongest = np.flatnonzero(scale)[np.argsort(-strength[scale])]
        np.testing.assert_array_equal(chosen[scale[chosen]], strongest[:10])


def test_a_crowded_point_comes_last():
    points_px = [[100, 100], [109, 100], [300, 100], [315, 100], [100, 300]]
    features = make_features(points_px, [5, 4, 3, 2, 1])
    sizes_px = np.array([31, 31, 62, 62, 62], np.float32)  # at twice the scale, 20 px are near
    features = dataclasses.replace(features, sizes_px=sizes_px)
    chosen = select_keypoints(features, IMAGE, 4, 'response').keypoint_index
    assert chosen.tolist() == [0, 2, 4, 1]


def test_grid_spreads_over_the_image():
    clustered = np.random.default_rng(0).normal((100, 100), 10, (900, 2))
    strong = np.concatenate([np.full(900, 1.0), np.full(100, 0.1)])
    features = make_features(np.concatenate([clustered, random_points(100)]), strong)
    by_grid = select_keypoints(features, IMAGE, NUM, 'grid').keypoint_index
    by_response = select_keypoints(features, IMAGE, NUM, 'response').keypoint_index
    assert (by_response < 900).all()
    assert (by_grid >= 900).sum() > 50
    # One keypoint in each cell: a regular pattern is chosen whole before any second point.
    pattern = np.stack(np.meshgrid(np.arange(24, 640, 49), np.arange(24, 480, 49)), -1)
    pattern = pattern.reshape(-1, 2)
    both = make_features(
        np.concatenate([clustered, pattern]), np.append(strong[:900], pattern[:, 0] * 0)
    )
    chosen = select_keypoints(both, IMAGE, len(pattern), 'grid').points_px
    assert len(np.unique(chosen // 70, axis=0)) > 60


def test_attention_prefers_edges_and_near_surfaces():
    image = np.full((480, 640), 100, np.uint8)
    image[:, :320] = noise(480, 320)
    features = make_features(random_points(600))
    chosen = select_keypoints(features, image, 100, 'attention').points_px
    assert (chosen[:, 0] < 320).mean() > 0.9
    depth_m = np.full((480, 640), 5.0, np.float32)
    depth_m[:240] = 0.5
    chosen = select_keypoints(features, IMAGE, 100, 'attention', depth_m=depth_m).points_px
    assert (chosen[:, 1] < 240).mean() > 0.75


def test_attention_map_without_a_depth_value_is_the_edges():
    unknown = np.zeros((480, 640), np.float32)
    np.testing.assert_allclose(attention_map(IMAGE, unknown), attention_map(IMAGE))
    with pytest.raises(InputError, match=r'\(10, 10\)'):
        attention_map(IMAGE, np.ones((10, 10), np.float32))


def test_attention_map_finds_a_dot():
    image = np.zeros((241, 323), np.uint8)
    image[101, 202] = 255
    attention = attention_map(image)
    assert attention.shape == (61, 81)
    points_px = np.array([[202, 101], [210, 101], [10, 10], [322, 240]], np.float32)
    at = attention_at(attention, points_px)
    assert at[0] > at[1] > at[2] >= 0
    assert at[3] == 0


def test_completed_points_lie_on_lines_to_the_centre():
    points_px = np.array([[10, 10], [600, 30], [400, 470]], np.float32)
    keypoints = select_keypoints(make_features(points_px), IMAGE, NUM)
    np.testing.assert_array_equal(keypoints.keypoint_index, [0, 1, 2] + [-1] * 125)
    added = keypoints.points_px[3:]
    centre = np.array([639, 479]) / 2
    lines = points_px - centre
    relative = added - centre
    off = relative[:, None, 0] * lines[:, 1] - relative[:, None, 1] * lines[:, 0]
    nearest = np.abs(off / np.linalg.norm(lines, axis=1)).argmin(axis=1)
    assert np.abs(off / np.linalg.norm(lines, axis=1)).min(axis=1).max() < 1e-3
    along = (relative * lines[nearest]).sum(axis=1) / (lines[nearest] ** 2).sum(axis=1)
    assert along.min() >= 0
    assert along.max() <= 1
    assert set(nearest) == {0, 1, 2}


def test_a_single_keypoint_at_the_centre_has_no_line():
    keypoints = select_keypoints(make_features([[319.5, 239.5]]), IMAGE, NUM)
    assert keypoints.points_px.std(axis=0).min() > 100


def test_completed_angles_are_orbs():
    image = cv2.GaussianBlur(IMAGE, (0, 0), 5)
    points_px = random_points(50).astype(np.float32)
    expected = [cv2.KeyPoint(float(x), float(y), 31.0) for x, y in points_px]
    _set_intensity_centroid_angles(cv2.copyMakeBorder(image, 0, 0, 0, 0, 0), expected)
    inner = ((points_px > 16) & (points_px < (622, 462))).all(axis=1)
    angles = intensity_centroid_angles(image, points_px)
    off = (angles - [k.angle for k in expected] + 180) % 360 - 180
    np.testing.assert_allclose(off[inner], 0, atol=1e-2)
    assert ((angles >= 0) & (angles <= 360)).all()


def test_margin_drops_keypoints_at_the_border():
    points_px = np.concatenate([random_points(400), [[0, 0], [639, 479], [320, 2]]])
    keypoints = select_keypoints(make_features(points_px), IMAGE, NUM, margin_px=32)
    assert (keypoints.points_px >= 32).all()
    assert (keypoints.points_px <= (640 - 32, 480 - 32)).all()
    few = select_keypoints(make_features([[0, 0], [100, 100]]), IMAGE, NUM, margin_px=32)
    assert (few.points_px >= 32).all()
    none = select_keypoints(make_features(np.zeros((0, 2))), IMAGE, NUM, margin_px=32)
    assert (none.points_px >= 32).all()
    assert (none.points_px <= (640 - 32, 480 - 32)).all()


def test_keypoints_at_the_border_stay_when_there_are_no_others():
    keypoints = select_keypoints(make_features([[0, 0], [639, 479]]), IMAGE, NUM, margin_px=32)
    assert {0, 1} <= set(keypoints.keypoint_index)
    tiny = select_keypoints(make_features([[3, 3]]), noise(9, 9), NUM, margin_px=32)
    assert_inside(tiny, 9, 9)


def test_keypoints_outside_the_image_are_left_out():
    points_px = [[np.nan, 5], [-1, 5], [640, 5], [5, 480], [np.inf, 1], [7, 8]]
    keypoints = select_keypoints(make_features(points_px), IMAGE, NUM)
    np.testing.assert_array_equal(keypoints.keypoint_index[:2], [5, -1])
    assert_inside(keypoints, 640, 480)


def test_complete_points_gives_none_for_none():
    rng = np.random.default_rng(0)
    assert complete_points(np.zeros((0, 2), np.float32), (64, 48), 0, rng).shape == (0, 2)
    one_pixel = complete_points(np.zeros((0, 2), np.float32), (1, 1), 4, rng, margin_px=8)
    np.testing.assert_array_equal(one_pixel, np.zeros((4, 2)))


def test_wrong_arguments():
    features = make_features(random_points(5))
    with pytest.raises(ConfigError, match="'best'"):
        select_keypoints(features, IMAGE, NUM, 'best')
    with pytest.raises(ConfigError, match='is 0'):
        select_keypoints(features, IMAGE, 0)


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((0, 640), np.uint8),
        np.zeros((480, 640, 2), np.uint8),
        np.zeros((480, 640, 3), np.float32),
        np.zeros((480, 640), np.uint16),
        np.zeros(640, np.uint8),
        np.zeros((1, 480, 640, 3), np.uint8),
    ],
)
def test_other_images_are_refused_with_their_shape(image):
    with pytest.raises(InputError) as error:
        select_keypoints(make_features(random_points(5)), image, NUM)
    assert str(image.shape) in str(error.value)
