"""``s3e-gnn run``: two nodes that live and end together."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.ros.processes import Child, ChildError, cli_command, wait_for_first
from s3e_gnn_ros.ros.setups import SETUPS

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.usefixtures('no_shared_memory')
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


def dry_run(capsys, *arguments):
    assert main(['run', *arguments, '--dry-run']) == 0
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


def test_a_dry_run_prints_the_commands_and_starts_nothing(capsys, monkeypatch):
    monkeypatch.setattr('s3e_gnn_ros.cli.run.Child', None)
    arguments = ('--namespace', 'ours', '--vins-namespace', '', '--camera', 'd455_848x480')
    more = ('--map', 'home', '--retrieval', 'bow', '--set', 'node.use_depth=false')
    loop, graph = dry_run(capsys, 'vins_mono', *arguments, *more)
    assert loop[:3] == [sys.executable, '-m', 's3e_gnn_ros.ros.loop_closure_node']
    assert graph[2] == 's3e_gnn_ros.ros.pose_graph_node'
    assert loop[3:] == graph[3:]
    for text in (
        str(ROOT / 'config' / 'vins_mono.yaml'),
        str(ROOT / 'config' / 'd455_848x480.yaml'),
        'keyframe_points:=/keyframe_point',
        'match_points:=/pose_graph/match_points',
        '__ns:=/ours',
        'map.name:="home"',
        'retrieval.method:="bow"',
        'node.use_depth:=false',
    ):
        assert text in loop, text


@pytest.mark.parametrize('setup', sorted(set(SETUPS) - {'replay'}))
def test_every_setup_can_do_without_a_back_end(capsys, setup):
    (command,) = dry_run(capsys, setup, '--no-back-end')
    assert command[2] == 's3e_gnn_ros.ros.loop_closure_node'


def test_a_replay_plays_its_bag_as_well(capsys):
    *nodes, player = dry_run(capsys, 'replay', '--bag', 'a bag', '--rate', '2')
    assert len(nodes) == 2
    assert 'use_sim_time:=true' in nodes[0]
    assert player[2:5] == ['s3e_gnn_ros.cli.main', 'play', 'a bag']


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('replay',), 'the set-up replay needs --bag DIR'),
        (('vins_mono', '--bag', 'x'), "--bag 'x' is for the set-up replay"),
        (('--no-back-end', '--only', 'pose_graph'), '--no-back-end leaves nothing'),
        (('vins_mono', '--camera', 'd999'), "there is no configuration 'd999'"),
        (('vins_mono', '--set', 'node.hosst=vins'), "there is no parameter 'node.hosst'"),
        (('vins_mono', '--set', 'node.host=vinz'), "node.host is 'vinz' instead of one of"),
        (('--host-namespace', 'x'), 'a host namespace needs a set-up'),
        (('--remap', 'image'), "remapping is 'image' instead of FROM:=TO"),
        (('vins_mono', '--check', '--check-time', '0'), '--check-time is 0.0 instead of more'),
    ],
)
def test_wrong_choices_are_one_line_and_status_2(capsys, arguments, sentence):
    assert main(['run', *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('s3e-gnn run: ')
    assert sentence in line


def test_a_setup_runs_a_bag_to_its_end_and_stays(robot, recording, tmp_path):
    """The end of the bag is not the end of the nodes, which may still be at work."""
    command = ['run', 'replay', '--bag', str(recording), '--rate', '4']
    with Child('run', cli_command(command), folder=tmp_path) as child:
        robot.wait(lambda: robot.loop_status() is not None, child)
        # Nothing of the bag may be gone before the nodes were ready for it.
        robot.wait(lambda: robot.loop_status().counters['received.image'] == 52, child)
        robot.wait(lambda: len(children_of(child.process.pid)) == 2, child)
        robot.wait(lambda: robot.graph_status().counters['keyframes'] > 5, child)
        child.process.send_signal(signal.SIGINT)
        assert child.process.wait(30) == 0


def test_a_helper_that_fails_ends_all(tmp_path):
    sleeper = Child('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'])
    helper = Child('helper', [sys.executable, '-c', 'raise SystemExit(3)'], folder=tmp_path)
    assert wait_for_first([sleeper], [helper]) == 3
    assert sleeper.returncode is not None


def test_a_helper_that_is_done_ends_nothing():
    worker = Child('worker', [sys.executable, '-c', 'import time; time.sleep(1); exit(4)'])
    helper = Child('helper', [sys.executable, '-c', ''])
    helper.process.wait()
    assert wait_for_first([worker], [helper]) == 4


def test_the_last_words_of_a_child_are_told(tmp_path):
    command = [sys.executable, '-c', 'import sys; print("first"); sys.exit("all is lost")']
    with Child('poet', command, folder=tmp_path) as child:
        child.process.wait(30)
        with pytest.raises(ChildError, match=r'poet ended with status 1: all is lost \(log: '):
            child.check_alive()
        assert child.output() == 'first\n'
