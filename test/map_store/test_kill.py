"""A process that is killed while it writes has written all that it was told is written."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up_map import is_same, make_closure, make_keyframe

from s3e_gnn_ros.map_store.store import MapStore

# Forks a writer for each line it reads; what the writer says is what it was told is written. Each
# line is one call of os.write, in one piece or not at all: print may take several.
_NURSERY = """
import itertools, os, sys
import numpy as np
from made_up_map import make_closure, make_keyframe
from s3e_gnn_ros.map_store.store import MapStore

def say(words):
    os.write(1, f'{words}\\n'.encode())

def write(path, session):
    if os.path.exists(path):
        store = MapStore.open(path)
    else:
        store = MapStore.create(path, weights_digest='d1')
    keys = []
    for number in itertools.count():
        ends = {'query_session': session, 'match_session': session}
        closures = [make_closure(number, number // 2, **ends)] if number else []
        keyframe = make_keyframe(number, session)
        store.add(keyframe, closures)
        say(number)
        keys.append(keyframe.key)
        if number % 4 == 3:
            store.set_poses(keys, np.stack([np.eye(4)] * len(keys)))
            store.set_weights([(keys[0], keys[1], 0.5)])

for session, line in enumerate(iter(sys.stdin.readline, ''), 1):
    pid = os.fork()
    if pid == 0:
        write(line.strip(), session)
    say(f'writer {pid}')
    os.waitpid(pid, 0)
    say('end')
"""


@pytest.fixture
def nursery():
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])}
    command = [sys.executable, '-c', _NURSERY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield process
        process.stdin.close()


def _write_and_kill(nursery, path, num_wanted, delay_s):
    """Kill a writer some time after it acknowledged a number; returns how many it did in all."""
    nursery.stdin.write(f'{path}\n')
    nursery.stdin.flush()
    acknowledged, pid = [], 0
    while pid == 0 or len(acknowledged) < num_wanted:
        line = nursery.stdout.readline()
        if line.startswith('writer'):
            pid = int(line.split()[1])
        else:
            acknowledged.append(int(line))
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    acknowledged += map(int, iter(nursery.stdout.readline, 'end\n'))
    assert acknowledged == list(range(len(acknowledged)))
    return len(acknowledged)


def _check_session(store, session, num_acknowledged):
    """One more may have been written than was told: the kill came between the two."""
    ids = [key.keyframe_id for key in store.rows().keys if key.session == session]
    assert ids == list(range(len(ids)))
    assert num_acknowledged <= len(ids) <= num_acknowledged + 1
    closures = [c for c in store.closures() if c.query_session == session]
    assert [c.query_id for c in closures] == ids[1:]


def test_a_killed_writer_loses_nothing_that_it_acknowledged(nursery, tmp_path):
    generator = random.Random()
    path = tmp_path / 'a.s3emap'
    counts = {}
    for session in range(1, 21):
        num_wanted, delay_s = generator.randrange(6), generator.uniform(0.0, 0.02)
        counts[session] = _write_and_kill(nursery, path, num_wanted, delay_s)
        if not path.exists():
            assert counts[session] == 0
            continue
        with MapStore.open(path, read_only=bool(session % 2)) as store:
            for each, count in counts.items():
                _check_session(store, each, count)
    with MapStore.open(path) as store:
        for key in store.rows().keys:
            assert is_same(store.view(key), make_keyframe(key.keyframe_id, key.session).view)
            assert store.thumbnail(key) is not None
        for closure in store.closures():
            expected = make_closure(closure.query_id, closure.match_id)
            assert is_same(closure.T_match_query, expected.T_match_query)
            assert is_same(closure.covariance, expected.covariance)
    assert sum(counts.values()) > 0
