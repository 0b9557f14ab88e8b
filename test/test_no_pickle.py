"""Files are data: nothing in this package loads what could run when it is loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ('s3e_gnn_ros', 'launch', 'scripts')
    for path in sorted((ROOT / folder).rglob('*'))
    if path.suffix == '.py'
    or (path.is_file() and path.suffix == '' and b'python' in path.read_bytes().split(b'\n')[0])
]
MODULES = {'pickle', '_pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib', 'marshal', 'shelve'}
CALLS = {'eval', 'exec', 'compile', '__import__'}
METHODS = {
    ('torch', 'load'): 'weights_only',
    ('torch', 'save'): None,
    ('np', 'load'): None,
    ('numpy', 'load'): None,
    ('np', 'save'): None,
    ('yaml', 'load'): None,
    ('yaml', 'load_all'): None,
    ('yaml', 'full_load'): None,
    ('yaml', 'unsafe_load'): None,
    ('pd', 'read_pickle'): None,
}
"""Functions by module, with the argument that would make them harmless; None: there is none."""
ARGUMENTS = {'allow_pickle', 'pickle_module'}


def faults(tree: ast.AST) -> Iterator[str]:
    """Yield what a source must not do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from MODULES.intersection(name.name.split('.')[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from MODULES.intersection({(node.module or '').split('.')[0]})
        elif isinstance(node, ast.Call):
            yield from _faults_of_call(node)


def _faults_of_call(node: ast.Call) -> Iterator[str]:
    given = {word.arg: word.value for word in node.keywords}
    for name in ARGUMENTS.intersection(given):
        value = given[name]
        if not (isinstance(value, ast.Constant) and value.value is False):
            yield name
    if isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield node.func.id
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        name = node.func.value.id, node.func.attr
        if name in METHODS:
            value = given.get(METHODS[name] or '')
            if not (isinstance(value, ast.Constant) and value.value is True):
                yield '.'.join(name)


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_loaded_can_run(path: Path) -> None:
    assert list(faults(ast.parse(path.read_text(encoding='utf-8')))) == []


@pytest.mark.parametrize(
    'code',
    [
        'import pickle',
        'from marshal import loads',
        'import dill as harmless',
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'np.load(path)',
        'read(path, allow_pickle=True)',
        'yaml.load(text, Loader=yaml.Loader)',
        'eval(text)',
        'exec(text)',
    ],
)
def test_the_test_sees_it(code: str) -> None:
    assert list(faults(ast.parse(code)))


def test_it_looks_at_everything() -> None:
    assert len(SOURCES) > 250
    assert ROOT / 'scripts' / 'database_node' in SOURCES
