"""What a run may not look like."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'sessions': np.zeros(3, dtype=np.int64)}, r'sessions has shape \(3,\)'),
        ({'similarity': np.zeros((2, 2), dtype=np.float32)}, r'similarity has shape \(2, 2\)'),
        (
            {'T_map_camera': np.full((80, 4, 4), np.nan)},
            'T_map_camera of keyframe 0 is not finite',
        ),
        ({'stamps_ns': np.arange(80, dtype=np.int64)[::-1]}, 'go backwards'),
    ],
)
def test_inconsistent_runs_are_refused(make_run, change, message):
    with pytest.raises(InputError, match=message):
        make_run(**change)


def test_keyframes_are_found_by_session_and_id(make_run):
    sessions = np.repeat([1, 2], 40)
    run = make_run(sessions=sessions, keyframe_ids=np.tile(np.arange(40), 2))
    assert run.index_of[1, 39] == 39
    assert run.index_of[2, 0] == 40
