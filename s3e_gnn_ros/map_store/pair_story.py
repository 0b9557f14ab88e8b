"""The whole story of two keyframes of a map: front end, back end, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.archive import Archive
from s3e_gnn_ros.loop_closure.database import KeyframeRows
from s3e_gnn_ros.loop_closure.explanation import Explanation, explain
from s3e_gnn_ros.map_store.map_graph import add_to_graph
from s3e_gnn_ros.map_store.records import EdgeKind
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.pose_graph.closure_report import ClosureReport
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

Weights = Mapping[tuple[KeyframeKey, KeyframeKey], float]
"""By match and query."""


@dataclass(frozen=True, eq=False)
class Closures:
    """The loop closures of a map.

    Attributes:
        believed: those that the back end gets.
        removed: those that were taken out by hand.
        weights: what the back end said of them last, where it said anything.
    """

    believed: Sequence[LoopClosure]
    removed: Sequence[LoopClosure]
    weights: Weights


@dataclass(frozen=True, eq=False)
class BackEnd:
    """What the back end makes of a closure.

    Attributes:
        closure: as it was measured.
        weight: what the back end said last: 1 as measured, 0 taken out; None where it said
            nothing.
        chi2: of its residual at the poses of the map; None where these are not known.
        report: of the pose graph of the map, solved anew; None where it was not.
    """

    closure: LoopClosure
    weight: float | None
    chi2: float | None
    report: ClosureReport | None


@dataclass(frozen=True, eq=False)
class PairStory:
    """The story of a pair.

    Attributes:
        explanation: the front end's part.
        back_end: None where there is no closure between the two.
        pictures: grey or BGR of query and match, of any size; None where there is none.
    """

    explanation: Explanation
    back_end: BackEnd | None
    pictures: tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]


def story_of_map(
    store: MapStore, config: Config, query: KeyframeKey, match: KeyframeKey
) -> PairStory:
    """Tell the story of two keyframes of a stored map.

    Raises:
        InputError: see :func:`explanation.explain`; the map is of other weights, or cannot be
            solved.
    """
    store.check_weights(weights_of(config.retrieval)[0])
    rows, edges = store.rows(), store.edges(EdgeKind.CLOSURE)
    closures = Closures(
        store.closures(),
        store.closures(EdgeKind.REJECTED),
        {(edge.i, edge.j): edge.weight for edge in edges},
    )
    archive = Archive(rows, [*closures.believed, *closures.removed], store)
    return PairStory(
        explain(archive, config, query, match),
        back_end(rows, closures, config, query, match),
        (store.thumbnail(query), store.thumbnail(match)),
    )


def back_end(
    rows: KeyframeRows,
    closures: Closures,
    config: Config,
    query: KeyframeKey,
    match: KeyframeKey,
    *,
    solve: bool = True,
) -> BackEnd | None:
    """Return what the back end makes of the closure between two keyframes, either way round.

    Args:
        rows: all keyframes.
        closures: between them.
        config: of the pose graph.
        query: one end.
        match: the other end.
        solve: whether to solve the pose graph anew, for all that only it can tell.

    Returns:
        None where there is no closure.

    Raises:
        InputError: the pose graph cannot be solved.
    """
    ends = {(match, query), (query, match)}
    every = [*closures.believed, *closures.removed]
    closure = next((each for each in every if ends_of(each) in ends), None)
    if closure is None:
        return None
    report = None
    if solve:
        report = _graph(rows, closures, config).report(*ends_of(closure))
    return BackEnd(closure, closures.weights.get(ends_of(closure)), _chi2(rows, closure), report)


def ends_of(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    """Return match and query of a closure."""
    return (
        KeyframeKey(closure.match_session, closure.match_id),
        KeyframeKey(closure.query_session, closure.query_id),
    )


def _graph(rows: KeyframeRows, closures: Closures, config: Config) -> PoseGraph:
    graph = PoseGraph(config.pose_graph)
    entered = [*closures.believed, *closures.removed]
    add_to_graph(graph, rows, entered, config.pose_graph.max_speed_m_per_s)
    for closure in closures.removed:
        graph.remove_closure(*ends_of(closure))
    graph.finish()
    return graph


def _chi2(rows: KeyframeRows, closure: LoopClosure) -> float | None:
    """Return the chi2 of a closure's residual at the poses of the map."""
    row_i, row_j = (rows.keys.index(key) for key in ends_of(closure))
    T_i, T_j = rows.T_map_camera[row_i], rows.T_map_camera[row_j]
    if not (np.isfinite(T_i).all() and np.isfinite(T_j).all()):
        return None
    twist = se3.logmap(se3.inverse(closure.T_match_query) @ se3.inverse(T_i) @ T_j)
    return float(twist @ np.linalg.solve(closure.covariance, twist))
