"""Correspondences against a plain loop over all pairs, and the fundamental matrix."""

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.dbow.matching import count_epipolar_inliers, match_by_ratio, match_with_flann
from s3e_gnn_ros.dbow.parameters import Parameters


def plainly(old, current, ratio, is_comparable):
    """Say in loops what the matcher promises."""
    chosen = {}
    for i, mine in enumerate(old):
        distances = sorted(
            (int(np.unpackbits(mine ^ theirs).sum()), j)
            for j, theirs in enumerate(current)
            if is_comparable[i, j]
        )
        if not distances:
            continue
        first, j = distances[0]
        if len(distances) > 1:
            second = distances[1][0]
            if second == 0 or first > ratio * second:
                continue
        if j not in chosen or first < chosen[j][0]:
            chosen[j] = first, i
    return sorted((i, j) for j, (_, i) in chosen.items())


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_matches_are_what_a_loop_over_all_pairs_finds(seed, num_old, num_current, masked):
    rng = np.random.default_rng(seed)
    # Few different bits, so that there are ties and equal descriptors.
    old = np.repeat(rng.integers(0, 4, (num_old, 1), dtype=np.uint8), 32, axis=1)
    current = np.repeat(rng.integers(0, 4, (num_current, 1), dtype=np.uint8), 32, axis=1)
    mask = rng.random((num_old, num_current)) < 0.6 if masked else None
    found = match_by_ratio(old, current, 0.6, mask)
    everything = np.ones((num_old, num_current), bool) if mask is None else mask
    assert sorted(map(tuple, found.tolist())) == plainly(old, current, 0.6, everything)


@pytest.mark.parametrize('match', [match_by_ratio, match_with_flann])
def test_the_same_corners_are_found_among_strangers(match):
    rng = np.random.default_rng(0)
    old = synthetic.random_descriptors(300, rng)
    noise = np.packbits(rng.random((200, 256)) < 0.05, axis=1)
    current = np.concatenate([synthetic.random_descriptors(100, rng), old[:200] ^ noise])
    found = match(old, current, 0.6)
    assert (found[:, 1] == found[:, 0] + 100).all()
    assert len(found) > 180
    assert match(old, current[:0], 0.6).shape == (0, 2)
    assert match(old[:0], current, 0.6).shape == (0, 2)


def test_points_that_one_motion_explains_are_counted():
    rng = np.random.default_rng(1)
    points = rng.uniform((-1.0, -0.7, 2.0), (1.0, 0.7, 5.0), (60, 3))
    old = synthetic.CAMERA.project(points)
    current = synthetic.CAMERA.project(points + np.array([0.4, 0.05, 0.1]))
    current[:20] += rng.uniform(20.0, 80.0, (20, 2))
    parameters = Parameters()
    assert 40 <= count_epipolar_inliers(old, current, parameters) <= 45
    assert count_epipolar_inliers(old[:11], current[:11], parameters) == 0
    at_one_pixel = np.full((30, 2), 50.0)
    assert count_epipolar_inliers(at_one_pixel, at_one_pixel, parameters) == 0
