"""``s3e-gnn run``: two nodes that live and end together."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.ros.processes import Child, ChildError, cli_command, ros_arguments


def children_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@pytest.fixture
def run(robot, tmp_path):
    """Start ``s3e-gnn run`` and wait until both nodes answer."""
    child = Child('run', cli_command(['run', '--remap', 'image:=/eye']), folder=tmp_path)
    robot.wait(lambda: robot.loop_status() is not None and robot.graph_status() is not None, child)
    yield child
    child.stop()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_nodes_cleanly(run, robot, number):
    pids = children_of(run.process.pid)
    assert len(pids) == 2
    robot.wait(lambda: robot.num_subscribers('/eye') == 1, run)
    run.process.send_signal(number)
    assert run.process.wait(30) == 0
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)


def test_when_a_node_dies_the_other_ends_too_and_the_status_says_so(run):
    pids = children_of(run.process.pid)
    os.kill(pids[0], signal.SIGKILL)
    assert run.process.wait(30) == 128 + signal.SIGKILL
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)


def test_a_bad_configuration_is_one_line_and_status_2(tmp_path):
    path = tmp_path / 'bad.yaml'
    path.write_text('/**:\n  ros__parameters:\n    node: {queue_size: 0}\n')
    with Child('run', cli_command(['run', '--config', str(path)]), folder=tmp_path) as child:
        assert child.process.wait(60) == 2
        lines = child.log.read_text().strip().splitlines()
    assert len(lines) == 1
    assert 'node.queue_size is 0 instead of at least 1' in lines[0]


@pytest.mark.parametrize('remap', ['image', ':=image', 'image:='])
def test_a_broken_remapping_is_refused(remap):
    with pytest.raises(ConfigError, match='instead of FROM:=TO'):
        ros_arguments(remaps=[remap])


def test_the_last_words_of_a_child_are_told(tmp_path):
    command = [sys.executable, '-c', 'import sys; print("first"); sys.exit("all is lost")']
    with Child('poet', command, folder=tmp_path) as child:
        child.process.wait(30)
        with pytest.raises(ChildError, match=r'poet ended with status 1: all is lost \(log: '):
            child.check_alive()
        assert child.output() == 'first\n'
