"""Settings of the loop detector: DLoopDetector's numbers, and their ranges."""

import dataclasses

import pytest

from s3e_gnn_ros.config import RetrievalConfig
from s3e_gnn_ros.dbow.parameters import _RANGES, GeometricalCheck, Parameters
from s3e_gnn_ros.errors import ConfigError


def test_the_defaults_are_those_of_one_image_a_second():
    assert Parameters.at_frequency(1.0) == Parameters()


def test_more_images_a_second_make_everything_in_images_longer():
    parameters = Parameters.at_frequency(2.5, alpha=0.2, geom_check=GeometricalCheck.NONE)
    assert dataclasses.asdict(parameters) == {
        **dataclasses.asdict(Parameters()),
        'alpha': 0.2,
        'geom_check': GeometricalCheck.NONE,
        'dislocal': 50,
        'max_db_results': 125,
        'min_matches_per_group': 2,
        'max_intragroup_gap': 7,
        'max_distance_between_groups': 7,
        'max_distance_between_queries': 5,
    }


def test_the_configuration_tree_gives_what_it_knows():
    config = RetrievalConfig(min_keyframe_gap=5, min_nss_factor=0.02)
    assert Parameters.from_config(config, k=1) == Parameters(dislocal=5, min_nss_factor=0.02, k=1)


@pytest.mark.parametrize('name', sorted(_RANGES))
def test_a_number_out_of_range_is_refused_by_name(name):
    low, high = _RANGES[name]
    for value in (low - 1, high + 1, float('nan')):
        with pytest.raises(ConfigError, match=f'{name} is {value}'):
            Parameters(**{name: value})


@pytest.mark.parametrize('frequency_hz', [0.0, -1.0, float('nan'), float('inf')])
def test_a_frequency_that_is_none_is_refused(frequency_hz):
    with pytest.raises(ConfigError, match='frequency_hz'):
        Parameters.at_frequency(frequency_hz)
