"""Whether a new loop closure agrees with the map as it is, given how sure the map is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from s3e_gnn_ros.geometry.se3 import Pose, inverse
from s3e_gnn_ros.pose_graph.edge import Edge, strung, turned
from s3e_gnn_ros.pose_graph.twists import logmaps, squared_distances
from s3e_gnn_ros.types import KeyframeKey

_LEVER_M = 1.0
"""A rotation's variance counts like the translation it makes at this distance."""


def surprise(
    closure: Edge, T_i_j: Pose, edges: Callable[[], Sequence[Edge]], threshold: float
) -> bool:
    """Tell whether a closure contradicts the present estimate of the relative pose of its ends.

    The uncertainty of that estimate is bounded from above by that of the surest single way through
    the graph, which is much cheaper than the marginal of all ways together; it is looked for
    only where the closure's own covariance does not explain the difference.

    Args:
        closure: not in the graph yet.
        T_i_j: (4, 4) present estimate.
        edges: returns all that is in the graph.
        threshold: chi2 up to which the two agree.
    """
    twist = logmaps((inverse(closure.T_i_j) @ T_i_j)[None])
    if squared_distances(twist, closure.covariance[None])[0] <= threshold:
        return False
    covariance = closure.covariance + way_covariance(edges(), closure.i, closure.j)
    return bool(squared_distances(twist, covariance[None])[0] > threshold)


def way_covariance(
    edges: Sequence[Edge], start: KeyframeKey, end: KeyframeKey
) -> NDArray[np.float64]:
    """Return the covariance (6, 6) of the relative pose of two keyframes along the surest way.

    It is zero where no way leads from one to the other; the perturbation is on the right, at the
    end.
    """
    keys = {key: k for k, key in enumerate(dict.fromkeys(k for e in edges for k in (e.i, e.j)))}
    if start not in keys or end not in keys:
        return np.zeros((6, 6))
    ends = np.array([(keys[edge.i], keys[edge.j]) for edge in edges])
    variances = np.array([edge.covariance.diagonal() for edge in edges])
    lengths = variances[:, 3:].sum(axis=1) + _LEVER_M**2 * variances[:, :3].sum(axis=1)
    graph = coo_matrix((lengths, ends.T), shape=(len(keys), len(keys)))
    before = dijkstra(graph, directed=False, indices=keys[start], return_predecessors=True)[1]
    by_ends = {tuple(pair): edge for pair, edge in zip(ends.tolist(), edges, strict=True)}
    way: Edge | None = None
    at = keys[end]
    while before[at] >= 0:
        came_from = int(before[at])
        step = by_ends.get((came_from, at))
        step = turned(by_ends[at, came_from]) if step is None else step
        way = step if way is None else strung(step, way)
        at = came_from
    return np.zeros((6, 6)) if way is None else way.covariance
