"""Replays a bag through the live ROS graph: player and both nodes as processes, over DDS."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.config_file import dump_config
from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.data.bag_poses import read_static_transforms
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import ConfigError, RecordingError, S3EError
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.collector import Collector, NodeStatus
from s3e_gnn_ros.ros.domain import private_domain
from s3e_gnn_ros.ros.live_result import LiveMemory
from s3e_gnn_ros.ros.processes import Child, cli_command, node_command, ros_arguments

_START_TIMEOUT_S = 90.0
_STALL_TIMEOUT_S = 90.0
_SETTLE_S = 5.0
_POLL_S = 0.3
_SYNC_QUEUE_SIZE = 600
"""Deep enough that a machine that stalls for a while loses nothing."""
_KEYFRAME_QUEUE_SIZE = 500
"""A keyframe with its images is about 2 MB; one that finds no room is a counted drop."""


def replay_live(
    path: Path,
    options: RecordingOptions,
    config: Config,
    rate: float,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReplayResult:
    """Run player, loop_closure_node and pose_graph_node over a bag and collect what comes out.

    The ROS domain is a free one unless ROS_DOMAIN_ID is set; nothing leaves this machine.

    Args:
        path: the bag.
        options: names of its topics, and T_body_camera.
        config: all settings; transport, queues and reliability are set to suit the bag.
        rate: times real time.
        progress: called with the images the loop closure node has received, and their number.

    Returns:
        As the offline replay gives.

    Raises:
        RecordingError: the bag cannot be played live.
        S3EError: a process failed; the message names its log, which is kept.
    """
    recording = BagRecording(path, options)
    config = _live_config(path, recording, options, config)
    memory = LiveMemory(config)
    folder = Path(tempfile.mkdtemp(prefix='s3e_gnn_live_'))
    started_s = time.perf_counter()
    with private_domain():
        run = _LiveRun(path, recording, config, folder, memory)
        run.play(rate, progress)
    shutil.rmtree(folder, ignore_errors=True)  # after a failure the logs stay
    return memory.result(path, recording, time.perf_counter() - started_s)


class _LiveRun:
    """One run of the three processes."""

    def __init__(
        self,
        path: Path,
        recording: BagRecording,
        config: Config,
        folder: Path,
        memory: LiveMemory,
    ) -> None:
        self._path = path
        self._topics = _inputs_by_topic(recording)
        self._num_images = recording.num_frames
        self._folder = folder
        self._memory = memory
        self._nodes: list[Child] = []
        self._config_file = folder / 'config.yaml'
        self._config_file.write_text(dump_config(config), encoding='utf-8')

    def play(self, rate: float, progress: Callable[[int, int], None]) -> None:
        with ExitStack() as stack:
            collector = stack.enter_context(Collector(self._memory.add_keyframe))
            remaps = [f'{own}:={_base(topic)}' for own, topic in self._topics.items()]
            arguments = ros_arguments(self._config_file, remaps)
            for name in ('loop_closure', 'pose_graph'):
                child = Child(f'{name}_node', node_command(name, arguments), folder=self._folder)
                self._nodes.append(stack.enter_context(child))
            self._await_nodes(collector)
            player = stack.enter_context(self._player(rate))
            published = self._await_player(collector, player, progress)
            loop = self._await_loop(collector, published, progress)
            graph = self._await_graph(collector, loop)
            self._memory.finish(collector, loop, graph)

    def _player(self, rate: float) -> Child:
        wait = ('--wait-for-subscribers', str(_START_TIMEOUT_S), '--rate', str(rate), '--json')
        topics = ('--topics', *self._topics.values())
        command = cli_command(['play', str(self._path), *wait, *topics])
        return Child('player', command, folder=self._folder)

    def _await_nodes(self, collector: Collector) -> None:
        give_up_s = time.monotonic() + _START_TIMEOUT_S
        while not collector.is_ready():
            self._check_nodes()
            if time.monotonic() > give_up_s:
                raise S3EError(
                    f'the nodes have not started within {_START_TIMEOUT_S:.0f} s '
                    f'(logs: {self._folder})'
                )
            collector.spin(_POLL_S)

    def _await_player(
        self, collector: Collector, player: Child, progress: Callable[[int, int], None]
    ) -> dict[str, int]:
        """Wait for the end of the recording; returns the messages sent by input."""
        while player.returncode is None:
            self._check_nodes()
            collector.spin(_POLL_S)
            progress(collector.loop_status().counters['received.image'], self._num_images)
        player.check_done()
        published = json.loads(player.output())['published']
        return {own: published.get(topic, 0) for own, topic in self._topics.items()}

    def _await_loop(
        self,
        collector: Collector,
        published: dict[str, int],
        progress: Callable[[int, int], None],
    ) -> NodeStatus:
        """Wait until the loop closure node has taken in everything and rests."""
        watch = _Watch()
        while True:
            status = collector.loop_status()
            received = {own: status.counters[f'received.{own}'] for own in published}
            progress(received['image'], self._num_images)
            still_s = watch.still_s(status.counters)
            is_complete = received == published or still_s > _SETTLE_S
            if is_complete and status.is_idle and still_s >= _POLL_S:
                lost = sum((published[own] - received[own]) for own in published)
                if lost:
                    status.counters['drops.lost_in_transport'] = lost
                return status
            self._check(still_s)
            collector.spin(_POLL_S)

    def _await_graph(self, collector: Collector, loop: NodeStatus) -> NodeStatus:
        """Wait until the pose graph has every keyframe and closure, and this process as well."""
        wanted = {name: loop.counters[name] for name in ('keyframes', 'closures')}
        watch = _Watch()
        while True:
            status = collector.graph_status()
            have = {name: status.counters[name] for name in wanted}
            mine = {'keyframes': len(collector.queries), 'closures': len(collector.closures)}
            if (
                status.is_idle
                and have == wanted
                and mine == wanted
                and self._memory.is_complete(wanted['keyframes'])
            ):
                return status
            self._check(watch.still_s(status.counters), _STALL_TIMEOUT_S / 3)
            collector.spin(_POLL_S)

    def _check(self, still_s: float, limit_s: float = _STALL_TIMEOUT_S) -> None:
        self._check_nodes()
        if still_s > limit_s:
            raise S3EError(f'the nodes have stalled for {still_s:.0f} s (logs: {self._folder})')

    def _check_nodes(self) -> None:
        for node in self._nodes:
            node.check_alive()


class _Watch:
    """Since when nothing has changed."""

    def __init__(self) -> None:
        self._last: object = None
        self._since_s = time.monotonic()

    def still_s(self, value: object) -> float:
        """Return for how long the value has been the same [s]."""
        now_s = time.monotonic()
        if value != self._last:
            self._last, self._since_s = value, now_s
        return now_s - self._since_s


def _inputs_by_topic(recording: BagRecording) -> dict[str, str]:
    """Return the bag's topic of each input of the loop closure node."""
    topics = recording.topics
    if topics.camera_info is None or topics.odometry is None:
        missing = 'camera_info' if topics.camera_info is None else 'odometry'
        raise RecordingError(f"bag '{recording.name}' has no {missing}, which a live replay needs")
    if topics.odometry.msgtype != 'nav_msgs/msg/Odometry':
        raise RecordingError(
            f'{topics.odometry.name} is of type {topics.odometry.msgtype}; a live replay needs '
            'nav_msgs/msg/Odometry'
        )
    inputs = {
        'image': topics.image.name,
        'camera_info': topics.camera_info.name,
        'odometry': topics.odometry.name,
    }
    if topics.depth is not None:
        inputs['depth'] = topics.depth.name
    return inputs


