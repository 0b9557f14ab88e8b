"""Images that are located while tracking is lost, and what becomes of those that cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros.deferred import call_in
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.relocalisation_service import Place, RelocalisationService
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.worker import Worker


def test_a_picture_from_before_the_camera_was_resized_is_dropped_by_its_reason():
    errors, drops = [], []
    node = SimpleNamespace(create_publisher=lambda *_: None)
    intake = SimpleNamespace(drop=lambda reason, _text: drops.append(reason))
    worker = Worker(lambda job: job.run(), capacity=10, name='test', on_error=errors.append)
    camera = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
    place = Place(SimpleNamespace(), lambda: camera, lambda: worker, Statistics(), intake)
    services = SimpleNamespace(create=lambda *_: None)
    service = RelocalisationService(node, Config(), services, place)
    service.watch = SimpleNamespace(is_lost=lambda _stamp_ns: True)
    service.take_picture(Picture(10**9, np.zeros((60, 80), np.uint8), None, 'eye'))
    call_in(worker, lambda: None, 20.0)
    worker.close()
    assert errors == []
    assert drops == ['image_size']
