"""Rankings small enough to be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.ranking import (
    average_precision,
    max_recall_at_full_precision,
    num_before_positive,
    precision_recall,
    recall_at_k,
)

NAN = float('nan')
RANKINGS = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, NAN]), st.booleans()), max_size=12)


def test_curve_by_hand():
    curve = precision_recall([0.2, 0.9, 0.5, 0.7], [True, True, False, True])
    assert curve.thresholds.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert curve.precision == pytest.approx([1, 1, 2 / 3, 3 / 4])
    assert curve.recall == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ('similarity', 'is_positive', 'ap', 'full'),
    [
        # 1/3 at precision 1, 1/3 at 1, 1/3 at 3/4
        ([0.9, 0.7, 0.5, 0.2], [1, 1, 0, 1], (1 + 1 + 0.75) / 3, 2 / 3),
        # the best one is false
        ([0.9, 0.7], [0, 1], 0.5, 0.0),
        # a true and a false one tie at the top: one threshold, precision 1/2
        ([0.9, 0.9], [1, 0], 0.5, 0.0),
        ([0.9, 0.9], [0, 1], 0.5, 0.0),
        # one clean positive, then a tie
        ([0.9, 0.5, 0.5], [1, 0, 1], 0.5 * 1 + 0.5 * 2 / 3, 0.5),
        # two positives that tie
        ([0.9, 0.9, 0.1], [1, 1, 0], 1.0, 1.0),
        # the false one is junk, then the positive is
        ([NAN, 0.7], [0, 1], 1.0, 1.0),
        ([NAN, 0.7, 0.6], [1, 0, 1], 0.5, 0.0),
    ],
)
def test_scores_by_hand(similarity, is_positive, ap, full):
    assert average_precision(similarity, is_positive) == pytest.approx(ap)
    assert max_recall_at_full_precision(similarity, is_positive) == pytest.approx(full)


@pytest.mark.parametrize(
    ('similarity', 'is_positive'), [([], []), ([0.5, 0.4], [0, 0]), ([NAN], [1])]
)
def test_no_positive_is_undefined(similarity, is_positive):
    assert np.isnan(average_precision(similarity, is_positive))
    assert np.isnan(max_recall_at_full_precision(similarity, is_positive))


def test_positives_that_retrieval_missed_lower_recall():
    assert average_precision([0.9, 0.8], [1, 0], num_positives=4) == pytest.approx(0.25)
    assert max_recall_at_full_precision([0.9, 0.8], [1, 0], num_positives=4) == 0.25
    assert average_precision([], [], num_positives=4) == 0.0
    assert max_recall_at_full_precision([0.9], [0], num_positives=4) == 0.0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(([0.1, 0.2], [True]), '2 similarities, 1 truths'), (([0.1], [True], 0), 'is 0, .* holds 1')],
)
def test_impossible_rankings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        average_precision(*arguments)


@given(RANKINGS, st.randoms(use_true_random=False))
def test_order_of_the_items_never_matters(items, random):
    shuffled = random.sample(items, len(items))
    for score in (average_precision, max_recall_at_full_precision):
        values = [score([i[0] for i in each], [i[1] for i in each]) for each in (items, shuffled)]
        assert values[0] == pytest.approx(values[1], nan_ok=True)


@given(RANKINGS)
def test_scores_stay_between_zero_and_one(items):
    similarity, is_positive = [i[0] for i in items], [i[1] for i in items]
    ap = average_precision(similarity, is_positive)
    full = max_recall_at_full_precision(similarity, is_positive)
    assert np.isnan(ap) == np.isnan(full)
    if not np.isnan(ap):
        # The part of the curve at precision 1 is an area of its own.
        assert 0 <= full <= ap + 1e-12 <= 1 + 2e-12


@pytest.mark.parametrize(('k', 'expected'), [(1, 1 / 3), (2, 2 / 3), (3, 1.0)])
def test_recall_at_k_by_hand(k, expected):
    similarity = np.array(
        [
            [0.9, 0.5, 0.1],  # the positive is first
            [0.9, 0.5, 0.1],  # the positive is second
            [0.5, 0.5, 0.5],  # the positive ties with two false ones
            [0.9, 0.5, 0.1],  # no positive: left out
            [NAN, 0.5, 0.1],  # the positive is junk: left out
        ]
    )
    is_positive = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=bool)
    before = is_positive.copy()
    num_before = num_before_positive(similarity, is_positive)
    assert recall_at_k(num_before, k) == pytest.approx(expected)
    assert (is_positive == before).all()


def test_recall_at_k_junk_does_not_take_a_place():
    assert recall_at_k(num_before_positive([[NAN, 0.5]], [[False, True]]), 1) == 1.0


def test_recall_at_k_without_any_positive_is_undefined():
    assert np.isnan(recall_at_k(num_before_positive([[0.5, 0.2]], [[False, False]]), 1))


@pytest.mark.parametrize(
    ('truth', 'k', 'message'), [([[True]], 1, 'shape'), ([[True, False]], 0, 'k is 0')]
)
def test_recall_at_k_refuses(truth, k, message):
    with pytest.raises(InputError, match=message):
        recall_at_k(num_before_positive([[0.5, 0.2]], truth), k)
