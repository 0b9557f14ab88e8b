"""The command line itself; what each command does is tested in test/cli."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from s3e_gnn_ros import __version__
from s3e_gnn_ros.cli import config as config_command
from s3e_gnn_ros.cli.main import COMMANDS, main
from s3e_gnn_ros.config import Config
from s3e_gnn_ros.config_file import dump_config

HEAVY = ['cv2', 'embreex', 'evo', 'gtsam', 'matplotlib', 'numba', 'rclpy', 'rosbags', 'scipy']


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_has_a_module_and_a_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f's3e_gnn_ros.cli.{command}')
    assert callable(module.run)
    with pytest.raises(SystemExit) as caught:
        main([command, '--help'])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f'usage: s3e-gnn {command}')
    assert '--json' in out


@pytest.mark.parametrize('arguments', [[], *([command] for command in COMMANDS)], ids=str)
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    code = f"""
import sys
from s3e_gnn_ros.cli.main import main
try:
    main({[*arguments, '--help']!r})
finally:
    print(*(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr.split()


@pytest.mark.parametrize('arguments', [[], ['nonsense'], ['--json'], ['config', '--nonsense']])
def test_wrong_usage_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert 'usage: s3e-gnn' in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(['--version'])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f's3e-gnn {__version__}\n'


def test_known_errors_are_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / 'missing.yaml'
    assert main(['config', str(missing)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.count('\n') == 1
    assert captured.err.startswith('s3e-gnn config: ')
    assert str(missing) in captured.err


def test_bugs_keep_their_traceback_and_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(config_command, 'run', lambda _: fail(ZeroDivisionError('a bug')))
    with pytest.raises(ZeroDivisionError, match='a bug'):
        main(['config'])
    monkeypatch.setattr(config_command, 'run', lambda _: fail(KeyboardInterrupt()))
    assert main(['config']) == 130


def test_config_prints_yaml_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text('/**: {ros__parameters: {features: {num_features: 321}}}', encoding='utf-8')
    assert main(['config']) == 0
    assert capsys.readouterr().out == dump_config(Config())
    assert main(['config', str(file), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['features']['num_features'] == 321


def test_installed_command_runs(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name('s3e-gnn')
    if not command.exists():
        pytest.skip('the package is not installed by pip here')
    result = subprocess.run(
        [command, 'config', tmp_path / 'no.yaml'], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.count('\n') == 1
