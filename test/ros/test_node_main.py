"""A node whose packages are missing says so in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation

from s3e_gnn_ros.ros import node_main
from s3e_gnn_ros.ros.processes import child_environment

SCRIPT = """
import sys
sys.modules[{missing!r}] = None
from s3e_gnn_ros.ros.node_main import start_node
sys.exit(start_node({module!r}, []))
"""


def start(module, missing):
    return subprocess.run(
        [sys.executable, '-c', SCRIPT.format(module=module, missing=missing)],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ('node', 'missing', 'pip_name'),
    [
        ('loop_closure', 'cv2', 'opencv-python-headless'),
        ('loop_closure', 'rosbags.image', 'rosbags-image'),
        ('pose_graph', 'gtsam', 'gtsam'),
    ],
)
def test_a_missing_package_is_one_line(node, missing, pip_name):
    done = start(f's3e_gnn_ros.ros.{node}_node', missing)
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert f'{missing} is not installed: python3 -m pip install {pip_name}' in line


def test_a_module_of_ours_that_is_missing_is_a_bug():
    done = start('s3e_gnn_ros.ros.no_such_node', 'gtsam')
    assert done.returncode == 1
    assert 'Traceback' in done.stderr


class FailingExecutor:
    """Fails as rclpy does when the context ends while it makes a wait set."""

    def __init__(self, is_context_alive):
        self.context, self.is_shut_down = self, False
        self.ok = lambda: is_context_alive

    def spin(self):
        raise rclpy_implementation.RCLError('failed to initialize wait set')

    def shutdown(self):
        self.is_shut_down = True


def test_a_context_that_ends_within_a_wait_is_a_clean_end():
    executor = FailingExecutor(is_context_alive=False)
    with pytest.raises(ExternalShutdownException):
        node_main._spin_one(executor)
    assert executor.is_shut_down


def test_the_same_error_in_a_context_that_lives_is_one():
    executor = FailingExecutor(is_context_alive=True)
    with pytest.raises(rclpy_implementation.RCLError, match='wait set'):
        node_main._spin_one(executor)
    assert executor.is_shut_down
