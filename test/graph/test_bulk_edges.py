"""Many edges at once against one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.linking import chain_links, link_keyframe

CONFIG = GNNConfig(embedding_dim=4, max_covisible=2, max_loops=1)


def make_graph(num):
    graph = EmbeddingPoseGraph(CONFIG)
    graph.add_nodes(
        np.full((num, 4), 0.5, np.float32),
        stamps_ns=np.arange(num),
        sessions=np.full(num, 2**62),
        T_odom_camera=np.tile(np.eye(4), (num, 1, 1)),
    )
    return graph


@given(
    edges=st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]),
        max_size=40,
    ),
    kinds=st.lists(st.sampled_from(EdgeKind), min_size=40, max_size=40),
)
def test_the_same_edges_in_the_same_slots(edges, kinds):
    at_once, one_by_one = make_graph(8), make_graph(8)
    kinds = kinds[: len(edges)]
    expected = [one_by_one.add_edge(*edge, kind) for edge, kind in zip(edges, kinds, strict=True)]
    is_new = at_once.add_edges(np.array(edges, dtype=np.int64).reshape(-1, 2), kinds)
    assert is_new.tolist() == expected
    for node in range(8):
        for kind in EdgeKind:
            assert at_once.neighbours(node, kind) == one_by_one.neighbours(node, kind)


@pytest.mark.parametrize(('edge', 'message'), [((1, 9), 'no node 9'), ((2, 2), 'with itself')])
def test_a_wrong_edge_leaves_the_graph_as_it_was(edge, message):
    graph = make_graph(4)
    graph.remove_node(0)
    with pytest.raises(InputError, match=message):
        graph.add_edges(np.array([(1, 2), edge]), [EdgeKind.LOOP] * 2)
    with pytest.raises(InputError, match='no node 0'):
        graph.add_edges(np.array([(1, 2), (0, 3)]), [EdgeKind.LOOP] * 2)
    assert graph.neighbours(1) == []


def test_sessions_as_large_as_a_clock_in_nanoseconds():
    assert make_graph(3).sessions(np.arange(3)).tolist() == [2**62] * 3


class Recorded:
    """Remembers what is asked for."""

    def __init__(self):
        self.asked = []

    def add_edge(self, first, second, kind):
        self.asked.append((first, second, kind))
        return True


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    num=st.integers(0, 30),
    num_known=st.integers(0, 12),
    window=st.integers(0, 6),
)
def test_a_whole_session_is_linked_as_keyframe_by_keyframe(seed, num, num_known, window):
    rng = np.random.default_rng(seed)
    config = GNNConfig(embedding_dim=4, covisible_window=window, min_covisible_similarity=0.1)
    num_known = min(num_known, num)
    embeddings = rng.standard_normal((num, 4)).astype(np.float32)
    stored = embeddings.astype(np.float16).astype(np.float32)
    nodes = np.cumsum(rng.integers(1, 4, num))
    recorded = Recorded()
    for row in range(num_known, num):
        recent = slice(max(0, row - 1 - window), row)
        link_keyframe(
            recorded, int(nodes[row]), embeddings[row], nodes[recent], stored[recent], config
        )
    edges, kinds = chain_links(nodes, embeddings, stored, num_known, config)
    asked = [(*edge, kind) for edge, kind in zip(edges.tolist(), kinds, strict=True)]
    assert asked == recorded.asked
