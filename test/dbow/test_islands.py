"""Islands of results and their consistency in time, against a plain reading of the rules."""

from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.dbow.islands import Island, TemporalWindow, find_islands
from s3e_gnn_ros.dbow.parameters import Parameters
from s3e_gnn_ros.dbow.results import QueryResults, Result


def results(*pairs):
    return QueryResults(sorted((Result(*pair) for pair in pairs), key=lambda r: (-r.score, r.id)))


def test_results_close_together_are_an_island_with_the_sum_of_their_scores():
    found = find_islands(results((7, 0.25), (2, 0.5), (3, 0.75), (9, 0.5)), Parameters())
    assert [(each.first, each.last, each.score) for each in found] == [(2, 3, 1.25), (7, 9, 0.75)]
    assert [each.best.id for each in found] == [3, 9]


def test_the_gap_is_exclusive():
    parameters = Parameters(max_intragroup_gap=3)
    assert len(find_islands(results((1, 0.5), (3, 0.5)), parameters)) == 1
    assert len(find_islands(results((1, 0.5), (4, 0.5)), parameters)) == 2


def test_a_short_island_sinks_but_not_a_single_result():
    parameters = Parameters(min_matches_per_group=3)
    assert find_islands(results((1, 0.5), (2, 0.5), (9, 0.5)), parameters) == []
    # Its length is counted from first to last, whatever lies between.
    assert len(find_islands(results((1, 0.5), (3, 0.5), (9, 0.5)), parameters)) == 1
    assert find_islands(results((9, 0.5)), parameters) == [Island(9, 9, 0.5, Result(9, 0.5))]
    assert find_islands(QueryResults(), parameters) == []


def test_the_best_of_an_island_is_the_one_that_came_first_among_equal_scores():
    ranked = QueryResults([Result(5, 1.0), Result(4, 1.0), Result(6, 0.5)])
    assert find_islands(ranked, Parameters())[0].best.id == 5


@given(
    st.dictionaries(st.integers(0, 60), st.integers(1, 8), max_size=25),
    st.integers(0, 6),
    st.integers(0, 5),
)
def test_islands_share_out_the_results(scores, gap, least):
    parameters = Parameters(max_intragroup_gap=gap, min_matches_per_group=least)
    found = find_islands(results(*((i, s / 8) for i, s in scores.items())), parameters)
    runs: list[list[int]] = []
    for i in sorted(scores):
        if runs and i - runs[-1][-1] < gap:
            runs[-1].append(i)
        else:
            runs.append([i])
    kept = [run for run in runs if len(scores) == 1 or run[-1] - run[0] + 1 >= least]
    assert [(each.first, each.last) for each in found] == [(run[0], run[-1]) for run in kept]
    for each, run in zip(found, kept, strict=True):
        assert each.score == sum(scores[i] for i in run) / 8
        assert scores[each.best.id] == max(scores[i] for i in run)


def island(first, last):
    return Island(first, last, 1.0, Result(first, 1.0))


def test_queries_in_a_row_that_match_neighbouring_islands_are_counted():
    window = TemporalWindow(Parameters(max_distance_between_groups=3))
    assert window.push(30, island(2, 4)) == 1
    assert window.push(31, island(3, 5)) == 2  # overlaps
    assert window.push(32, island(8, 9)) == 3  # 3 further
    assert window.push(33, island(1, 5)) == 4  # 3 back
    assert window.push(34, island(0, 9)) == 5  # holds the last one
    assert window.push(35, island(13, 14)) == 1  # 4 further
    assert window.push(36, island(14, 15)) == 2


def test_a_query_too_late_begins_anew():
    window = TemporalWindow(Parameters(max_distance_between_queries=2))
    assert window.push(30, island(2, 4)) == 1
    assert window.push(32, island(2, 4)) == 2
    assert window.push(35, island(2, 4)) == 1
