"""Two maps become one: the loops between them are searched, and everything is solved together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from s3e_gnn_ros.config import Config, config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.archive import asking_keyframe
from s3e_gnn_ros.loop_closure.detector import LoopDetector
from s3e_gnn_ros.map_store.files import remove_file
from s3e_gnn_ros.map_store.map_graph import add_to_graph
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import LoopClosure

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MergedMap:
    """What merging two maps came to.

    Attributes:
        path: of the new map.
        num_keyframes: in it.
        num_new_closures: loops between the two that the pose graph believes.
        num_rejected_closures: verified loops between the two that contradict the others.
    """

    path: Path
    num_keyframes: int
    num_new_closures: int
    num_rejected_closures: int


def merge_maps(
    base: Path,
    other: Path,
    out: Path,
    config: Config,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> MergedMap:
    """Search a map in another, and write both with the loops between them as a third.

    The map frame is that of ``base``. Keyframes that are in both are taken once.

    Args:
        base: file of the map that is searched.
        other: file of the map whose keyframes ask.
        out: file to write.
        config: retrieval, verification and pose graph.
        overwrite: whether a map of this name may be lost.
        progress: called with the number of keyframes searched for, and of all.

    Raises:
        InputError: a map cannot be read or is of other weights, the two share no place, or
            ``out`` cannot be written.
    """
    if out in (base, other):
        raise InputError(f"map '{out}' cannot be written while it is merged")
    digest, _ = weights_of(config.retrieval)
    with (
        MapStore.open(base, read_only=True) as first,
        MapStore.open(other, read_only=True) as second,
    ):
        for store in (first, second):
            store.check_weights(digest)
        closures = list(_loops_between(first, second, config, progress))
        graph = PoseGraph(config.pose_graph)
        limit = config.pose_graph.max_speed_m_per_s
        add_to_graph(graph, first.rows(), first.closures(), limit)
        add_to_graph(graph, second.rows(), [*second.closures(), *closures], limit)
        graph.finish()
        believed = _num_believed(graph, closures)
        if not believed:
            raise InputError(
                f"maps '{base}' and '{other}' share no place: {len(closures)} loops between them "
                'were verified, and none is consistent with the rest'
            )
        _write(first, second, out, graph, closures, overwrite=overwrite)
    return MergedMap(out, len(graph), believed, len(closures) - believed)


def _loops_between(
    base: MapStore, other: MapStore, config: Config, progress: Progress | None
) -> Iterator[LoopClosure]:
    """Yield the verified loops from keyframes of one map to keyframes of the other."""
    # Of their own session there is nothing new to find: it must not take the candidates' places.
    alone = config_from_dict({'retrieval': {'min_keyframe_gap': 2**31}}, config)
    detector = LoopDetector(alone)
    detector.restore(base.rows(), base.closures(), base)
    inside = set(base.rows().keys)
    rows = other.rows()
    for row, key in enumerate(rows.keys):
        if key not in inside:
            view = other.view(key)
            query = detector.process(asking_keyframe(rows, row, view), view)
            for closure in query.closures:
                if closure.match in inside:
                    yield closure
        if progress is not None:
            progress(row + 1, len(rows))


def _num_believed(graph: PoseGraph, closures: list[LoopClosure]) -> int:
    pairs = {(closure.match, closure.query) for closure in closures}
    return sum(
        (match, query) in pairs for match, query, weight in graph.closure_weights() if weight
    )


def _write(
    base: MapStore,
    other: MapStore,
    out: Path,
    graph: PoseGraph,
    closures: list[LoopClosure],
    *,
    overwrite: bool,
) -> None:
    base.save_as(out, overwrite=overwrite)
    try:
        with MapStore.open(out) as merged:
            merged.copy_from(other)
            for closure in closures:
                merged.add_closure(closure)
            merged.set_poses(graph.keys, graph.poses())
            merged.set_weights(graph.closure_weights())
    except BaseException:
        remove_file(out)  # half a map is none
        raise
