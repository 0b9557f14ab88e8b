"""How the pose graph is, for /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.ros.graph_messages import GraphSnapshot
from s3e_gnn_ros.ros.health import Health, Level


def report_graph(
    snapshot: GraphSnapshot, counters: Mapping[str, int], last_run: tuple[float, float] | None
) -> Health:
    """Report what is in the graph, and the last optimisation.

    Args:
        snapshot: of the graph.
        counters: of the node.
        last_run: how long ago the last optimisation ended [s] and how long it took [ms]; None
            before the first.
    """
    num_out = int((snapshot.weights == 0).sum())
    values: dict[str, int | float] = {
        'keyframes': len(snapshot.keys),
        'closures': len(snapshot.weights) - num_out,
        'closures taken out': num_out,
        'odometry breaks': counters.get('odometry_breaks', 0),
    }
    if last_run is not None:
        values |= {'last optimisation [s ago]': last_run[0], 'last optimisation [ms]': last_run[1]}
    message = f'{values["keyframes"]} keyframes, {values["closures"]} closures'
    return Health('pose graph', Level.OK, message, values)


def judge_correction(correction: Correction | None, *, is_used: bool | None) -> Health:
    """Judge whether odometry is corrected.

    Args:
        correction: of the newest keyframe; None before the first.
        is_used: whether the last odometry was corrected by it; None before the first.
    """
    name = 'correction'
    if is_used is None:
        return Health(name, Level.OK, 'no odometry has come so far', {})
    if correction is None:
        return Health(name, Level.OK, 'no keyframe of this robot has come so far', {})
    values = {'odometry frame': correction.odom_frame, 'tied': str(correction.is_tied).lower()}
    if is_used:
        return Health(name, Level.OK, 'odometry is corrected', values)
    if not correction.is_tied:
        message = 'odometry began anew, and no loop has led back so far: nothing is published'
    else:
        message = 'the newest keyframe is not of the odometry that comes: nothing is published'
    return Health(name, Level.WARN, message, values)
