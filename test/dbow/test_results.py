"""What max_id means, and the order of results."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.dbow.results import Comparison, IdRule, QueryResults, Result, allowed, best


def ids(num_entries, max_id, rule):
    return np.flatnonzero(allowed(num_entries, max_id, rule)).tolist()


@pytest.mark.parametrize(
    ('rule', 'max_id', 'expected'),
    [
        (IdRule.DOCUMENTED, -1, [0, 1, 2, 3]),
        (IdRule.DOCUMENTED, -2, []),
        (IdRule.DOCUMENTED, -50, []),
        (IdRule.DOCUMENTED, 0, [0]),
        (IdRule.DOCUMENTED, 2, [0, 1, 2]),
        (IdRule.DOCUMENTED, 9, [0, 1, 2, 3]),
        (IdRule.DBOW2, -1, [0, 1, 2, 3]),
        (IdRule.DBOW2, -2, []),
        (IdRule.DBOW2, 0, []),
        (IdRule.DBOW2, 2, [0, 1]),
        (IdRule.VINS, -1, [0, 1, 2, 3]),
        (IdRule.VINS, -2, [3]),
        (IdRule.VINS, 1, [0, 3]),
    ],
)
def test_max_id(rule, max_id, expected):
    assert ids(4, max_id, rule) == expected


@given(st.integers(0, 20), st.integers(-60, 30))
def test_rules_are_what_the_conditions_in_the_sources_say(num_entries, max_id):
    entries = range(num_entries)
    in_code = [i for i in entries if i < max_id or max_id == -1]
    in_vins = [i for i in entries if i < max_id or max_id == -1 or i == num_entries - 1]
    assert ids(num_entries, max_id, IdRule.DBOW2) == in_code
    assert ids(num_entries, max_id, IdRule.VINS) == in_vins


def compared(scores, ranks_by=None):
    scores = np.array(scores, np.float32)
    return Comparison(scores, scores if ranks_by is None else np.array(ranks_by, np.float32))


def test_best_first_the_older_of_equals_and_nothing_without_a_score():
    everything = np.ones(5, bool)
    found = best(compared([0.5, 0.0, 0.75, 0.5, 0.25]), everything, 0)
    assert found.ids == [2, 0, 3, 4]
    assert found.scores == [0.75, 0.5, 0.5, 0.25]
    assert best(compared([0.5, 0.0, 0.75, 0.5, 0.25]), everything, 2) == [
        Result(2, 0.75),
        Result(0, 0.5),
    ]
    assert isinstance(found, QueryResults)


def test_entries_that_are_not_allowed_are_left_out_before_the_best_are_chosen():
    is_allowed = np.array([True, True, False])
    assert best(compared([0.25, 0.5, 1.0]), is_allowed, 2).ids == [1, 0]


def test_scores_that_have_reached_one_are_told_apart_by_what_they_come_from():
    found = best(compared([1.0, 1.0, 0.5], [0.96, 0.99, 0.7]), np.ones(3, bool), 0)
    assert found == [Result(1, 1.0), Result(0, 1.0), Result(2, 0.5)]
