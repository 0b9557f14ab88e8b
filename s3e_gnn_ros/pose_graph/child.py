"""A second process of ours, which works for this one and dies with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import s3e_gnn_ros
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.pose_graph.wire import Message, receive, send

_END_TIMEOUT_S = 2.0
_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


class ChildDiedError(S3EError):
    """The process is gone: killed, out of memory, or by a fault in a library."""


class ChildProcess:
    """Runs a module of the package, and exchanges messages with it.

    The process dies with the thread that made this, which is to be the one that uses it.

    Args:
        module: full name; it calls :func:`serve`.

    Raises:
        ChildDiedError: the system has no room for it.
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(s3e_gnn_ros.__file__).resolve().parents[1])
        paths = [root, *filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))]
        environment = {
            # Its products are small, as those of the nodes are.
            'OMP_NUM_THREADS': '1',
            **os.environ,
            'PYTHONPATH': os.pathsep.join(paths),
        }
        self._connection = ours
        command = [sys.executable, '-m', module, str(theirs.fileno()), str(os.getpid())]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the parent, who ends it
                )
        except OSError as err:
            ours.close()
            raise ChildDiedError(f'a process of the pose graph cannot start: {err}') from err

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, message: Message) -> dict[str, Any]:
        """Send a message, and wait for the answer.

        Raises:
            ChildDiedError: before it answered.
        """
        self.send(message)
        return self.receive()

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ChildDiedError: it is gone.
        """
        try:
            send(self._connection, message)
        except OSError as err:
            raise self._died() from err

    def receive(self) -> dict[str, Any]:
        """Wait for its next message.

        Raises:
            ChildDiedError: before there was one.
        """
        try:
            return receive(self._connection)
        except (EOFError, OSError) as err:
            raise self._died() from err

    def has_message(self) -> bool:
        """Whether :meth:`receive` would not wait: there is a message, or it has died."""
        return bool(select.select([self._connection], [], [], 0)[0])

    def close(self) -> None:
        """End it, whatever it is doing; may be called from another thread."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT_S)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # whoever waits for an answer wakes up
        self._connection.close()

    def _died(self) -> ChildDiedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT_S)
        return ChildDiedError(f'a process of the pose graph ended with {self._process.returncode}')


def serve(answer: Callable[[dict[str, Any]], Message]) -> None:
    """Be such a process: answer messages until the parent is gone.

    Args:
        answer: makes the answer to a message.
    """
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    with socket.socket(fileno=number) as connection, contextlib.suppress(EOFError, OSError):
        while True:
            send(connection, answer(receive(connection)))


def _die_with(parent: int) -> None:
    """Let the kernel kill this process with its parent, also in the middle of a long solve.

    Where the kernel cannot, the end of the connection ends it when it next looks.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel knew
        sys.exit(0)
