"""What set-ups and choices come to, and that the nodes understand it in the same way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.config import Config, leaves
from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.ros.processes import plan_arguments
from s3e_gnn_ros.ros.setup_plan import Choices, make_plan, parse_parameters, parse_remaps
from s3e_gnn_ros.ros.setups import SETUPS, find_setup

ROOT = Path(__file__).resolve().parents[2]
VINS = SETUPS['vins_mono']
NAMES = st.from_regex(re.compile(r'[a-z_][a-z0-9_]{0,8}', re.ASCII), fullmatch=True)


@pytest.mark.parametrize('setup', SETUPS.values(), ids=SETUPS)
def test_a_setup_without_choices_is_its_own_file_and_its_camera(setup):
    plan = make_plan(setup, Choices())
    names = [setup.name, *([setup.camera] if setup.camera else [])]
    assert plan.files == tuple(ROOT / 'config' / f'{name}.yaml' for name in names)
    assert plan.nodes == ('loop_closure', 'pose_graph')
    assert not plan.parameters
    assert plan.use_sim_time == (setup.name == 'replay')
    config = Config()
    for file in plan.files:
        config = load_config(file, config)
    assert plan.config == config != Config()
    assert all(target.startswith('/') for target in plan.remaps.values())


def test_vins_without_its_prefix():
    """As zinuok/VINS-Fusion-ROS2 is started by its README."""
    with_prefix = make_plan(VINS, Choices()).remaps
    without = make_plan(VINS, Choices(host_namespace='')).remaps
    assert with_prefix['keyframe_points'] == '/vins_estimator/keyframe_point'
    assert without['keyframe_points'] == '/keyframe_point'
    assert without['match_points'] == with_prefix['match_points'] == '/pose_graph/match_points'


@given(st.lists(NAMES, max_size=3), st.booleans(), st.booleans())
def test_slashes_around_a_namespace_do_not_matter(parts, before, after):
    name = '/' * before + '/'.join(parts) + '/' * (after and bool(parts))
    plan = make_plan(VINS, Choices(host_namespace=name, camera_prefix=name, namespace=name))
    root = ''.join(f'/{part}' for part in parts)
    assert plan.remaps['extrinsic'] == f'{root}/extrinsic'
    assert plan.remaps['image'] == f'{root}/color/image_raw'
    assert plan.namespace == '/'.join(parts)


@pytest.mark.parametrize('name', ['a b', 'a//b', '1a', 'a-b', 'ü'])
@pytest.mark.parametrize('kind', ['namespace', 'host_namespace', 'camera_prefix'])
def test_what_is_no_name_is_refused(kind, name):
    with pytest.raises(ConfigError, match=f"{kind.replace('_', ' ')} is '{name}', which is no"):
        make_plan(VINS, Choices(**{kind: name}))


def test_choices_win_over_files_and_the_later_file_over_the_earlier(tmp_path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(
        '/**:\n  ros__parameters:\n    features: {min_depth_m: 0.5}\n'
        '    retrieval: {method: bow}\n    map: {name: of_file}\n'
    )
    choices = Choices(
        camera='d455_848x480',
        config=mine,
        retrieval='s3e',
        map_load='old',
        parameters={'keyframes.min_translation_m': 2},
        remaps={'image': '/eye'},
        image_transport='compressed',
        has_back_end=False,
        use_sim_time=True,
    )
    plan = make_plan(VINS, choices)
    assert plan.config.features.num_features == 1325  # camera
    assert plan.config.features.min_depth_m == 0.5  # own file over the camera's
    assert plan.config.retrieval.method == 's3e'
    assert (plan.config.map.name, plan.config.map.load) == ('of_file', 'old')
    assert plan.config.node.image_transport == 'compressed'
    assert plan.parameters['keyframes.min_translation_m'] == 2.0
    assert isinstance(plan.parameters['keyframes.min_translation_m'], float)
    assert plan.remaps['image'] == '/eye'
    assert plan.remaps['depth'] == '/camera/camera/aligned_depth_to_color/image_raw'
    assert plan.nodes == ('loop_closure',)
    assert plan.use_sim_time


def test_without_a_setup_only_the_choices_count(tmp_path):
    plan = make_plan(None, Choices(remaps={'image': '/eye'}))
    assert (plan.files, plan.remaps, plan.config) == ((), {'image': '/eye'}, Config())
    assert not plan.use_sim_time
    with pytest.raises(ConfigError, match='a host namespace needs a set-up'):
        make_plan(None, Choices(host_namespace='vins'))


@pytest.mark.parametrize(
    ('choices', 'error', 'match'),
    [
        (Choices(camera='d999'), InputError, "no configuration 'd999'"),
        (Choices(config=Path('/no/file.yaml')), ConfigError, '/no/file.yaml'),
        (Choices(parameters={'node.queue_size': 0}), ConfigError, 'node.queue_size is 0'),
    ],
)
def test_wrong_choices_are_refused(choices, error, match):
    with pytest.raises(error, match=match):
        make_plan(VINS, choices)


def test_a_host_that_is_none_has_no_namespace():
    with pytest.raises(ConfigError, match="'rgbd_odometry' has no host"):
        make_plan(find_setup('rgbd_odometry'), Choices(host_namespace='x'))
    with pytest.raises(ConfigError, match="no set-up 'nonsense', only vins_mono"):
        find_setup('nonsense')


def test_parameters_are_read_by_the_type_they_have():
    given_ = ['map.name=12', 'node.use_depth=false', 'node.T_body_camera=[0, 0, 0, 0, 0, 0, 1]']
    assert parse_parameters([*given_, 'retrieval.weights=a=b']) == {
        'map.name': '12',
        'node.use_depth': False,
        'node.T_body_camera': [0, 0, 0, 0, 0, 0, 1],
        'retrieval.weights': 'a=b',
    }


@pytest.mark.parametrize('item', ['node.use_depth', 'no.name=1', 'node.queue_size=[1'])
def test_broken_parameters_are_refused(item):
    with pytest.raises(ConfigError, match=re.escape(item.partition('=')[0])):
        parse_parameters([item])


@pytest.mark.parametrize('item', ['image', ':=image', 'image:='])
def test_broken_remappings_are_refused(item):
    with pytest.raises(ConfigError, match='instead of FROM:=TO'):
        parse_remaps([item])


AWKWARD = {
    'map.name': '12',
    'map.load': 'true',
    'retrieval.weights': 'it\'s a "name": {x}',
    'node.T_body_camera': [0, 1, 2, 0, 0, 0, 1],
    'node.use_depth': False,
    'keyframes.min_translation_m': 1e-05,
}


@pytest.mark.parametrize('setup', [*SETUPS.values(), None], ids=[*SETUPS, 'none'])
def test_a_node_reads_the_command_line_as_the_plan_does(setup, domain):
    """Through ROS's own parser of files, parameters and remappings."""
    rclpy = pytest.importorskip('rclpy')
    from rclpy.node import Node

    from s3e_gnn_ros.ros.parameters import load_parameters

    plan = make_plan(setup, Choices(namespace='ours', parameters=AWKWARD, use_sim_time=True))
    context = rclpy.Context()
    rclpy.init(args=plan_arguments(plan), context=context)
    try:
        node = Node('any', context=context, automatically_declare_parameters_from_overrides=True)
        assert load_parameters(node) == plan.config
        assert node.get_parameter('use_sim_time').value is True
        assert node.get_namespace() == '/ours'
        for ours, theirs in plan.remaps.items():
            assert node.resolve_topic_name(ours) == theirs
        assert node.resolve_topic_name('anything') == '/ours/anything'
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    differing = [leaf for leaf in leaves(plan.config) if leaf.name in AWKWARD]
    assert len(differing) == len(AWKWARD)
