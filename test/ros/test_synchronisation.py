"""Images that get no depth are counted, whichever synchroniser is used."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import Image

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import synchronisation
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.synchronisation import PartnerWatch

MS = 1_000_000


@pytest.fixture
def alone():
    return []


@pytest.fixture
def watch(alone):
    return PartnerWatch(3, alone.append)


def test_an_image_that_is_overtaken_is_given_up_once(watch, alone):
    for stamp in (1, 2, 3):
        watch.waits(stamp)
    assert watch.has_partner(1)
    assert alone == []
    assert watch.has_partner(3)
    assert alone == [2]
    assert not watch.has_partner(2)  # its depth came after all, too late
    assert alone == [2]


def test_an_image_that_falls_out_of_the_queue_is_given_up(watch, alone):
    for stamp in range(10):
        watch.waits(stamp)
    assert alone == list(range(7))
    watch.clear()
    watch.waits(1)
    assert alone == list(range(7))


class Inputs:
    """Takes the callbacks of ImageSource, and notes what is dropped."""

    def __init__(self):
        self.intake = self
        self.use = {}
        self.drops = []

    def subscribe(self, _class, topic, use, *_args, **_options):
        self.use[topic] = use

    def attempt(self, use):
        use()

    def drop(self, reason, sentence):
        self.drops.append((reason, sentence))


class Namespace:
    """Resolves names as a node without remappings does."""

    def resolve_topic_name(self, topic):
        return f'/{topic}'


def messages(stamp_ns):
    header = conv.make_header(stamp_ns, 'camera')
    image = Image(header=header, height=1, width=1, step=1, encoding='mono8', data=b'1')
    return image, conv.depth_to_message(np.ones((1, 1), np.float32), header)


@pytest.fixture(params=['own', 'message_filters'])
def inputs(request, monkeypatch):
    if request.param == 'own':
        monkeypatch.setattr(synchronisation, 'message_filters', None)
    elif synchronisation.message_filters is None:
        pytest.skip('message_filters is not installed')
    return Inputs()


def source(inputs, *, use_depth=True):
    pictures = []
    config = NodeConfig(use_depth=use_depth, sync_queue_size=5, sync_slop_s=0.02)
    ImageSource(Namespace(), config, inputs, pictures.append, lambda: None)
    return pictures


def test_a_depth_driver_that_dies_is_told(inputs):
    pictures = source(inputs)
    for i in range(20):
        image, depth = messages(i * 100 * MS)
        inputs.use['image'](image)
        if i < 4 and i != 2:
            inputs.use['depth'](depth)
    assert [p.stamp_ns for p in pictures] == [0, 100 * MS, 300 * MS]
    assert [reason for reason, _ in inputs.drops] == ['unsynchronised'] * (1 + 16 - 5)
    assert f'at {200 * MS} ns' in inputs.drops[0][1]
    assert 'node.use_depth' in inputs.drops[0][1]


def test_stamps_further_apart_than_the_slop_are_told(inputs):
    pictures = source(inputs)
    for i in range(20):
        inputs.use['image'](messages(i * 100 * MS)[0])
        inputs.use['depth'](messages(i * 100 * MS + 40 * MS)[1])
    assert pictures == []
    assert [reason for reason, _ in inputs.drops] == ['unsynchronised'] * 15


def test_without_depth_nothing_waits(inputs):
    pictures = source(inputs, use_depth=False)
    for i in range(20):
        inputs.use['image'](messages(i * 100 * MS)[0])
    assert len(pictures) == 20
    assert inputs.drops == []
