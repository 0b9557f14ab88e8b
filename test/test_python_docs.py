"""The lines of docs/python.md run as they stand."""

import re
from pathlib import Path

import pytest

from s3e_gnn_ros.simulation.recording import SimulatedRecording, SimulationOptions
from s3e_gnn_ros.types import Status

DOCS = Path(__file__).parents[1] / 'docs' / 'python.md'


@pytest.fixture(scope='module')
def frames():
    options = SimulationOptions(seed=2, rate_hz=2.0, max_frames=8, workers=1)
    return list(SimulatedRecording(options).frames())


def test_the_lines_of_the_page_find_a_place_again(frames, capsys):
    (code,) = re.findall(r'```python\n(.*?)```', DOCS.read_text(encoding='utf-8'), re.DOTALL)
    names = {
        'drive': frames[::2],
        'query_frame': frames[5],
        'last_images': [frame.image for frame in frames[3:6]],
    }
    exec(compile(code, str(DOCS), 'exec'), names)
    assert names['matches'][0].node in (2, 3)  # frame 5 lies between frames 4 and 6
    assert names['result'].status == Status.LOOP_DETECTED
    assert 'LOOP_DETECTED' in capsys.readouterr().out
