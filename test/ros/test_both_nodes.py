"""Both nodes in one process: the same topics, services and parameters come out of it."""

from __future__ import annotations

import signal
import sys

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from lifecycle_manager import CLEANUP, DEACTIVATE, Manager
from nav_msgs.msg import Path

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.processes import Child, child_environment
from s3e_gnn_ros.ros.qos import latched_qos


def test_loops_and_a_corrected_path_come_out_of_one_process(robot, caller, recording):
    paths = caller.keep(Path, names.PATH, latched_qos(1))
    both = robot.start('both', '-p', 'retrieval.method:=bow', topic='depth')
    robot.play(recording, 0, 52)

    def have_all():
        loop, graph = robot.loop_status(), robot.graph_status()
        return (
            loop.counters['frames'] >= 52
            and loop.is_idle
            and graph.is_idle
            and graph.counters['keyframes'] == loop.counters['keyframes']
            and graph.counters['closures'] == loop.counters['closures']
        )

    robot.wait(have_all, both)
    counters = robot.loop_status().counters
    assert counters['closures'] > 0
    poses, _ = robot.collector.pose_graph()
    assert len(poses) == counters['keyframes']
    robot.wait(lambda: (caller.spin(0.1), paths and len(paths[-1].poses) == len(poses))[1], both)

    # Each has parameters of its own.
    loop, graph = Manager(caller, 'loop_closure_node'), Manager(caller, 'pose_graph_node')
    assert loop.set(verification__min_inliers=33)[0].successful
    assert loop.get('verification.min_inliers') == [33]
    assert graph.get('verification.min_inliers') == [20]
    # And a state of its own: one may be cleaned up beside the other.
    assert loop.change(DEACTIVATE)
    assert loop.change(CLEANUP)
    assert (loop.state(), graph.state()) == ('unconfigured', 'active')
    both.process.send_signal(signal.SIGINT)
    assert both.process.wait(30) == 0


def test_a_node_that_refuses_to_start_ends_the_process_in_one_line(tmp_path, domain):
    command = [sys.executable, '-m', 's3e_gnn_ros.ros.both_nodes', '--ros-args']
    command += ['-p', f'retrieval.weights:={tmp_path}/none.safetensors']
    with Child('both', command, folder=tmp_path) as child:
        assert child.process.wait(60) == 2
        lines = child.log.read_text().strip().splitlines()
    assert len(lines) == 1
    assert 'none.safetensors' in lines[0]


BROKEN = """
import sys, threading
from s3e_gnn_ros.ros import both_nodes, pose_graph_node
class Broken(both_nodes.PoseGraphNode):
    def __init__(self):
        super().__init__()
        self.create_timer(float(sys.argv[1]), lambda: 1 / 0)
both_nodes.PoseGraphNode = Broken
sys.exit(both_nodes.main([]))
"""


@pytest.mark.parametrize('after_s', ['0.0', '0.5'])  # before the other node spins, and while
def test_a_bug_in_one_node_ends_both_with_its_traceback(tmp_path, domain, after_s):
    command = [sys.executable, '-c', BROKEN, after_s]
    with Child('both', command, child_environment(), tmp_path) as child:
        assert child.process.wait(90) == 1
        assert 'ZeroDivisionError' in child.log.read_text()


def test_run_starts_one_process(capsys):
    assert main(['run', 'vins_mono', '--one-process', '--no-autostart', '--dry-run']) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert ' -m s3e_gnn_ros.ros.both_nodes ' in line
    assert 'node.autostart:=false' in line
    assert main(['run', '--one-process', '--only', 'pose_graph']) == 2
    assert '--one-process is for both nodes' in capsys.readouterr().err
