"""Launch files and the configurations they use."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest
import yaml

from s3e_gnn_ros.config import Config, leaves, load_config
from s3e_gnn_ros.ros.processes import Child

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
CONFIGS = sorted(set((ROOT / 'config').glob('*.yaml')) - {ROOT / 'config' / 'default.yaml'})
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(item.split(':=')) for item in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""
INPUTS = {
    'image',
    'camera_info',
    'depth',
    'odometry',
    'keyframe_pose',
    'keyframe_points',
    'extrinsic',
}


def names_of(path):
    return path.name


@pytest.mark.parametrize('path', CONFIGS, ids=names_of)
def test_a_configuration_holds_valid_differences_only(path):
    config = load_config(path)
    given = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    default = {leaf.name: leaf.default for leaf in leaves(Config())}
    resolved = {leaf.name: leaf.default for leaf in leaves(config)}
    for section, values in given.items():
        for name in values:
            assert resolved[f'{section}.{name}'] != default[f'{section}.{name}'], name


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=names_of)
def test_a_launch_file_names_only_what_exists(path):
    """Without ROS's launch: every input, parameter, configuration and node it names."""
    parameters = {leaf.name for leaf in leaves()} | {'use_sim_time'}
    texts = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for text in texts:
        if text.startswith(('node.', 'features.', 'retrieval.')):
            assert text in parameters
        if text.endswith('_topic') and text != '_topic':
            assert text.removesuffix('_topic') in INPUTS
        if text.endswith('.yaml'):
            assert (ROOT / 'config' / text).is_file()
        if text.endswith('.launch.py') and ' ' not in text:
            assert (ROOT / 'launch' / text).is_file()
        if text.endswith('_node'):
            assert (ROOT / 'scripts' / text).is_file()


@pytest.fixture
def share(tmp_path, monkeypatch):
    """Make a prefix in which ament finds this checkout as the installed package."""
    pytest.importorskip('launch')
    pytest.importorskip('launch_ros.actions')
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 's3e_gnn_ros').touch()
    share = tmp_path / 'share' / 's3e_gnn_ros'
    share.mkdir()
    (share / 'launch').symlink_to(ROOT / 'launch')
    (share / 'config').symlink_to(ROOT / 'config')
    libexec = tmp_path / 'lib' / 's3e_gnn_ros'
    libexec.mkdir(parents=True)
    for name in ('loop_closure_node', 'pose_graph_node'):
        (libexec / name).symlink_to(ROOT / 'scripts' / name)
    paths = [str(tmp_path), os.environ.get('AMENT_PREFIX_PATH', '')]
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(filter(None, paths)))
    return share


@pytest.mark.parametrize(
    ('name', 'arguments', 'topics'),
    [
        (
            's3e_gnn',
            ('image_topic:=/eye', 'odometry_topic:=/odo', 'namespace:=ours'),
            {'/eye': 1, '/odo': 2, '/ours/loop_closure/keyframe': 1},
        ),
        ('vins_mono', ('vins_namespace:=',), {'/keyframe_point': 1, '/odometry': 1}),
        (
            'vins_mono',
            ('image_topic:=/eye',),
            {'/vins_estimator/extrinsic': 1, '/vins_estimator/odometry': 1, '/eye': 1},
        ),
        ('replay', ('bag:=/no/bag',), {'/camera/color/image_raw': 1, '/odometry': 2}),
    ],
)
def test_a_launch_file_starts_both_nodes(share, robot, tmp_path, name, arguments, topics):
    """With ROS's launch: who listens to what."""
    path = share / 'launch' / f'{name}.launch.py'
    command = [sys.executable, '-c', LAUNCH, str(path), *arguments]
    with Child('launch', command, folder=tmp_path) as child:
        robot.wait(
            lambda: all(robot.num_subscribers(topic) >= n for topic, n in topics.items()), child
        )
