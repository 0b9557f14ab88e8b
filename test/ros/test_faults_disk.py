"""A disk that is full or takes no writing, and files that a node cannot do without."""

from __future__ import annotations

import resource

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import LAP, Sensors, counters, is_alive, said, settle

from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros.processes import Child, node_command


def stored(path):
    with MapStore.open(path, read_only=True) as store:
        return store.num_keyframes


def test_a_disk_that_is_full_for_a_while(robot, tmp_path):
    """The kernel refuses to let the map grow, and SQLite finds out."""
    sensors = Sensors(robot)
    maps = ('-p', f'map.directory:={tmp_path}', '-p', 'map.name:=driven')
    child = robot.start('loop_closure', *maps)
    path = tmp_path / 'driven.s3emap'
    sensors.drive(10)
    settle(robot, sensors, child)
    assert counters(robot)['map.waiting'] == 0
    size = max(p.stat().st_size for p in tmp_path.glob('driven.s3emap*'))
    resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    log = is_alive(robot, sensors, child)
    waiting = counters(robot)['map.waiting']
    assert waiting > 5
    assert counters(robot)['drops.map_write'] >= 1
    assert said(log, 'dropped (map_write)') == 1
    is_alive(robot, sensors, child)  # it is searched all the same
    resource.prlimit(
        child.process.pid,
        resource.RLIMIT_FSIZE,
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    )
    robot.wait(lambda: counters(robot)['map.waiting'] == 0, child)
    log = is_alive(robot, sensors, child)
    assert said(log, 'the map can be written again') == 1
    settle(robot, sensors, child)
    assert stored(path) == counters(robot)['keyframes']


def test_a_folder_that_comes_later(robot, tmp_path):
    """A disk that is not mounted yet: there is a file where the folder should be."""
    sensors = Sensors(robot)
    blocked = tmp_path / 'usb'
    blocked.write_text('')
    maps = ('-p', f'map.directory:={blocked / "maps"}', '-p', 'map.name:=driven')
    child = robot.start('loop_closure', *maps)
    sensors.drive(6)
    log = is_alive(robot, sensors, child)
    assert said(log, 'dropped (map_write)') == 1
    assert counters(robot)['map.waiting'] == counters(robot)['keyframes'] > LAP
    blocked.unlink()
    robot.wait(lambda: counters(robot)['map.waiting'] == 0, child)
    is_alive(robot, sensors, child)
    settle(robot, sensors, child)
    assert stored(blocked / 'maps' / 'driven.s3emap') == counters(robot)['keyframes']


@pytest.fixture
def damaged(tmp_path):
    """Return a file that should hold something."""
    path = tmp_path / 'damaged.safetensors'
    path.write_bytes(b'\x10\x00\x00\x00\x00\x00\x00\x00{"nothing": here}')
    return path


def test_files_that_are_missing_or_damaged_are_refused_in_one_sentence(domain, tmp_path, damaged):
    nowhere = tmp_path / 'nowhere'
    learned = 'retrieval.method:=s3e'
    cases = {
        'missing': (learned, f'retrieval.weights:={nowhere}.safetensors'),
        'damaged': (learned, f'retrieval.weights:={damaged}'),
        'words': ('retrieval.method:=bow', f'retrieval.vocabulary:={nowhere}.yml'),
        'map': ('retrieval.method:=bow', 'map.load:=nowhere', f'map.directory:={tmp_path}'),
    }
    children = {}
    for name, overrides in cases.items():
        words = [word for override in overrides for word in ('-p', override)]
        command = node_command('loop_closure', ['--ros-args', *words])
        children[name] = Child(name, command, folder=tmp_path)
    try:
        for name, child in children.items():
            assert child.process.wait(120) == 2, child.log.read_text()
            log = child.log.read_text()
            assert 'Traceback' not in log
            named = 'damaged' if name == 'damaged' else 'nowhere'
            assert said(log, named) == 1, log
    finally:
        for child in children.values():
            child.stop()
