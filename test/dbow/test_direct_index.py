"""Nodes above the words of an uneven tree."""

import numpy as np
import pytest

from s3e_gnn_ros.dbow.direct_index import group_by_node, node_of_word
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

# 0 -> 1, 2, 3;  1 -> 4, 5;  3 -> 6, 7;  6 -> 8, 9.  Words: 2, 4, 5, 7, 8, 9.
TREE = Vocabulary(
    np.zeros((9, 32), np.uint8),
    np.array([3, 2, 0, 2, 0, 0, 2, 0, 0, 0], np.int32),
    np.ones(6, np.float32),
)


@pytest.mark.parametrize(
    ('levels_up', 'expected'),
    [
        (0, [2, 4, 5, 7, 8, 9]),
        (1, [2, 4, 5, 7, 6, 6]),
        (2, [2, 1, 1, 3, 3, 3]),
        (3, [0] * 6),
        (9, [0] * 6),
    ],
)
def test_words_go_up_to_their_level(levels_up, expected):
    assert node_of_word(TREE, levels_up).tolist() == expected


def test_features_are_grouped_and_those_without_a_node_left_out():
    found = group_by_node(np.array([4, -1, 2, 4, 9]))
    assert {node: indices.tolist() for node, indices in found.items()} == {
        2: [2],
        4: [0, 3],
        9: [4],
    }
    assert group_by_node(np.zeros(0, np.intp)) == {}
    assert group_by_node(np.array([-1, -1])) == {}
