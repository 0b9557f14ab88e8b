import dataclasses
import math

import numpy as np
import pytest
from synthetic import START_NS, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_images import recording_items
from s3e_gnn_ros.evaluation.retrieval_relocalisation import relocalise, summarise

CONFIG = config_from_dict({'features': {'num_features': 600}})


def test_figures_by_hand():
    errors = np.array([[0.01, 1.0], [0.25, 5.0], [0.3, 1.0], [0.1, 5.1], [0.4, 16.0], [0.6, 1.0]])
    found = summarise(errors, 8)
    assert found.num_located == 6
    assert found.median_translation_m == pytest.approx(0.275)
    assert found.median_rotation_deg == pytest.approx(3.0)
    assert found.fine_rate == 2 / 8
    assert found.coarse_rate == 4 / 8
    assert found.num_wrong == 2


def test_nothing_located_and_nothing_asked():
    found = summarise(np.zeros((0, 2)), 3)
    assert (found.num_located, found.fine_rate, found.num_wrong) == (0, 0.0, 0)
    assert math.isnan(found.median_translation_m)
    assert math.isnan(summarise(np.zeros((0, 2)), 0).coarse_rate)


@pytest.fixture(scope='module')
def drive():
    """Ten frames out and back; the odometry is far off and must not be looked at."""
    frames = [make_frame(T, START_NS + i * 10**9) for i, T in enumerate(out_and_back(10))]
    nowhere = np.full((4, 4), np.nan)
    return [dataclasses.replace(frame, T_odom_camera=nowhere) for frame in frames]


@pytest.mark.parametrize('method', ['s3e', 's3e-encoder', 'bow'])
def test_the_way_back_is_located_on_the_way_out(drive, method):
    items = recording_items('drive', '/data/drive', drive, OrbExtractor(CONFIG.features))
    found = relocalise(method, items, drive[5:], CONFIG)
    assert found.num_queries == found.num_located == 5
    assert found.fine_rate == 1.0
    assert found.num_wrong == 0
    assert found.median_translation_m < 0.02


def test_an_unknown_method(drive):
    with pytest.raises(ConfigError, match="unknown retrieval method 'dino'"):
        relocalise('dino', [], [], CONFIG)
