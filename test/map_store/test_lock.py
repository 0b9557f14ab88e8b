import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.lock import WriterLock, has_writer


def test_there_is_one_writer_at_a_time(tmp_path):
    path = tmp_path / 'a.s3emap'
    lock = WriterLock(path)
    assert has_writer(path)
    with pytest.raises(InputError, match='is being written by another process'):
        WriterLock(path)
    lock.release()
    lock.release()
    assert not has_writer(path)
    assert list(tmp_path.iterdir()) == []
    WriterLock(path).release()


def test_the_lock_ends_with_its_process(tmp_path):
    path = tmp_path / 'a.s3emap'
    code = (
        'import sys, pathlib; from s3e_gnn_ros.map_store.lock import WriterLock\n'
        'lock = WriterLock(pathlib.Path(sys.argv[1])); print("ready", flush=True)\n'
        'sys.stdin.read()'
    )
    command = [sys.executable, '-c', code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == 'ready\n'
        assert has_writer(path)
        os.kill(process.pid, signal.SIGKILL)
    assert not has_writer(path)
    assert (tmp_path / 'a.s3emap.lock').exists()
    WriterLock(path).release()


def test_a_look_at_the_lock_does_not_turn_a_writer_away(tmp_path):
    path = tmp_path / 'a.s3emap'
    (tmp_path / 'a.s3emap.lock').touch()
    is_done = threading.Event()

    def look():
        while not is_done.is_set():
            has_writer(path)
            time.sleep(0.001)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(50):
            WriterLock(path).release()
    finally:
        is_done.set()
        thread.join()


def test_many_who_want_it_get_it_one_by_one(tmp_path):
    """Also while the lock's file comes and goes."""
    path = tmp_path / 'a.s3emap'
    holders, most = [], []

    def work():
        for _ in range(20):
            try:
                lock = WriterLock(path)
            except InputError:
                continue
            holders.append(1)
            most.append(len(holders))
            time.sleep(0.0005)
            holders.pop()
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) >= 20
    assert max(most) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match='No such file or directory'):
        WriterLock(tmp_path / 'nowhere' / 'a.s3emap')
