"""Why two keyframes have a loop between them, asked of running nodes."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.qos import latched_qos
from s3e_gnn_ros.types import Status


def ask(caller, query, match):
    return caller.call(
        srv.Explain,
        names.EXPLAIN,
        limit_s=90.0,
        query_session=query[0],
        query_id=query[1],
        match_session=match[0],
        match_id=match[1],
    )


def ends(closure):
    query = closure.query_session, closure.query_id
    return query, (closure.match_session, closure.match_id)


def test_stories_of_pairs(robot, caller, recording, tmp_path):
    maps = tmp_path / 'maps'
    words = ['-p', f'map.directory:={maps}']
    node = robot.start('loop_closure', *words, '-p', 'map.name:=first')
    graph = robot.start('pose_graph')
    closures = caller.keep(msg.LoopClosure, names.CLOSURE, latched_qos(1000))
    placed = caller.keep(msg.KeyframePoses, names.KEYFRAME_POSES, latched_qos(1))
    robot.play(recording, 0, 52)

    def rests():
        caller.spin(0.1)
        status, of_graph = robot.loop_status(), robot.graph_status()
        if status is None or of_graph is None or status.counters['frames'] < 52:
            return False
        has_all = all(
            of_graph.counters[name] == status.counters[name] for name in ('keyframes', 'closures')
        )
        num_closures = status.counters['closures']
        return (
            has_all and status.is_idle and of_graph.is_idle and len(closures) == num_closures > 0
        )

    robot.wait(rests)
    closure = closures[-1]
    query, match = ends(closure)

    def has_weight():
        caller.spin(0.1)
        if not placed:
            return False
        known = zip(placed[-1].closure_query_ids, placed[-1].closure_match_ids, strict=True)
        return (closure.query_id, closure.match_id) in set(known)

    robot.wait(has_weight)
    told = ask(caller, query, match)
    assert told.success, told.message
    assert (told.stage, told.status) == ('loop', Status.LOOP_DETECTED)
    assert told.message.endswith('its closure is in the pose graph with weight 1.00')
    figures = json.loads(told.json)
    assert figures['verification']['inliers'] == closure.num_inliers
    assert figures['then']['similarity'] == pytest.approx(closure.similarity, abs=1e-4)
    assert figures['then']['keyframes'] == closure.query_id
    assert figures['back_end']['weight'] == 1.0
    assert figures['back_end']['solved_anew']['is_in']
    assert told.message in told.text
    assert (told.drawing.encoding, told.drawing.height, told.drawing.width) == ('bgr8', 540, 1288)
    assert is_drawn(told.drawing)
    near = ask(caller, query, (query[0], query[1] - 1))
    assert near.success
    assert (near.stage, near.status) == ('exclusion', Status.CLOSE_MATCHES_ONLY)
    turned = ask(caller, match, query)
    assert (turned.stage, turned.status) == ('order', srv.Explain.Response.NO_STATUS)
    for other, sentence in (((5, 5), 'no keyframe 5 of session 5'), (query, 'match of itself')):
        refused = ask(caller, query, other)
        assert not refused.success
        assert sentence in refused.message
    robot.stop(graph)
    robot.stop(node)

    # Another run, that was not there: by the map alone.
    robot.start('loop_closure', *words, '-p', 'map.load:=first')
    again = ask(caller, query, match)
    assert again.success, again.message
    assert again.stage == 'loop'
    figures_again = json.loads(again.json)
    assert figures_again['verification'] == figures['verification']
    assert figures_again['then']['rank'] == figures['then']['rank']
    assert figures_again['back_end']['weight'] is None  # no back end has spoken
    np.testing.assert_array_equal(np.array(again.drawing.data), np.array(told.drawing.data))


def is_drawn(drawing):
    """Whether pictures are there, and not the grey that stands for none."""
    pixels = np.array(drawing.data, np.uint8).reshape(drawing.height, drawing.width, 3)
    return pixels[30:-30].std() > 10
