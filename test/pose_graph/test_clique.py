import networkx
import numpy as np
import pytest

from s3e_gnn_ros.pose_graph import clique
from s3e_gnn_ros.pose_graph.clique import large_clique


def random_graph(num: int, density: float, seed: int) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).random((num, num)) < density, 1)
    return upper | upper.T


def is_clique(adjacency: np.ndarray, vertices: np.ndarray) -> bool:
    return bool((adjacency[np.ix_(vertices, vertices)] | np.eye(len(vertices), dtype=bool)).all())


@pytest.mark.parametrize('seed', range(10))
def test_small_graphs_are_solved_exactly(seed):
    adjacency = random_graph(14, 0.5, seed)
    found = large_clique(adjacency)
    largest = max(len(c) for c in networkx.find_cliques(networkx.from_numpy_array(adjacency)))
    assert is_clique(adjacency, found)
    assert len(found) == largest


@pytest.mark.parametrize('seed', range(5))
def test_large_graphs_are_solved_well(monkeypatch, seed):
    adjacency = random_graph(38, 0.5, seed)
    exact = large_clique(adjacency)
    monkeypatch.setattr(clique, '_MAX_EXACT', 0)
    greedy = large_clique(adjacency)
    assert is_clique(adjacency, greedy)
    assert len(greedy) >= len(exact) - 1


def test_a_planted_clique_is_found():
    adjacency = random_graph(300, 0.3, 0)
    planted = np.arange(17, 300, 4)
    adjacency[np.ix_(planted, planted)] = ~np.eye(len(planted), dtype=bool)
    assert set(planted) <= set(large_clique(adjacency).tolist())


def test_no_vertex_and_lone_vertices():
    assert len(large_clique(np.zeros((0, 0), bool))) == 0
    assert len(large_clique(np.zeros((3, 3), bool))) == 1
    assert len(large_clique(np.zeros((50, 50), bool))) == 1
