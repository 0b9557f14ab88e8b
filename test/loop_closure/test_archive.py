"""Keyframes as they are asked for again."""

import numpy as np
import pytest
import synthetic
from synthetic import make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.archive import Archive, asking_keyframe
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.types import KeyframeKey


@pytest.fixture(scope='module', params=['bow', 's3e'])
def drive(request):
    """A pipeline of two sessions, and the keyframes it made."""
    config = config_from_dict(
        {
            'retrieval': {'method': request.param},
            'features': {'num_features': 100},
            'node': {'robot_id': 'rover'},
        }
    )
    pipeline, keyframes = LoopClosurePipeline(config, session=4), []
    for number, T in enumerate(out_and_back(8)):
        if number == 5:
            pipeline.start_session(9)
        keyframes.append(pipeline.process(make_frame(T, synthetic.START_NS + number * 10**9))[0])
    pipeline.remove([KeyframeKey(4, 2)])
    return pipeline, [each for each in keyframes if (each.session, each.keyframe_id) != (4, 2)]


def test_rows_are_the_keyframes_without_removed_ones(drive):
    pipeline, keyframes = drive
    rows = pipeline.rows()
    assert rows.keys == [KeyframeKey(each.session, each.keyframe_id) for each in keyframes]
    assert rows.robot_ids == ['rover'] * 7
    np.testing.assert_array_equal(rows.stamps_ns, [each.stamp_ns for each in keyframes])
    np.testing.assert_array_equal(rows.T_odom_camera, [each.T_odom_camera for each in keyframes])
    if keyframes[0].encoding is None:
        assert rows.embeddings is None
    else:
        expected = [each.encoding.embedding for each in keyframes]
        np.testing.assert_allclose(rows.embeddings, expected, atol=1e-3)


def test_a_stored_keyframe_asks_as_the_one_it_was(drive):
    pipeline, keyframes = drive
    rows = pipeline.rows()
    for row, keyframe in enumerate(keyframes):
        asked = asking_keyframe(rows, row, pipeline.view(rows.keys[row]))
        assert (asked.session, asked.keyframe_id) == (keyframe.session, keyframe.keyframe_id)
        assert (asked.stamp_ns, asked.robot_id) == (keyframe.stamp_ns, 'rover')
        assert asked.features is keyframe.features


def test_rows_before_are_of_one_session(drive):
    archive = Archive(drive[0].rows(), [], drive[0])
    assert archive.rows_before(3, 9) == [0, 1, 2]
    assert archive.rows_before(3, 2) == [1, 2]
    assert archive.rows_before(4, 9) == []  # the first of its session
    assert archive.rows_before(6, 9) == [4, 5]


def test_the_first_keyframes_alone(drive):
    archive = Archive(drive[0].rows(), [], drive[0]).first(3)
    assert len(archive.rows.keys) == len(archive.rows.stamps_ns) == 3
    with pytest.raises(InputError, match='no keyframe 4 of session 4'):
        archive.row(KeyframeKey(4, 4))
    assert archive.row(KeyframeKey(4, 3)) == 2
