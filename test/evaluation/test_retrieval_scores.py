"""Answers, figures and intervals that can be worked out by hand."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK, NEGATIVE, POSITIVE
from s3e_gnn_ros.evaluation.retrieval_scores import (
    METRICS,
    block_samples,
    find_answers,
    metrics,
    sample_metrics,
)

P, N, J = POSITIVE, NEGATIVE, JUNK


def answers(similarity, relevance):
    return find_answers(np.array(similarity, float), np.array(relevance, np.int8))


def test_junk_leaves_before_anything_is_counted():
    found = answers([[0.9, 0.5, 0.4]], [[J, P, N]])
    assert found.similarity.tolist() == [0.5]
    assert found.is_right.tolist() == [True]
    assert found.num_before.tolist() == [0]


def test_a_query_without_candidates_is_not_asked():
    found = answers([[0.9, 0.5], [0.2, 0.3]], [[J, J], [N, P]])
    assert len(found) == 1
    assert found.similarity.tolist() == [0.3]


def test_a_wrong_one_that_ties_wins():
    found = answers([[0.5, 0.5, 0.1]], [[P, N, N]])
    assert found.is_right.tolist() == [False]
    assert found.num_before.tolist() == [1]


def test_figures_by_hand():
    # Three queries with a match: right at .9, wrong at .8 (its match is third), right at .6;
    # one without any, silent at .7 in between.
    found = answers(
        [[0.9, 0.1, 0.1], [0.2, 0.8, 0.3], [0.0, 0.7, 0.1], [0.6, 0.5, 0.4]],
        [[P, N, N], [P, N, N], [N, N, N], [P, N, N]],
    )
    values = metrics(found)
    assert values['average_precision'] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 4)
    assert values['max_recall_at_full_precision'] == pytest.approx(1 / 3)
    assert values['recall_at_1'] == pytest.approx(2 / 3)
    assert values['recall_at_5'] == 1.0


def test_recall_at_five_counts_what_is_placed_before():
    row = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert metrics(answers([row], [[N, N, N, N, P, N]]))['recall_at_5'] == 1.0
    assert metrics(answers([row], [[N, N, N, N, N, P]]))['recall_at_5'] == 0.0


def test_without_positives_everything_is_undefined():
    values = metrics(answers([[0.9, 0.5]], [[N, N]]))
    assert all(np.isnan(values[name]) for name in METRICS)


@pytest.mark.parametrize('bad', [[[np.nan, 0.5]], [[0.5, 0.5, 0.5]]])
def test_unusable_similarities_are_refused(bad):
    with pytest.raises(InputError, match=r'not finite|similarity is'):
        answers(bad, [[P, N]])


def test_a_similarity_of_junk_may_be_anything():
    assert len(answers([[np.nan, 0.5]], [[J, P]])) == 1


def test_blocks_are_successive_queries():
    draws = block_samples(16, 50)
    assert draws.shape == (50, 16)
    steps = np.diff(draws.reshape(50, 4, 4), axis=2) % 16  # blocks of sqrt(16)
    assert (steps == 1).all()
    assert len(np.unique(draws)) == 16
    assert block_samples(0, 5).shape == (5, 0)


def test_interval_of_a_constant_is_the_constant():
    found = answers([[0.9, 0.1]] * 9, [[P, N]] * 9)
    intervals = sample_metrics([found], block_samples(9, 40)).intervals()
    for name in METRICS:
        assert (intervals[name].value, intervals[name].low, intervals[name].high) == (1, 1, 1)


def test_seeds_are_averaged():
    right, wrong = answers([[0.9, 0.1]], [[P, N]]), answers([[0.1, 0.9]], [[P, N]])
    sampled = sample_metrics([right, wrong], block_samples(1, 3))
    assert sampled.values['recall_at_1'] == 0.5
    assert sampled.samples['recall_at_1'].tolist() == [0.5] * 3


def test_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(1)
    is_hard = rng.random(64) < 0.5
    first = answers(np.where(is_hard[:, None], [0.1, 0.9], [0.9, 0.1]), [[P, N]] * 64)
    draws = block_samples(64, 200)
    same = sample_metrics([first], draws).minus(sample_metrics([first], draws))
    own = sample_metrics([first], draws).intervals()['recall_at_1']
    assert (same['recall_at_1'].low, same['recall_at_1'].high) == (0, 0)
    assert own.low < own.value < own.high


def test_paired_difference_by_hand():
    better, worse = (
        answers([[0.9, 0.1]] * 4, [[P, N]] * 4),
        answers([[0.1, 0.9]] * 4, [[P, N]] * 4),
    )
    draws = block_samples(4, 20)
    gap = sample_metrics([better], draws).minus(sample_metrics([worse], draws))['recall_at_1']
    assert (gap.value, gap.low, gap.high) == (1, 1, 1)
