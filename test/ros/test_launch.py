"""Launch files and the configurations they use."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from s3e_gnn_ros.config import Config, leaves
from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.ros.processes import Child, child_environment
from s3e_gnn_ros.ros.setups import SETUPS

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
CONFIGS = sorted(set((ROOT / 'config').glob('*.yaml')) - {ROOT / 'config' / 'default.yaml'})
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(item.split(':=', 1)) for item in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


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
def test_a_launch_file_is_a_line_of_the_table(path):
    """Without ROS's launch; what the table says is tested in test_setups and test_setup_plan."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    (call,) = calls
    assert call.func.id == 'describe_setup'
    assert call.args[0].value == path.name.removesuffix('.launch.py')
    assert call.args[0].value in SETUPS


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
    libexec = tmp_path / 'lib' / 's3e_gnn_ros'
    libexec.mkdir(parents=True)
    for name in ('loop_closure_node', 'pose_graph_node', 'both_nodes'):
        (libexec / name).symlink_to(ROOT / 'scripts' / name)
    paths = [str(tmp_path), os.environ.get('AMENT_PREFIX_PATH', '')]
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(filter(None, paths)))
    # The scripts start the python3 of the path, which has to be this one.
    monkeypatch.setenv(
        'PATH', os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    )
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'ros'))
    return share


@contextmanager
def launched(share, tmp_path, name, *arguments):
    """Launch, and end it as Ctrl-C in a terminal does: with a signal to all its processes."""
    with Child('launch', command_of(share, name, *arguments), folder=tmp_path) as child:
        try:
            yield child
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGINT)
            child.process.wait(60)


def command_of(share, name, *arguments):
    return [sys.executable, '-c', LAUNCH, str(share / 'launch' / f'{name}.launch.py'), *arguments]


CAMERA = '/camera/camera/color/image_raw'


@pytest.mark.parametrize(
    ('name', 'arguments', 'topics'),
    [
        (
            'rgbd_odometry',
            ('image_topic:=/eye', 'odometry_topic:=/odo', 'namespace:=ours'),
            {'/eye': 1, '/odo': 2, '/ours/loop_closure/keyframe': 1},
        ),
        (
            'vins_mono',
            ('vins_namespace:=', 'remap:=extrinsic:=/elsewhere'),
            {'/keyframe_point': 1, '/odometry': 1, '/elsewhere': 1, '/relo_relative_pose': 1},
        ),
        (
            'vins_fusion',
            ('camera_prefix:=/front',),
            {'/vins_estimator/extrinsic': 1, '/front/color/image_raw': 1},
        ),
        (
            'openvins',
            ('openvins_namespace:=robot/ov_msckf',),
            {'/robot/ov_msckf/loop_pose': 1, '/robot/ov_msckf/odomimu': 1, CAMERA: 1},
        ),
        (
            'orb_slam3',
            ('orb_slam3_namespace:=robot', 'image_transport:=compressed'),
            {'/robot/robot_pose_slam': 2, f'{CAMERA}/compressed': 1},
        ),
        ('replay', ('bag:=/no/bag',), {'/camera/color/image_raw': 1, '/odometry': 2}),
    ],
)
def test_a_launch_file_starts_both_nodes(share, robot, tmp_path, name, arguments, topics):
    """With ROS's launch: who listens to what."""
    with launched(share, tmp_path, name, *arguments) as child:
        robot.wait(
            lambda: all(robot.num_subscribers(topic) >= n for topic, n in topics.items()), child
        )


def test_both_nodes_may_share_a_process_and_wait_for_a_manager(share, robot, caller, tmp_path):
    from lifecycle_manager import ACTIVATE, CONFIGURE, Manager

    arguments = ('one_process:=true', 'autostart:=false', 'odometry_topic:=/odo')
    with launched(share, tmp_path, 'rgbd_odometry', *arguments) as child:
        managers = [Manager(caller, f'{name}_node') for name in ('loop_closure', 'pose_graph')]
        assert [manager.state() for manager in managers] == ['unconfigured'] * 2
        pid = child.process.pid
        assert len(Path(f'/proc/{pid}/task/{pid}/children').read_text().split()) == 1
        assert managers[1].change(CONFIGURE)
        assert managers[1].change(ACTIVATE)
        robot.wait(lambda: robot.num_subscribers('/odo') == 1, child)


def test_every_launch_file_is_executed(share):
    tested = test_a_launch_file_starts_both_nodes.pytestmark[0].args[1]
    assert {case[0] for case in tested} == {path.name.split('.')[0] for path in LAUNCH_FILES}


def test_arguments_become_parameters(share, robot, caller, tmp_path):
    import rclpy
    from rcl_interfaces.srv import GetParameters

    wanted = {
        'retrieval.method': 'bow',
        'features.num_features': 1325,
        'node.host': 'vins',
        'map.name': '12',
        'keyframes.min_translation_m': 2.0,
        'node.use_depth': False,
    }
    arguments = ('retrieval:=bow', 'camera:=d455_848x480', 'map:=12', 'back_end:=false')
    more = ('set:=keyframes.min_translation_m=2 node.use_depth=false', 'use_sim_time:=false')
    with launched(share, tmp_path, 'vins_mono', *arguments, *more) as child:
        node, name = robot._node, '/loop_closure_node/get_parameters'
        answer = caller.call(GetParameters, name, names=list(wanted))
        values = [rclpy.parameter.parameter_value_to_python(v) for v in answer.values]
        assert dict(zip(wanted, values, strict=True)) == wanted
        robot.wait(
            lambda: (
                robot.num_subscribers('/vins_estimator/keyframe_pose') == 1
                and node.count_publishers('/loop_closure/keyframe') == 1
            ),
            child,
        )
        assert node.count_publishers('/pose_graph/path') == 0


@pytest.mark.parametrize(
    ('name', 'argument', 'sentence'),
    [
        ('vins_mono', 'back_end:=perhaps', "launch argument back_end is 'perhaps'"),
        ('vins_mono', 'one_process:=2', "launch argument one_process is '2'"),
        ('vins_mono', 'camera:=d999', "there is no configuration 'd999'"),
        ('openvins', 'set:=node.queue_size=0', 'node.queue_size is 0'),
    ],
)
def test_a_wrong_argument_is_named(share, name, argument, sentence):
    done = subprocess.run(
        command_of(share, name, argument),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
