"""Large cliques of a graph: sets of vertices of which every two are joined."""

from __future__ import annotations

import networkx
import numpy as np
from numpy.typing import NDArray

_MAX_EXACT = 40
"""Vertices up to which the exact search, exponential in the worst case, takes milliseconds."""
_NUM_STARTS = 10


def large_clique(adjacency: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the vertices of a largest clique of a small graph, of a large one of a big graph.

    Up to 40 vertices the search is exact (networkx). Beyond, a clique grows greedily from each
    of 10 vertices of many neighbours by the vertex that leaves the most others to choose from
    (Pattabiraman et al., "Fast Algorithms for the Maximum Clique Problem on Massive Graphs"),
    and the largest counts.

    Args:
        adjacency: (V, V) symmetric; the diagonal does not matter.

    Returns:
        Sorted indices.
    """
    adjacency = adjacency & ~np.eye(len(adjacency), dtype=bool)
    if len(adjacency) <= _MAX_EXACT:
        graph = networkx.from_numpy_array(adjacency)
        clique, _ = networkx.max_weight_clique(graph, weight=None)
        return np.sort(np.array(clique, dtype=np.int64))
    degrees = adjacency.sum(axis=1)
    best = np.zeros(0, np.int64)
    for start in np.argsort(-degrees, kind='stable')[:_NUM_STARTS].tolist():
        if degrees[start] < len(best):
            break  # no vertex from here on has neighbours enough for a larger one
        clique = _grow(adjacency, start)
        best = clique if len(clique) > len(best) else best
    return np.sort(best)


def _grow(adjacency: NDArray[np.bool_], start: int) -> NDArray[np.int64]:
    clique = [start]
    candidates = np.flatnonzero(adjacency[start])
    # Among the candidates, how many each leaves; kept current as candidates fall away.
    degrees = adjacency[np.ix_(candidates, candidates)].sum(axis=1)
    while len(candidates):
        best = int(np.argmax(degrees))
        clique.append(int(candidates[best]))
        stays = adjacency[candidates[best], candidates]
        gone = candidates[~stays]
        degrees = degrees[stays] - adjacency[np.ix_(candidates[stays], gone)].sum(axis=1)
        candidates = candidates[stays]
    return np.array(clique, dtype=np.int64)
