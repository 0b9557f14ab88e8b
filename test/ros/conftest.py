"""What the tests of the ROS graph share: a small recording, and processes in their own domain."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.types import Frame

# What rclpy imports with its first message warns, and here a warning is an error.
with warnings.catch_warnings(), suppress(ImportError):
    warnings.simplefilter('ignore')
    import rosidl_generator_py  # noqa: F401

CAMERA = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
START_NS = 1_700_000_000_000_000_000
_HALF_ROOM_M = np.array([5.0, 2.0, 2.5], np.float32)
_TEXTURE_PX_PER_M = 120


class Room:
    """The inside of a textured box, seen by exact ray casting."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        side_px = int(2 * _HALF_ROOM_M.max() * _TEXTURE_PX_PER_M)
        self._textures = []
        for _ in range(6):
            texture = np.zeros((side_px, side_px), np.float32)
            for cells in (8, 40, 150, 400):
                noise = rng.normal(0, 1, (cells, cells)).astype(np.float32)
                texture += cv2.resize(noise, (side_px, side_px), interpolation=cv2.INTER_NEAREST)
            self._textures.append(np.clip(128 + 32 * texture, 0, 255).astype(np.uint8))
        v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
        rays = CAMERA.normalise(np.stack([u.ravel(), v.ravel()], axis=1).astype(float))
        self._rays = np.column_stack([rays, np.ones(len(rays))]).astype(np.float32)

    def frame(self, stamp_ns: int, T_world_camera: np.ndarray) -> Frame:
        """Render grey image and depth."""
        directions = self._rays @ T_world_camera[:3, :3].T.astype(np.float32)
        origin = T_world_camera[:3, 3].astype(np.float32)
        with np.errstate(divide='ignore'):
            depths = (np.copysign(_HALF_ROOM_M, directions) - origin) / directions  # (N, 3)
        axis = depths.argmin(axis=1)
        depth = depths.min(axis=1)
        points = (origin + depth[:, None] * directions + _HALF_ROOM_M.max()) * _TEXTURE_PX_PER_M
        image = np.zeros(len(depth), np.uint8)
        face = 2 * axis + (np.take_along_axis(directions, axis[:, None], 1)[:, 0] > 0)
        for number in np.unique(face):
            seen = face == number
            columns, rows = np.delete(points[seen], number // 2, axis=1).astype(np.intp).T
            image[seen] = self._textures[number][rows, columns]
        shape = (CAMERA.height, CAMERA.width)
        return Frame(stamp_ns, image.reshape(shape), CAMERA, depth.reshape(shape))


def out_and_back(num_steps: int = 26, step_m: float = 0.1) -> list[np.ndarray]:
    """Move along a wall and, a little nearer to it, back, looking at the same things."""
    facing_y = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # camera z is world y
    R = facing_y @ Rotation.from_euler('yx', [30.0, -12.0], degrees=True).as_matrix()
    out = [(-2.5 + step_m * i, -1.0, 0.0) for i in range(num_steps)]
    back = [(x, y + 0.06, z) for x, y, z in reversed(out)]
    return [se3.make_pose(R, place) for place in (*out, *back)]


def drifting(poses: list[np.ndarray], per_step_m: float = 0.004) -> list[np.ndarray]:
    """Start at the origin, and turn and slide a little with every step."""
    drift = se3.expmap([0.0, 0.001, 0.0, 0.0, 0.0, per_step_m])
    T = [np.eye(4)]
    for before, after in pairwise(poses):
        T.append(T[-1] @ se3.inverse(before) @ after @ drift)
    return T


def write_recording(path: Path, num_steps: int = 26, image_transport: str = 'raw') -> Path:
    """Write images at 10 Hz, and odometry at 20 Hz between whose stamps the images fall."""
    room, truth = Room(), out_and_back(num_steps)
    odometry = drifting(truth)
    period_ns, early_ns = 100_000_000, 13_000_000
    with BagWriter(path, image_transport=image_transport, storage='sqlite3') as writer:
        for i in range(len(truth)):
            stamp_ns = START_NS + i * period_ns
            for part in range(2):
                j = min(i + 1, len(truth) - 1)
                T = se3.interpolate(odometry[i], odometry[j], 0.5 * part)
                writer.write_odometry(stamp_ns - early_ns + part * period_ns // 2, T)
            writer.write_ground_truth(stamp_ns, truth[i])
            writer.write_frame(room.frame(stamp_ns, truth[i]))
        writer.write_odometry(START_NS + len(truth) * period_ns, odometry[-1])
    return path


@pytest.fixture(scope='session')
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bag of 52 frames along a wall and back, with drifting odometry."""
    return write_recording(tmp_path_factory.mktemp('recordings') / 'out_and_back')


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Set a ROS domain that no other test of this run uses, for this process and its children."""
    with socket.socket() as claim:  # DDS binds no TCP ports here: other runs see this one's
        chosen = _next_domain()
        while not (_is_free(chosen) and _is_bound(claim, chosen)):
            chosen = _next_domain()
        monkeypatch.setenv('ROS_DOMAIN_ID', str(chosen))
        yield chosen


_num_domains = os.getpid()


def _next_domain() -> int:
    """Count round the domains 1 to 101; each of several workers has a share of its own."""
    global _num_domains
    _num_domains += 1
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    share = 101 // int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    return 1 + worker * share + _num_domains % share


def _is_free(domain: int) -> bool:
    """Whether no participant has a domain's first port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return _is_bound(probe, domain)


def _is_bound(unbound: socket.socket, domain: int) -> bool:
    """Bind to a domain's first port (RTPS: 7400 + 250 x domain + 10) unless somebody has it."""
    try:
        unbound.bind(('127.0.0.1', 7410 + 250 * domain))
    except OSError:
        return False
    return True


NODE_CONFIG = """
/**:
  ros__parameters:
    keyframes: {min_translation_m: 0.15, min_rotation_deg: 10.0, min_interval_s: 0.0}
    retrieval: {min_time_gap_s: 1.5, min_keyframe_gap: 4}
    node: {reliable_inputs: true, sync_queue_size: 300}
"""


# By default a process that was killed stays in the graph for 20 s.
SHORT_LEASE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com"><profiles>
  <participant profile_name="short_lease" is_default_profile="true"><rtps><builtin>
    <discovery_config>
      <leaseDuration><sec>3</sec></leaseDuration>
      <leaseAnnouncement><sec>1</sec></leaseAnnouncement>
    </discovery_config>
  </builtin></rtps></participant>
</profiles></dds>
"""


class Robot:
    """Publishes what a test wants published, and asks the nodes how they are.

    Args:
        folder: for the logs of the processes.
    """

    TOPICS: ClassVar = {
        'image': '/camera/color/image_raw',
        'depth': '/camera/aligned_depth_to_color/image_raw',
        'camera_info': '/camera/color/camera_info',
        'odometry': '/odometry',
    }

    def __init__(self, folder: Path) -> None:
        import rclpy
        from nav_msgs.msg import Odometry
        from sensor_msgs.msg import CameraInfo, Image

        from s3e_gnn_ros.ros.collector import Collector
        from s3e_gnn_ros.ros.qos import reliable_qos

        self.keyframes: list = []
        self._folder = folder
        self._children: list = []
        self._found_by: dict = {}
        self._num_started = 0
        (folder / 'config.yaml').write_text(NODE_CONFIG)
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('robot', context=self._context)
        kinds = {'image': Image, 'depth': Image, 'camera_info': CameraInfo, 'odometry': Odometry}
        self.publishers = {
            name: self._node.create_publisher(kind, name, reliable_qos(1000))
            for name, kind in kinds.items()
        }
        self.collector = Collector(self.keyframes.append)

    def host_publishers(self):
        """Return publishers of what a front end such as VINS-Mono gives."""
        from nav_msgs.msg import Odometry
        from sensor_msgs.msg import PointCloud

        from s3e_gnn_ros.ros.qos import reliable_qos

        kinds = {'keyframe_pose': Odometry, 'keyframe_points': PointCloud, 'extrinsic': Odometry}
        return {
            name: self._node.create_publisher(kind, name, reliable_qos(100))
            for name, kind in kinds.items()
        }

    def start(self, name: str, *arguments: str, topic: str = '', is_remapped: bool = False):
        """Start a node, and wait until it listens to a topic of its own and answers.

        One whose topics are remapped listens to others than the robot's.
        """
        from s3e_gnn_ros.ros import names
        from s3e_gnn_ros.ros.processes import Child, node_command, ros_arguments

        is_loop = name == 'loop_closure'
        topic = topic or ('depth' if is_loop else 'odometry')  # the last it subscribes to
        before = self.publishers[topic].get_subscription_count()
        self._num_started += 1
        command = node_command(name, [*ros_arguments(self._folder / 'config.yaml'), *arguments])
        child = Child(f'{name}_{self._num_started}', command, folder=self._folder)
        self._children.append(child)
        if not is_remapped:
            self.wait(lambda: self.publishers[topic].get_subscription_count() > before, child)
        status = self.loop_status if is_loop else self.graph_status
        self.wait(lambda: status() is not None, child)
        service = names.LOOP_STATISTICS if is_loop else names.POSE_GRAPH_STATISTICS
        self._found_by[child] = self.publishers[topic], service
        self.collector.spin(0.5)  # it has been found, but may not have found everybody yet
        return child

    def stop(self, child) -> None:
        """End a node, and wait until it is not found any more: the next one would be mistaken."""
        publisher, service = self._found_by[child]
        before = publisher.get_subscription_count()
        child.stop()

        def is_gone():
            is_counted = publisher.get_subscription_count() >= before
            return not (is_counted or self.collector.is_answering(service))

        self.wait(is_gone)

    def kill(self, child) -> None:
        """End a node as a crash would."""
        child.process.kill()
        child.process.wait()
        alive = sum(child.returncode is None for child in self._children)
        # Fast DDS notices the death when the lease of the participant runs out.
        self.wait(
            lambda: self.publishers['odometry'].get_subscription_count() == alive, limit_s=60
        )

    def play(self, recording: Path, first: int, last: int) -> None:
        """Publish frames ``first`` up to ``last`` of a recording as fast as they are taken."""
        names = {topic: name for name, topic in self.TOPICS.items()}
        start_ns = START_NS + first * 100_000_000 - 20_000_000
        with open_bag(recording) as bag:
            for message in bag.messages(list(names)):
                if start_ns <= message.log_ns < start_ns + (last - first) * 100_000_000:
                    self.publishers[names[message.topic]].publish(bytes(message.data))

    def loop_status(self):
        """Ask the loop closure node; None while it is not there."""
        from s3e_gnn_ros.ros import names

        return self._status(names.LOOP_STATISTICS, self.collector.loop_status)

    def graph_status(self):
        """Ask the pose graph node; None while it is not there."""
        from s3e_gnn_ros.ros import names

        return self._status(names.POSE_GRAPH_STATISTICS, self.collector.graph_status)

    def _status(self, service: str, ask):
        for _ in range(20):  # a node of a moment ago may not have been found yet
            if self.collector.is_answering(service):
                break
            self.collector.spin(0.05)
        self.collector.spin(0.01)  # what came before the answer is taken before it
        if not self.collector.is_answering(service):
            return None
        try:
            return ask()
        except S3EError:
            if self.collector.is_answering(service):
                raise
            return None  # it had gone, and that was not known yet

    def num_subscribers(self, topic: str) -> int:
        """Return how many nodes listen to a topic."""
        return self._node.count_subscribers(topic)

    def wait(self, condition, child=None, limit_s: float = 90.0) -> None:
        """Wait for a condition; fail when a child dies or the time runs out."""
        end_s = time.monotonic() + limit_s
        while not condition():
            if child is not None:
                child.check_alive()
            assert time.monotonic() < end_s, f'waited in vain: {self.loop_status()}'
            self.collector.spin(0.05)

    def close(self) -> None:
        """End everything."""
        import rclpy

        for child in self._children:
            child.stop()
        self.collector.__exit__()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture(autouse=True)
def _ros_home(tmp_path, monkeypatch):
    """Keep maps and edits of one test from the next, and out of the home of whoever runs it."""
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'ros_home'))


@pytest.fixture
def no_shared_memory(monkeypatch):
    """For tests that kill a process.

    Fast DDS 3.2 may crash (SharedMemChannelResource::release) when a participant ends that has
    shared memory with a process that was killed.
    """
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')


@pytest.fixture
def short_lease(robot, tmp_path, monkeypatch):
    """For tests that kill a process: the death of nodes started from here on is soon noticed.

    The robot exists before, as Fast DDS reads the file once per process: elsewhere, who is silent
    for some seconds on a machine that is busy is not dead.
    """
    path = tmp_path / 'fast_dds.xml'
    path.write_text(SHORT_LEASE)
    is_humble = os.environ.get('ROS_DISTRO') == 'humble'
    name = 'FASTRTPS' if is_humble else 'FASTDDS'
    monkeypatch.setenv(f'{name}_DEFAULT_PROFILES_FILE', str(path))


@pytest.fixture
def robot(domain, tmp_path):
    """Return a robot in a domain of its own."""
    pytest.importorskip('rclpy')
    pytest.importorskip('s3e_gnn_ros.msg')
    robot = Robot(tmp_path)
    yield robot
    robot.close()


@pytest.fixture
def caller(robot):
    """Return a node of the test's own in the domain of the robot."""
    from ros_services import Caller

    caller = Caller(robot._context)
    yield caller
    caller.close()
