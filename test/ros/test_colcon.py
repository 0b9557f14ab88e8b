"""``colcon build`` of this package, as in a ROS workspace, and what its install space offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

pytest.importorskip('rclpy')
pytestmark = pytest.mark.skipif(shutil.which('g++') is None, reason='no C++ compiler')


def _environment() -> dict[str, str]:
    hidden = ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH', 'COLCON_PREFIX_PATH', 'PYTHONPATH')
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment['PATH'] = f'{BIN}{os.pathsep}{environment["PATH"]}'
    if (Path(sys.prefix) / 'share' / 'rclpy').is_dir():  # not so in a full ROS install
        for name in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH'):
            environment[name] = sys.prefix
        return environment
    return dict(os.environ)


def _run(command: list[str], folder: Path) -> str:
    result = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope='module')
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a copy of the package with one of its messages: each costs seconds to compile."""
    if shutil.which('colcon', path=_environment()['PATH']) is None:
        pytest.skip('colcon is not installed')
    folder = tmp_path_factory.mktemp('workspace')
    package = folder / 'src' / 's3e_gnn_ros'
    for name in ('s3e_gnn_ros', 'launch', 'config', 'scripts', 'srv'):
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns('__pycache__'))
    (package / 'msg').mkdir()
    for name in ('package.xml', 'CMakeLists.txt', 'msg/LoopClosure.msg'):
        shutil.copy(ROOT / name, package / name)
    shutil.rmtree(package / 'srv')
    cmake = [f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF']
    _run(['colcon', 'build', '--cmake-args', *cmake, '-DCMAKE_BUILD_TYPE=Debug'], folder)
    return folder


def _files(folder: Path) -> set[str]:
    """Names of all files under a folder, without caches."""
    paths = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {str(path) for path in paths if '__pycache__' not in path.parts}


def test_install_space_is_complete(workspace: Path) -> None:
    prefix = workspace / 'install' / 's3e_gnn_ros'
    for node in ('loop_closure_node', 'pose_graph_node'):
        assert os.access(prefix / 'lib' / 's3e_gnn_ros' / node, os.X_OK)
    for folder in ('config', 'launch'):
        assert _files(prefix / 'share' / 's3e_gnn_ros' / folder) == _files(ROOT / folder)


def test_code_messages_and_command_come_from_the_install_space(workspace: Path) -> None:
    code = (
        'import s3e_gnn_ros; from s3e_gnn_ros.msg import LoopClosure;'
        'print(s3e_gnn_ros.__version__, s3e_gnn_ros.__file__, LoopClosure(num_inliers=3))'
    )
    script = f'source install/setup.bash && python3 -c "{code}" && s3e-gnn --version'
    out = _run(['bash', '-c', script], workspace)
    assert str(workspace / 'install') in out
    assert 'num_inliers=3' in out
    assert out.splitlines()[-1].startswith('s3e-gnn ')


def test_setups_are_found_in_the_install_space(workspace: Path) -> None:
    script = 'source install/setup.bash && s3e-gnn run vins_mono --dry-run'
    out = _run(['bash', '-c', script], workspace)
    share = workspace / 'install' / 's3e_gnn_ros' / 'share' / 's3e_gnn_ros'
    assert f'--params-file {share}/config/vins_mono.yaml' in out
    assert f'--params-file {share}/config/d455_640x480.yaml' in out
