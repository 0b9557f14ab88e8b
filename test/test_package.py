"""The package as a whole: who imports whom, versions, and what an installation holds."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest

import s3e_gnn_ros
from s3e_gnn_ros.types import Status

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 's3e_gnn_ros'
SOURCES = sorted(PACKAGE.rglob('*.py'))

ROS = re.compile(
    r'rclpy|cv_bridge|message_filters|tf2_\w+|launch(_ros)?|ament_index_python'
    r'|\w+_(msgs|interfaces|srvs)|s3e_gnn_ros\.(msg|srv)'
)
"""Packages of ROS, and the compiled messages of this one."""

LAYERS = {
    'cli': 4,
    'ros': 4,
    'data': 3,
    'dbow': 3,
    'evaluation': 3,
    'loop_closure': 3,
    'map_store': 3,
    'pose_graph': 3,
    'simulation': 3,
    'training': 3,
    'retrieval': 2,
    'encoder': 1,
    'graph': 1,
}
"""A module imports from its own layer and from those below; what is not named is layer 0."""


def _layer_name(module: str) -> str:
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else ''


def _imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or '')
            if node.module == 's3e_gnn_ros':
                names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def _is_ros(module: str) -> bool:
    parts = module.split('.')
    return bool(ROS.fullmatch(parts[0]) or ROS.fullmatch('.'.join(parts[:2])))


def _id(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize('path', SOURCES, ids=_id)
def test_imports_point_down(path: Path) -> None:
    folder = path.relative_to(PACKAGE).parts[0]
    own = LAYERS.get(folder, 0)
    for module in _imports(path):
        if module.split('.')[0] == 's3e_gnn_ros':
            other = _layer_name(module)
            assert LAYERS.get(other, 0) <= own, f'{_id(path)} imports {module}'
        assert folder == 'ros' or not _is_ros(module), f'{_id(path)} imports {module}'
        assert folder == 'pose_graph' or module.split('.')[0] != 'gtsam'


def test_core_runs_without_ros() -> None:
    modules = [
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] != 'ros'
    ]
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
print(*sys.modules)
"""
    loaded = _python(code).split()
    assert 's3e_gnn_ros.types' in loaded
    assert not [name for name in loaded if _is_ros(name)]


def test_core_loads_gtsam_only_for_the_pose_graph() -> None:
    folders = ('data', 'geometry', 'loop_closure', 'retrieval', 'simulation')
    modules = [
        '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] in folders
    ]
    loaded = _python(
        f'import importlib, sys\n'
        f'for name in {modules!r}: importlib.import_module(name)\n'
        f'print(*sys.modules)'
    ).split()
    assert not {'gtsam', 's3e_gnn_ros.pose_graph'} & set(loaded)


def test_recognising_places_needs_no_torch_geometric() -> None:
    """Its import would take a node longer than all else it does at its start."""
    loaded = _python(
        'import s3e_gnn_ros.retrieval.s3e\n'
        'from s3e_gnn_ros.retrieval.place_map import PlaceMap\n'
        'import sys; PlaceMap(); print(*sys.modules)'
    ).split()
    assert 'torch' in loaded
    assert not {'torch_geometric', 'torch._dynamo'} & set(loaded)


def test_the_package_itself_imports_nothing_heavy() -> None:
    loaded = _python('import s3e_gnn_ros, sys; print(*sys.modules)').split()
    assert not {'numpy', 'cv2', 'yaml', 'gtsam', 'rclpy', 'torch'} & set(loaded)


def _python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_versions_agree() -> None:
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    citation = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    cited = re.search(r'^version: (\S+)$', citation, re.MULTILINE)
    assert cited is not None
    assert manifest.findtext('version') == s3e_gnn_ros.__version__ == cited[1]
    assert metadata.version('s3e_gnn_ros') == s3e_gnn_ros.__version__


