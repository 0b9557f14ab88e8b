"""The Python of docs/dbow.md runs as it stands, and its tables say what the code does."""

import re
from pathlib import Path

import numpy as np
import pytest
import synthetic

from s3e_gnn_ros.dbow import GeometricalCheck, IdRule, Status

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'dbow.md').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def drive():
    """Return frames along a wall and, a hand's breadth off, back."""
    path = [synthetic.look_at([x, 0.1, 0.6], [x + 0.4, 0.2, 4.0]) for x in np.linspace(-9, 0, 10)]
    aside = np.eye(4)
    aside[:3, 3] = 0.05, 0.02, 0.04
    return [synthetic.make_frame(pose) for pose in (*path, *(p @ aside for p in reversed(path)))]


def test_the_python_of_the_page_finds_the_way_back(drive, tmp_path, capsys):
    names = {'drive': drive, 'path': tmp_path / 'places.db'}
    for code in re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL):
        exec(compile(code, 'docs/dbow.md', 'exec'), names)
    assert names['results'][0].id in (0, 1)
    assert len(names['database']) == len(names['words']) == len(drive)
    assert sum(len(features) for features in names['nodes'].values()) > 100
    loop = names['loop']
    assert loop.status == Status.LOOP_DETECTED
    assert loop.match in (0, 1, 2)
    assert loop.verification.T_match_query.shape == (4, 4)
    assert 'CLOSE_MATCHES_ONLY' in capsys.readouterr().out


def test_every_rule_and_check_has_its_row():
    for rule in IdRule:
        assert f'| `{rule.name}`' in PAGE
    rows = '\n'.join(line for line in PAGE.splitlines() if line.startswith('| `'))
    for check in GeometricalCheck:
        assert f'`{check.name}`' in rows


def test_links_lead_somewhere():
    for target in re.findall(r'\]\((\.\./[^)]+)\)', PAGE):
        assert (ROOT / 'docs' / target).exists(), target
