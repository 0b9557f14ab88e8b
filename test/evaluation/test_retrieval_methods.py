"""Methods by name, the weights behind them, and names of files."""

import dataclasses

import numpy as np
import pytest
from synthetic import look_at, make_frame

from s3e_gnn_ros.config import Config, FeatureConfig
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_methods import LearnedMethod, make_method, split_name
from s3e_gnn_ros.evaluation.retrieval_weights import Architecture, MethodWeights
from s3e_gnn_ros.evaluation.retrieval_write import file_names
from s3e_gnn_ros.graph.calibration import Calibration


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('bow', ('bow', '')),
        ('s3e', ('s3e', '')),
        ('s3e-encoder@vit', ('s3e-encoder', 'vit')),
        ('s3e@/tmp/a@b.safetensors', ('s3e', '/tmp/a@b.safetensors')),
    ],
)
def test_names_hold_method_and_weights(name, parts):
    assert split_name(name) == parts


@pytest.mark.parametrize('name', ['', 'vit', 'bow@', 'bow@x', 's3e@'])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match='retrieval method'):
        split_name(name)


def test_bag_of_words_has_no_learned_matches():
    assert not isinstance(make_method('bow', Config()), LearnedMethod)


def test_file_names_are_safe_and_differ():
    names = file_names(
        ['bow', 's3e@../a/b.safetensors', 's3e@../a_b', 's3e@../A_b', 'bow', 's3e@' + 'x/' * 200]
    )
    assert list(names.values())[:4] == ['bow', 's3e@.._a_b', 's3e@.._a_b-2', 's3e@.._A_b-3']
    assert all('/' not in name and len(name) < 120 for name in names.values())


def test_the_calibration_maps_similarity_to_overlap():
    knots = np.array([0.2, 0.6], np.float32)
    calibration = Calibration(knots, np.array([0, 1], np.float32), np.array([0, 0.5], np.float32))
    architecture = Architecture('s3e', EncoderConfig(), None)
    similarity = np.array([0.0, 0.4, 0.6, 0.9])
    calibrated = MethodWeights('x', architecture, calibration)
    assert calibrated.overlap(similarity) == pytest.approx([0, 0.25, 0.5, 0.5])
    raw = dataclasses.replace(calibrated, calibration=None)
    assert raw.overlap(similarity) == pytest.approx(similarity)


def test_bag_of_words_finds_the_same_place_again():
    extractor = OrbExtractor(FeatureConfig())
    targets = [[0.8, 0.4, 4.0], [-4.0, 0.0, -4.0]]
    items = []
    for index, target in enumerate(targets):
        frame = make_frame(look_at([-1.0, -0.2, 0.6], target), index)
        items.append(Item(frame, extractor.extract(frame), 'drive', index, str(index)))
    similarity = make_method('bow', Config()).similarity_matrix(items[:1], items)
    assert similarity[0, 0] > similarity[0, 1]