def test_status_equals_the_constants_of_the_message() -> None:
    text = (ROOT / 'msg' / 'LoopQuery.msg').read_text(encoding='utf-8')
    constants = re.findall(r'^uint8 ([A-Z_]+) = (\d+)', text, re.MULTILINE)
    assert {name: int(value) for name, value in constants} == {s.name: s.value for s in Status}


def test_manifest_names_every_ros_package_that_is_imported() -> None:
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    declared = {element.text for element in manifest if element.tag.endswith('depend')}
    files = [*(PACKAGE / 'ros').glob('*.py'), *(ROOT / 'launch').glob('*.py')]
    imported = {module.split('.')[0] for file in files for module in _imports(file)}
    ros = {name for name in imported if _is_ros(name)}
    assert ros <= declared, ros - declared


def test_requirements_name_every_library_that_is_imported() -> None:
    modules = {module.split('.')[0] for path in SOURCES for module in _imports(path)}
    libraries = {
        name
        for name in modules - set(sys.stdlib_module_names) - {'', 's3e_gnn_ros'}
        if not _is_ros(name)
        and name != 'MinkowskiEngine'  # has no wheels: scripts/build_minkowski
    }
    distributions = {
        'cv2': 'opencv-python-headless',
        'faiss': 'faiss-cpu',
        'imblearn': 'imbalanced-learn',
        'sklearn': 'scikit-learn',
        'torch_geometric': 'torch-geometric',
        'yaml': 'pyyaml',
    }
    needed = {distributions.get(name, name).lower() for name in libraries}
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg', encoding='utf-8')
    extras = setup['options.extras_require']
    lines = [setup['options']['install_requires']]
    lines += [extras[name] for name in ('index', 'simulation', 'training')]
    known = {
        re.split(r'[<>=~;\[]', line)[0].strip().lower() for line in '\n'.join(lines).splitlines()
    }
    assert needed <= known, needed - known


def test_constraints_pin_every_requirement_for_every_python() -> None:
    pins: dict[str, list[str]] = {}
    for line in (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines():
        if line and not line.startswith('#'):
            name, _, marker = line.partition('==')
            pins.setdefault(name, []).append(marker.partition(';')[2].strip())
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg', encoding='utf-8')
    lines = [setup['options']['install_requires'], *setup['options.extras_require'].values()]
    for line in '\n'.join(lines).splitlines():
        name = re.split(r'[<>=~;\[# ]', line)[0].lower().replace('_', '-')
        if name:
            both = ["python_version < '3.11'", "python_version >= '3.11'"]
            assert sorted(pins.get(name, [])) in ([''], both), name


def test_wheel_holds_code_data_and_command(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    ignored = shutil.ignore_patterns('__pycache__', '*.egg-info')
    for folder in ('s3e_gnn_ros', 'config', 'launch'):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for file in ('setup.py', 'setup.cfg', 'pyproject.toml', 'LICENSE', 'README.md'):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps']
    command += ['--no-build-isolation', '--wheel-dir', str(tmp_path), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (entry_points,) = (name for name in held if name.endswith('entry_points.txt'))
        assert 's3e-gnn = s3e_gnn_ros.cli.main:main' in archive.read(entry_points).decode()
    files = [path for path in (source / 's3e_gnn_ros').rglob('*') if path.is_file()]
    missing = {str(path.relative_to(source)) for path in files} - held
    assert not missing
    data = f's3e_gnn_ros-{s3e_gnn_ros.__version__}.data/data/share/s3e_gnn_ros'
    assert f'{data}/config/default.yaml' in held
    site = tmp_path / 'site'
    install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target']
    result = subprocess.run(
        [*install, str(site), str(wheel)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    code = "from s3e_gnn_ros.share import config_file; print(config_file('vins_mono'))"
    result = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == str(
        site / 'share' / 's3e_gnn_ros' / 'config' / 'vins_mono.yaml'
    ), result.stderr
    for path in (source / 'config' / 'train').glob('*.yaml'):
        assert f'{data}/config/train/{path.name}' in held
    assert f'{data}/config/security/policy.xml' in held
