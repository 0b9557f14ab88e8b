"""The processes of the pose graph: they answer, die with their parent, and their death is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3e_gnn_ros.pose_graph.child import ChildDiedError, ChildProcess

ECHO = """
from s3e_gnn_ros.pose_graph.child import serve
import ctypes
def answer(message):
    if message.get('hang'):
        ctypes.PyDLL(None).sleep(600)  # with the interpreter lock, as GTSAM solves
    return {'echo': message['word']}
serve(answer)
"""
PARENT = """
import sys
from s3e_gnn_ros.pose_graph.child import ChildProcess
child = ChildProcess('echo')
child.ask({'word': 'x'})
print(child.pid, flush=True)
if len(sys.argv) > 1:
    child.ask({'word': 'x', 'hang': True})
sys.stdin.read()
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / 'echo.py').write_text(ECHO)
    paths = [str(tmp_path), os.environ.get('PYTHONPATH', '')]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
    return tmp_path


@pytest.fixture
def child(modules: Path) -> Iterator[ChildProcess]:
    child = ChildProcess('echo')
    yield child
    child.close()


def is_running(pid: int) -> bool:
    """A zombie, of a parent that has died, does not run."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, limit_s: float = 20.0) -> None:
    end_s = time.monotonic() + limit_s
    while is_running(pid):
        assert time.monotonic() < end_s, f'process {pid} is still there'
        time.sleep(0.02)


def test_it_answers(child: ChildProcess) -> None:
    assert not child.has_message()
    assert [child.ask({'word': word})['echo'] for word in ('a', 'b')] == ['a', 'b']


def test_its_death_is_told(child: ChildProcess) -> None:
    child.ask({'word': 'a'})
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ChildDiedError, match='ended with -9'):
        child.ask({'word': 'b'})


def test_a_module_that_cannot_start_is_told(modules: Path) -> None:
    (modules / 'broken.py').write_text('raise SystemExit(3)')
    child = ChildProcess('broken')
    with pytest.raises(ChildDiedError, match='ended with 3'):
        child.receive()
    child.close()


def test_closing_wakes_whoever_waits_for_an_answer(child: ChildProcess) -> None:
    child.ask({'word': 'a'})
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            child.ask({'word': 'b', 'hang': True})
        except ChildDiedError as err:
            raised.append(err)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    child.close()
    waiting.join(20.0)
    assert not waiting.is_alive()
    assert len(raised) == 1
    wait_until_gone(child.pid)


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel cannot do it')
@pytest.mark.parametrize('arguments', [[], ['hang']], ids=['idle', 'solving'])
def test_it_dies_with_its_parent(modules: Path, arguments: list[str]) -> None:
    (modules / 'parent.py').write_text(PARENT)
    command = [sys.executable, str(modules / 'parent.py'), *arguments]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        time.sleep(0.1)
        assert is_running(pid)
        parent.kill()
        parent.wait()
        wait_until_gone(pid)
