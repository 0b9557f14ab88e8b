"""A node that is killed at any moment leaves a map that opens and has every keyframe it told of.

Fifty rounds with ``S3E_KILL_ROUNDS=50``; a few in the normal suite.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import CAMERA, START_NS
from nav_msgs.msg import Odometry
from ros_services import Caller
from sensor_msgs.msg import CameraInfo, Image
from synthetic import make_frame, out_and_back

from s3e_gnn_ros import msg
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.processes import child_environment
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.types import KeyframeKey

NUM_ROUNDS = int(os.environ.get('S3E_KILL_ROUNDS', '8'))
NUM_FRAMES = 40

CONFIG = """
/**:
  ros__parameters:
    keyframes: {min_translation_m: 0.001, min_rotation_deg: 0.1, min_interval_s: 0.0}
    features: {num_features: 150}
    retrieval: {method: bow, min_time_gap_s: 0.5, min_keyframe_gap: 4, max_candidates: 2}
    verification: {refine_with_depth: false, ransac_iterations: 50, max_sigma_m: 0.2}
    node: {reliable_inputs: true, queue_size: 3}
"""

# Imports the node once and forks it for each round: what takes seconds is not repeated.
FORK_SERVER = """
import faulthandler, json, os, signal, sys
import s3e_gnn_ros.ros.loop_closure_node as module
faulthandler.register(signal.SIGUSR1)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os._exit(module.main(json.loads(line)))
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""


class Camera:
    """Publishes a rendered recording over and over, faster than the node can work, in a thread."""

    def __init__(self, node):
        poses = out_and_back(NUM_FRAMES)
        self._frames = [make_frame(T, camera=CAMERA) for T in poses]
        self._publishers = [
            node.create_publisher(kind, name, reliable_qos(10))
            for kind, name in (
                (Odometry, 'odometry'),
                (CameraInfo, 'camera_info'),
                (Image, 'image'),
                (Image, 'depth'),
            )
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._stop.wait(0.02):
            frame = self._frames[number % NUM_FRAMES]
            header = conv.make_header(START_NS + number * 100_000_000, 'odom')
            odometry = Odometry(header=header)
            odometry.pose.pose = conv.pose_to_message(frame.T_odom_camera)
            eye = conv.make_header(START_NS + number * 100_000_000, 'eye')
            for publisher, message in zip(
                self._publishers,
                (
                    odometry,
                    conv.camera_to_message(CAMERA, eye),
                    conv.image_to_message(frame.image, eye),
                    depth_message(frame.depth_m, eye),
                ),
                strict=True,
            ):
                publisher.publish(message)
            number += 1


def depth_message(depth_m, header):
    """Return depth in millimetres: half as large, and so one datagram."""
    height, width = depth_m.shape
    message = Image(header=header, height=height, width=width, encoding='16UC1', step=2 * width)
    message.data = np.round(depth_m * 1000).astype('<u2').tobytes()
    return message


class Killer:
    """Starts the node and ends it as a power cut would."""

    def __init__(self, folder):
        self._folder = folder
        (folder / 'config.yaml').write_text(CONFIG)
        self._log = (folder / 'node.log').open('wb')
        self._server = subprocess.Popen(
            [sys.executable, '-c', FORK_SERVER],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def start(self):
        arguments = ['node', '--ros-args', '--params-file', str(self._folder / 'config.yaml')]
        arguments += ['-p', f'map.directory:={self._folder}', '-p', 'map.name:=driven']
        self._server.stdin.write(json.dumps(arguments) + '\n')
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def last_words(self, pid):
        """Return the end of the log with the stack of every thread."""
        os.kill(pid, signal.SIGUSR1)
        time.sleep(1.0)
        os.kill(pid, signal.SIGKILL)
        return (self._folder / 'node.log').read_text()[-4000:]

    def close(self):
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()
        self._log.close()


class Graph:
    """A camera and a listener whose participant has never met a process that was killed.

    Fast DDS keeps talking to the dead until their lease runs out, and may forget with them the
    living that have inherited their ports.
    """

    def __init__(self):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.caller = Caller(self._context)
        self.heard = self.caller.keep(msg.KeyFrame, names.KEYFRAME, reliable_qos(1000))
        self.closures = self.caller.keep(msg.LoopClosure, names.CLOSURE, reliable_qos(1000))
        self._camera = Camera(self.caller.node)

    @property
    def keys(self):
        return {KeyframeKey(k.session, k.keyframe_id) for k in self.heard}

    def close(self):
        self._camera.close()
        self.caller.close()
        rclpy.try_shutdown(context=self._context)


def killed_at_a_random_moment(killer, random_, old, *, after_closure):
    """Start the node, kill it, and return the keyframes it has told of until then.

    A few have to be of its own session; of the ``old`` ones, which it has loaded, it tells too.
    """

    def is_time():
        num_own = sum(key.session not in old for key in graph.keys)
        return num_own >= num_heard and (graph.closures or not after_closure)

    graph, pid = Graph(), killer.start()
    num_heard, give_up_s = random_.randint(1, 12), time.monotonic() + 60
    try:
        while not is_time():
            graph.caller.spin(0.02)
            if time.monotonic() > give_up_s:
                pytest.fail(killer.last_words(pid))
        time.sleep(random_.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGKILL)
        graph.caller.spin(0.1)  # what it has sent arrives
        return graph.keys
    finally:
        graph.close()


@pytest.mark.usefixtures('no_shared_memory')
def test_no_keyframe_that_was_told_of_is_lost(domain, tmp_path, record_testsuite_property):
    random_, killer = random.Random(1), Killer(tmp_path)
    told: set[KeyframeKey] = set()
    sizes = []
    try:
        for number in range(NUM_ROUNDS):
            old, is_last = {key.session for key in told}, number == NUM_ROUNDS - 1
            told |= killed_at_a_random_moment(killer, random_, old, after_closure=is_last)
            with MapStore.open(tmp_path / 'driven.s3emap', read_only=True) as store:
                stored = set(store.rows().keys)
                assert all(len(store.view(key).features) for key in list(stored)[-3:])
                closures = store.closures()
            assert told <= stored
            sizes.append(len(stored))
    finally:
        killer.close()
    assert len({key.session for key in told}) == NUM_ROUNDS
    assert (np.diff(sizes) > 0).all()
    assert closures  # a map that is gone on with knows its places again
    assert {KeyframeKey(c.match_session, c.match_id) for c in closures} <= stored
    record_testsuite_property('num_keyframes', len(told))
