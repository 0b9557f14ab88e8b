"""/diagnostics of the running nodes: names, levels and figures."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry

from s3e_gnn_ros.ros.qos import reliable_qos

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE


class Monitor:
    """Knows the newest status of each name, as rqt_robot_monitor does."""

    def __init__(self, robot, caller):
        self._robot = robot
        self._caller = caller
        self._arrays = caller.keep(DiagnosticArray, '/diagnostics', reliable_qos(100))
        self.newest = {}

    def wait(self, condition, child):
        """Wait until a condition on the newest statuses holds."""

        def holds():
            self._caller.spin(0.1)
            while self._arrays:
                self.newest.update({s.name: s for s in self._arrays.pop(0).status})
            return condition(self.newest)

        self._robot.wait(holds, child)

    def wait_for(self, name, level, child):
        """Wait until a status has a level; returns it with its values by key."""
        self.wait(lambda newest: name in newest and newest[name].level == level, child)
        status = self.newest[name]
        return status.message, {each.key: each.value for each in status.values}


@pytest.fixture
def monitor(robot, caller):
    return Monitor(robot, caller)


def test_the_loop_closure_node_tells_of_inputs_drops_and_loops(robot, monitor, recording):
    node = robot.start('loop_closure', '-p', 'retrieval.method:=bow', '-p', 'node.robot_id:=r2')
    message, values = monitor.wait_for('loop_closure_node: input image', ERROR, node)
    assert message == 'nothing has come so far'
    assert values == {'topic': '/image'}
    robot.play(recording, 0, 52)
    robot.wait(lambda: robot.loop_status().counters['frames'] >= 52, node)
    robot.wait(lambda: robot.loop_status().is_idle, node)
    # All of it came within seconds, and then nothing any more.
    message, values = monitor.wait_for('loop_closure_node: input image', STALE, node)
    assert message.startswith('silent for ')
    assert float(values['age [s]']) >= 1.0
    counters = robot.loop_status().counters
    wanted = f'{counters["keyframes"]} keyframes, {counters["closures"]} closures'
    name = 'loop_closure_node: keyframes and loops'
    monitor.wait(lambda newest: newest[name].message == wanted, node)
    assert counters['closures'] > 0
    values = {each.key: each.value for each in monitor.newest[name].values}
    for counter, number in counters.items():
        reason = counter.removeprefix('status.')
        if reason != counter and reason != 'LOOP_DETECTED':
            assert values[f'rejected {reason}'] == str(number)
    _, stages = monitor.wait_for('loop_closure_node: stages', OK, node)
    assert float(stages['features p95 [ms]']) >= float(stages['features p50 [ms]']) > 0
    _, worker = monitor.wait_for('loop_closure_node: worker', OK, node)
    assert worker['room for'] == '100'
    assert {status.hardware_id for status in monitor.newest.values()} == {'r2'}
    message, _ = monitor.wait_for('loop_closure_node: lifecycle', OK, node)
    assert message == 'active'

    broken = Odometry()
    broken.header.stamp.sec = 1_700_000_006  # a little after the recording
    broken.pose.pose.position.x = float('nan')
    broken.pose.pose.orientation.w = 1.0
    robot.publishers['odometry'].publish(broken)
    message, values = monitor.wait_for('loop_closure_node: drops', WARN, node)
    (reason,) = values
    assert message == f'within 10 s: 1 {reason}'
    assert values == {reason: '1'}
    message, _ = monitor.wait_for('loop_closure_node: drops', OK, node)  # ten seconds later
    assert message == 'none within 10 s'


def test_the_pose_graph_node_tells_of_the_graph_and_its_correction(robot, monitor, recording):
    loop = robot.start('loop_closure', '-p', 'retrieval.method:=bow')
    node = robot.start('pose_graph')
    message, _ = monitor.wait_for('pose_graph_node: correction', OK, node)
    assert message == 'no odometry has come so far'
    robot.play(recording, 0, 52)
    robot.wait(lambda: robot.loop_status().counters['frames'] >= 52, loop)
    robot.wait(lambda: robot.loop_status().is_idle, loop)
    counters = robot.loop_status().counters
    robot.wait(lambda: robot.graph_status().counters['closures'] == counters['closures'], node)
    robot.wait(lambda: robot.graph_status().is_idle, node)

    def is_complete(newest):
        figures = {v.key: v.value for v in newest['pose_graph_node: pose graph'].values}
        num_closures = int(figures['closures']) + int(figures['closures taken out'])
        return (int(figures['keyframes']), num_closures) == (
            counters['keyframes'],
            counters['closures'],
        )

    monitor.wait(is_complete, node)
    _, figures = monitor.wait_for('pose_graph_node: pose graph', OK, node)
    assert float(figures['last optimisation [ms]']) > 0
    assert float(figures['last optimisation [s ago]']) >= 0
    _, stages = monitor.wait_for('pose_graph_node: stages', OK, node)
    assert float(stages['optimisation p95 [ms]']) > 0
    message, _ = monitor.wait_for('pose_graph_node: input odometry', STALE, node)
    assert message.startswith('silent for ')