def _live_config(
    path: Path, recording: BagRecording, options: RecordingOptions, config: Config
) -> Config:
    if options.camera is not None or options.depth_scale is not None or options.odometry_file:
        raise ConfigError(
            'a live replay publishes the bag as it is: neither camera, nor depth scale, nor '
            'odometry file can be replaced'
        )
    kinds = {
        topic.msgtype.rpartition('/')[2]
        for topic in (recording.topics.image, recording.topics.depth)
        if topic is not None
    }
    if len(kinds) > 1:
        raise RecordingError(f"bag '{recording.name}' mixes raw and compressed images")
    node = replace(
        config.node,
        autostart=True,
        image_transport='raw' if kinds == {'Image'} else 'compressed',
        use_depth=recording.topics.depth is not None,
        host='odometry',
        pose_type='odometry',
        reliable_inputs=True,
        publish_images=True,
        queue_size=_KEYFRAME_QUEUE_SIZE,
        sync_queue_size=max(_SYNC_QUEUE_SIZE, config.node.sync_queue_size),
        sync_slop_s=options.sync_slop_s,
        max_odometry_gap_s=options.max_odometry_gap_s,
    )
    T_body_camera = _body_camera(path, recording, options)
    if T_body_camera is not None:
        # A node takes an identity for unknown; poses of that body are those of the camera.
        values = (*T_body_camera[:3, 3].tolist(), *se3.quat_xyzw(T_body_camera).tolist())
        is_body = not np.allclose(T_body_camera, np.eye(4))
        node = replace(node, body_frame_pose=is_body, T_body_camera=values)
    return replace(config, node=node)


def _body_camera(
    path: Path, recording: BagRecording, options: RecordingOptions
) -> se3.Pose | None:
    """Return what the reader takes for T_body_camera, or None where it knows none."""
    odometry, image = recording.topics.odometry, recording.topics.image
    if options.T_body_camera is not None or odometry is None or not odometry.child_frame_id:
        return options.T_body_camera
    with open_bag(path) as bag:
        transforms = read_static_transforms(bag, recording.drops)
    return transforms.find(odometry.child_frame_id, image.frame_id)


def _base(topic: str) -> str:
    """Return the topic without its transport, which the node appends itself."""
    return topic.removesuffix('/compressedDepth').removesuffix('/compressed')
