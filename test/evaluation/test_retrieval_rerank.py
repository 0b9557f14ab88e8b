"""Variants of the query, and verification by two-view geometry."""

import numpy as np
import pytest
from synthetic import CAMERA, look_at, make_frame

from s3e_gnn_ros.config import FeatureConfig, VerificationConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_degradations import Variant, degrade, parse_variant
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK, NEGATIVE
from s3e_gnn_ros.evaluation.retrieval_rerank import (
    OrbMatches,
    Reranker,
    count_inliers,
)


def two_views(num, rng, *, wrong=0):
    """Return matches (num + wrong, 4) of points seen by two cameras, the last ones false."""
    points = rng.uniform([-1, -1, 3], [1, 1, 6], (num, 3))
    moved = points - [0.5, 0.1, 0.2]
    right = np.hstack([CAMERA.project(points), CAMERA.project(moved)])
    false = rng.uniform(0, CAMERA.height, (wrong, 4))
    return np.vstack([right, false])


def item(index, position, target):
    frame = make_frame(look_at(position, target), index)
    features = OrbExtractor(FeatureConfig()).extract(frame)
    return Item(frame, features, 'drive', index, f'drive/{index}')


def test_inliers_are_the_matches_of_one_geometry():
    rng = np.random.default_rng(0)
    assert count_inliers(two_views(60, rng)) >= 58
    assert 58 <= count_inliers(two_views(60, rng, wrong=30)) <= 72
    assert count_inliers(two_views(7, rng)) == 0
    assert count_inliers(np.ones((20, 4))) <= 20  # all in one place: no error


def test_learned_matches_count_only_beside_those_of_orb():
    matches = two_views(60, np.random.default_rng(0))
    assert count_inliers(matches, num_orb=60) == count_inliers(matches) >= 58
    assert count_inliers(matches, num_orb=20) >= 58
    assert count_inliers(matches, num_orb=7) <= 7
    assert count_inliers(matches, num_orb=0) == 0


def test_the_candidate_with_inliers_comes_first():
    query = item(0, [-1.0, -0.2, 0.6], [0.8, 0.4, 4.0])
    same, other = item(1, [-0.9, -0.2, 0.6], [0.8, 0.4, 4.0]), item(2, [0, 0, 0], [-4, 0, -4])
    reranker = Reranker(OrbMatches(VerificationConfig()))
    similarity = np.array([[0.2, 0.9, 0.95]])
    relevance = np.array([[NEGATIVE, NEGATIVE, JUNK]], np.int8)
    new = reranker.rerank(similarity, relevance, [query], [same, other, other])
    assert new[0, 0] > 50 > new[0, 1]
    assert new[0, 2] < 0  # junk was not even tried


def test_only_the_best_five_are_tried():
    query = item(0, [-1.0, -0.2, 0.6], [0.8, 0.4, 4.0])
    new = Reranker(OrbMatches(VerificationConfig())).rerank(
        np.array([[0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]]),
        np.full((1, 7), NEGATIVE, np.int8),
        [query],
        [query] * 7,
    )
    assert (new[0, :5] > 0).all()
    assert 0 > new[0, 5] > new[0, 6]
    assert (np.diff(new[0, :5]) < 0).all()  # equal inliers: the more similar first


def test_learned_matches_are_tried_where_orb_leaves_features_free():
    query = item(0, [-1.0, -0.2, 0.6], [0.8, 0.4, 4.0])
    few = OrbMatches(VerificationConfig())
    rows = few(query, query)[:12]
    orb = lambda *_: rows  # noqa: E731
    same = np.repeat(np.arange(40)[:, None], 2, axis=1)
    with_learned = Reranker(orb, lambda *_: same).num_inliers(query, query)
    assert Reranker(orb).num_inliers(query, query) == 12
    assert with_learned == len(set(rows[:, 0]) | set(range(40)))  # none counts twice
    assert Reranker(lambda *_: rows[:0], lambda *_: same).num_inliers(query, query) == 0


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('plain', Variant('plain')),
        ('rot20+dark+dis', Variant('rot20+dark+dis', 20.0, ('dark',), True)),
        ('blur', Variant('blur', 0.0, ('blur',), False)),
    ],
)
def test_names_of_variants(text, expected):
    assert parse_variant(text) == expected


@pytest.mark.parametrize('text', ['fog', 'rot20+fog', 'plain+dis', ''])
def test_unknown_variants_are_refused(text):
    with pytest.raises(ConfigError, match='unknown variant'):
        parse_variant(text)


def test_degradations_are_repeatable_and_do_what_they_say():
    query = item(3, [-1.0, -0.2, 0.6], [0.8, 0.4, 4.0])
    sharp = query.frame.image.astype(float)
    blurred, dark = (degrade(query, (name,), 0).image.astype(float) for name in ('blur', 'dark'))
    assert np.abs(np.diff(blurred)).mean() < 0.5 * np.abs(np.diff(sharp)).mean()
    assert np.corrcoef(dark.ravel(), sharp.ravel())[0, 1] < 0.9
    assert np.array_equal(degrade(query, ('dark',), 0).image, dark)
    assert not np.array_equal(degrade(query, ('dark',), 1).image, dark)
    assert degrade(query, ('blur', 'dark'), 0).image.dtype == np.uint8
