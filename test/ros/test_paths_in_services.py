"""No request to a service of maps reads, writes or deletes anything outside the map directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from made_up_map import make_keyframe
from node_rig import node_of

from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode

_FOREIGN = (
    '../outside',
    '..',
    '.',
    '/etc/passwd',
    '/dev/zero',
    '~root',
    'a/../../outside',
    'folder/../../outside',
    'a\0b',
    'a\nb',
    'a' * 300,
    'a/' * 5000 + 'a',
    '.hidden',
    'folder/.hidden',
    'ünï',
    'link',
    'folder/link',
)
_VINS = '0 1.5 0 0 0 0 0 0 1 0 0 0 1 0 0 0 -1 0 0 0 1 0 0 0 0 0\n'


@pytest.fixture
def outside(tmp_path):
    """A folder that is none of the node's business, with a map and a folder of VINS."""
    folder = tmp_path / 'outside'
    folder.mkdir()
    (folder / 'pose_graph.txt').write_text(_VINS)
    _make_map(folder / 'theirs.s3emap')
    return folder


@pytest.fixture
def maps(tmp_path, outside):
    """The map directory: two maps, a folder of VINS, and the links and pipes of somebody else."""
    folder = tmp_path / 'maps'
    (folder / 'folder').mkdir(parents=True)
    (folder / 'folder' / 'pose_graph.txt').write_text(_VINS)
    _make_map(folder / 'ours.s3emap')
    _make_map(folder / 'other.s3emap')
    for name, target in (
        ('link', outside),
        ('folder/link', outside),
        ('link.s3emap', outside / 'theirs.s3emap'),
        ('new.s3emap.lock', outside / 'made_by_lock'),
    ):
        (folder / name).symlink_to(target)
    (folder / 'linked').mkdir()
    (folder / 'linked' / 'pose_graph.txt').symlink_to(outside / 'pose_graph.txt')
    (folder / 'piped').mkdir()
    os.mkfifo(folder / 'piped' / 'pose_graph.txt')
    os.mkfifo(folder / 'pipe.s3emap')
    return folder


def _make_map(path: Path) -> None:
    with MapStore.create(path, weights_digest='') as store:
        store.add(make_keyframe(0))


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def ask(domain, maps, outside):
    """Return a function that calls a service; nothing outside may have changed in the end."""
    before = _state(outside)
    parameters = {'retrieval.method': 'bow', 'map.directory': str(maps), 'map.name': 'written'}
    with node_of(LoopClosureNode, parameters) as rig:

        def call(service, /, **fields):
            request = rig.services[service].srv_type.Request(**fields)
            answer = rig.ask(service, request)
            rig.settle()
            rig.assert_no_bugs()
            if not answer.success:
                assert '\n' not in answer.message
                assert len(answer.message) < 1000
            return answer

        yield call
    assert _state(outside) == before


def _requests(name: str):
    """Yield every service with a name that leads elsewhere, in the place of each of its names."""
    yield '/map/save', {'name': name, 'overwrite': True}
    yield '/map/load', {'name': name}
    yield '/map/delete', {'name': name}
    yield '/map/merge', {'name': name, 'other': 'ours', 'out': 'new'}
    yield '/map/merge', {'name': 'ours', 'other': name, 'out': 'new'}
    yield '/map/merge', {'name': 'ours', 'other': 'other', 'out': name}
    for form in ('tum', 'g2o', 'vins'):
        yield '/map/export', {'name': 'ours', 'format': form, 'out': name}
    yield '/map/export', {'name': name, 'format': 'tum', 'out': 'out'}
    yield '/map/import', {'folder': name, 'name': 'new'}
    yield '/map/import', {'folder': 'folder', 'name': name}


def test_names_that_lead_elsewhere_are_refused(ask, maps):
    before = sorted(maps.rglob('*'))
    for name in _FOREIGN:
        for service, fields in _requests(name):
            assert not ask(service, **fields).success, (service, fields)
    assert sorted(maps.rglob('*')) == before


def test_links_and_pipes_are_no_maps(ask, maps):
    for name in ('link', 'pipe'):
        assert not ask('/map/load', name=name).success
        assert not ask('/map/delete', name=name).success
        assert not ask('/map/merge', name=name, other='ours', out='new').success
        assert not ask('/map/export', name=name, format='tum', out='out.tum').success
    assert not ask('/map/save', name='link', overwrite=True).success
    assert not ask('/map/import', folder='linked', name='x').success
    assert not ask('/map/import', folder='piped', name='x').success
    assert not ask('/map/save', name='new').success  # its lock would be made elsewhere
    assert (maps / 'link.s3emap').is_symlink()


def test_an_export_has_not_the_name_of_a_map(ask, maps):
    for out in ('ours.s3emap', 'ours.s3emap-wal', 'x.s3emap/a.tum', 'ours.s3emap.lock'):
        answer = ask('/map/export', name='ours', format='tum', out=out)
        assert not answer.success
        assert 'name of a map' in answer.message
    assert not (maps / 'x.s3emap').exists()


def test_paths_inside_are_served(ask, maps):
    for form, out in (('tum', 'deep/er/a.tum'), ('vins', 'deep/vins')):
        answer = ask('/map/export', name='ours', format=form, out=out)
        assert answer.success, answer.message
        assert Path(answer.path) == maps / out
        assert (maps / out).exists()
    assert ask('/map/save', name='saved').success
    answer = ask('/map/import', folder='folder-2', name='imported')
    assert not answer.success
    (maps / 'folder' / 'link').unlink()
    answer = ask('/map/import', folder='folder', name='imported')
    assert answer.success, answer.message
    assert ask('/map/delete', name='imported').success
    assert sorted(path.name for path in maps.glob('*.s3emap')) == sorted(
        f'{name}.s3emap' for name in ('link', 'other', 'ours', 'pipe', 'saved', 'written')
    )
