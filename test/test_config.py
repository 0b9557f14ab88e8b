"""The configuration tree: defaults, ranges, and the YAML it is read from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.config import Config, Leaf, config_from_dict, config_from_dotted, leaves
from s3e_gnn_ros.config_file import dump_config, load_config, parameters_page
from s3e_gnn_ros.errors import ConfigError

DEFAULT = Path(__file__).resolve().parents[1] / 'config' / 'default.yaml'
LEAVES = list(leaves())
RANGED = [leaf for leaf in LEAVES if leaf.minimum is not None]


def _name(leaf: Leaf) -> str:
    return leaf.name


def _valid_values(leaf: Leaf) -> st.SearchStrategy[Any]:
    if leaf.choices:
        return st.sampled_from(leaf.choices)
    if isinstance(leaf.default, bool):
        return st.booleans()
    if isinstance(leaf.default, str):
        return st.text(st.characters(codec='utf-8', exclude_categories=('Cs', 'Cc')), max_size=20)
    floats = st.floats(leaf.minimum, leaf.maximum, allow_nan=False, allow_infinity=False)
    if isinstance(leaf.default, tuple):
        return st.tuples(*[floats] * len(leaf.default))
    if isinstance(leaf.default, float):
        return floats
    return st.integers(int(leaf.minimum or 0), int(leaf.maximum or 10**6))


@st.composite
def _overlays(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(LEAVES), unique_by=_name, max_size=8))
    return {leaf.name: draw(_valid_values(leaf)) for leaf in chosen}


def _write(folder: Path, text: str) -> Path:
    file = folder / 'config.yaml'
    file.write_text(text, encoding='utf-8')
    return file


def test_default_file_is_what_the_code_says() -> None:
    assert DEFAULT.read_text(encoding='utf-8') == dump_config(Config()), 'run: make config'
    assert load_config(DEFAULT) == Config()


def test_every_leaf_is_described_and_accepts_its_own_bounds() -> None:
    for leaf in LEAVES:
        assert leaf.description
        for bound in (leaf.minimum, leaf.maximum):
            if bound is not None:
                value = type(leaf.default)(bound)
                assert dict(_flatten(config_from_dotted({leaf.name: value})))[leaf.name] == value


def _flatten(config: Config) -> list[tuple[str, Any]]:
    return [(leaf.name, leaf.default) for leaf in leaves(config)]


@given(_overlays())
def test_round_trip_through_yaml(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    config = config_from_dotted(values)
    assert {name: value for name, value in _flatten(config) if name in values} == values
    file = _write(tmp_path_factory.mktemp('config'), dump_config(config))
    assert load_config(file) == config


def test_later_values_win_and_the_rest_is_kept() -> None:
    base = config_from_dict({'features': {'num_features': 500}})
    config = config_from_dict({'retrieval': {'max_candidates': 3}}, base)
    assert (config.features.num_features, config.retrieval.max_candidates) == (500, 3)
    assert dataclasses.replace(config, features=Config().features).verification == (
        Config().verification
    )
    assert base.retrieval == Config().retrieval


@pytest.mark.parametrize('leaf', RANGED, ids=_name)
def test_values_below_the_range_are_refused(leaf: Leaf) -> None:
    assert leaf.minimum is not None
    value = type(leaf.default)(leaf.minimum - 1)
    with pytest.raises(ConfigError, match=rf'^{leaf.name} is .* instead of at least'):
        config_from_dotted({leaf.name: value})


@pytest.mark.parametrize('leaf', [leaf for leaf in LEAVES if leaf.maximum is not None], ids=_name)
def test_values_above_the_range_are_refused(leaf: Leaf) -> None:
    assert leaf.maximum is not None
    value = type(leaf.default)(leaf.maximum + 1)
    with pytest.raises(ConfigError, match=rf'^{leaf.name} is .* instead of at most'):
        config_from_dotted({leaf.name: value})


@pytest.mark.parametrize('leaf', LEAVES, ids=_name)
def test_values_of_another_type_are_refused(leaf: Leaf) -> None:
    for value in (None, {}, object(), 'x' if not isinstance(leaf.default, str) else 1.0):
        with pytest.raises(ConfigError, match=leaf.name):
            config_from_dotted({leaf.name: value})


@pytest.mark.parametrize('leaf', [x for x in LEAVES if isinstance(x.default, float)], ids=_name)
def test_nan_is_refused(leaf: Leaf) -> None:
    with pytest.raises(ConfigError, match='NaN'):
        config_from_dotted({leaf.name: float('nan')})


def test_whole_numbers_become_floats_and_lists_tuples() -> None:
    config = config_from_dotted(
        {'keyframes.min_translation_m': 1, 'node.T_body_camera': [0, 0, 1, 0, 0, 0, 1]}
    )
    assert config.keyframes.min_translation_m == 1.0
    assert isinstance(config.keyframes.min_translation_m, float)
    assert config.node.T_body_camera == (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ('values', 'offender'),
    [
        ({'keyframe': {}}, "'keyframe'"),
        ({'keyframes': {'min_distance': 1.0}}, "'keyframes.min_distance'"),
        ({'keyframes': 3}, '3'),
        ({'features': {'num_features': 1000.0}}, '1000.0'),
        ({'features': {'num_features': True}}, 'True'),
        ({'keyframes': {'min_translation_m': True}}, 'True'),
        ({'keyframes': {'min_translation_m': '0.5'}}, "'0.5'"),
        ({'node': {'use_depth': 1}}, '1'),
        ({'node': {'T_body_camera': [0.0, 0.0]}}, '2 values'),
        ({'node': {'T_body_camera': ['a'] * 7}}, "'a'"),
        ({'node': {'T_body_camera': [float('nan')] * 7}}, 'NaN'),
        ({'retrieval': {'method': 'bag'}}, "'bag'"),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], offender: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(values)
    assert offender in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'keyframes: {min_translation_m: 1.0}',
        '/**: {}',
        '/**: {ros__parameters: 5}',
        '/**: {ros__parameters: [1, 2]}',
        '/**: {ros__parameters: {}}\n/other: {ros__parameters: {}}',
        '- 1',
        'a: [1',
        '/**:\n\tros__parameters: {}',
        '/**: {ros__parameters: {keyframes: {min_translation_m: .nan}}}',
        '/**: {ros__parameters: {1: 2}}',
    ],
)
def test_files_that_are_no_configuration_name_themselves(tmp_path: Path, text: str) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(file) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_binary_missing_and_directory_are_no_configuration(tmp_path: Path) -> None:
    binary = tmp_path / 'binary.yaml'
    binary.write_bytes(bytes(range(256)))
    for file in (binary, tmp_path / 'missing.yaml', tmp_path):
        with pytest.raises(ConfigError, match=file.name):
            load_config(file)


def test_use_sim_time_and_empty_parameters_are_fine(tmp_path: Path) -> None:
    assert (
        load_config(_write(tmp_path, '/**: {ros__parameters: {use_sim_time: true}}')) == Config()
    )
    assert load_config(_write(tmp_path, '/**: {ros__parameters: }')) == Config()
    overrides = '{qos_overrides: {/image: {subscription: {depth: 5}}}}'
    assert load_config(_write(tmp_path, f'/**: {{ros__parameters: {overrides}}}')) == Config()


def test_the_tree_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().features.num_features = 3  # type: ignore[misc]


def test_the_page_of_parameters_is_what_the_code_says() -> None:
    page = DEFAULT.parents[1] / 'docs' / 'parameters.md'
    assert page.read_text(encoding='utf-8') == parameters_page(), 'run: make config'


def test_the_page_names_every_parameter_with_its_default() -> None:
    page = parameters_page()
    for leaf in LEAVES:
        (row,) = [line for line in page.splitlines() if line.startswith(f'| `{leaf.name}` |')]
        default = row.split('|')[2].strip()
        if isinstance(leaf.default, bool):
            assert default == str(leaf.default).lower()
        elif isinstance(leaf.default, str):
            assert default == (leaf.default or "''")
        elif isinstance(leaf.default, tuple):
            assert tuple(map(float, default.split())) == leaf.default
        else:
            assert float(default) == leaf.default
        assert leaf.description in row


FIXED = {
    'features': {'num_levels', 'scale_factor'},
    'retrieval': {'method', 'weights', 'use_gnn', 'vocabulary'},
}


@pytest.mark.parametrize('section', ['keyframes', 'verification', 'relocalisation', 'pose_graph'])
def test_every_threshold_may_change_at_run_time(section):
    assert all(leaf.at_run_time for leaf in LEAVES if leaf.name.startswith(f'{section}.'))


@pytest.mark.parametrize('section', sorted(FIXED))
def test_what_is_built_once_may_not(section):
    leaves_ = [leaf for leaf in LEAVES if leaf.name.startswith(f'{section}.')]
    fixed = {leaf.name.partition('.')[2] for leaf in leaves_ if not leaf.at_run_time}
    assert fixed == FIXED[section]


def test_a_new_leaf_of_a_section_that_says_nothing_may_not():
    assert not any(leaf.at_run_time for leaf in LEAVES if leaf.name.startswith('map.'))
