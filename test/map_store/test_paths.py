from pathlib import Path

import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.paths import list_maps, map_directory, map_path


def test_the_directory_is_the_given_one_or_ros_home(monkeypatch):
    monkeypatch.setenv('HOME', '/home/somebody')
    monkeypatch.delenv('ROS_HOME', raising=False)
    assert map_directory() == Path('/home/somebody/.ros/s3e_gnn_ros/maps')
    monkeypatch.setenv('ROS_HOME', '/var/ros')
    assert map_directory() == Path('/var/ros/s3e_gnn_ros/maps')
    assert map_directory('/data/maps') == Path('/data/maps')
    assert map_directory('~/maps') == Path('/home/somebody/maps')


@pytest.mark.parametrize('name', ['office', 'Office-2.1_b', 'a' * 100])
def test_a_name_is_a_file_of_the_directory(name):
    assert map_path(Path('/m'), name) == Path(f'/m/{name}.s3emap')
    assert map_path(Path('/m'), f'{name}.s3emap') == Path(f'/m/{name}.s3emap')


@pytest.mark.parametrize(
    'name',
    [
        '',
        '.',
        '..',
        '../x',
        '/etc/passwd',
        'a/b',
        'a\\b',
        'a b',
        '.x',
        'a\n',
        'ä',
        'a\0',
        'a' * 200,
    ],
)
def test_no_name_leaves_the_directory(name):
    with pytest.raises(InputError, match='map name'):
        map_path(Path('/m'), name)


def test_maps_are_listed_by_name_and_nothing_else_is(tmp_path):
    for name in (
        'b.s3emap',
        'a.s3emap',
        'a.s3emap-wal',
        'a.s3emap.lock',
        '.c.s3emap.new',
        '.c.s3emap',
        'd.db',
    ):
        (tmp_path / name).touch()
    (tmp_path / 'folder.s3emap').mkdir()
    assert list_maps(tmp_path) == [tmp_path / 'a.s3emap', tmp_path / 'b.s3emap']
    assert list_maps(tmp_path / 'nowhere') == []


def test_a_folder_that_cannot_be_listed_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot list the maps'):
        list_maps(tmp_path / 'file')
