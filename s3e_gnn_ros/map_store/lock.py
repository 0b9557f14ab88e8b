"""One writer per map: an advisory lock on a file beside it, which ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.map_store.paths import companion

# One who only looks whether there is a writer holds the lock for a moment.
_TRIES = 5
_PAUSE_S = 0.05
# A link in its place could make a file elsewhere, and a pipe make us wait.
_LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class WriterLock:
    """Held from construction to :meth:`release`.

    A file of its own: closing any descriptor of the map itself would drop SQLite's locks on it.

    Args:
        path: of the map.

    Raises:
        InputError: another writer has it, or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = companion(path, '.lock')
        self._descriptor = -1
        for _ in range(_TRIES):
            self._descriptor = self._try(path)
            if self._descriptor >= 0:
                return
            time.sleep(_PAUSE_S)
        raise InputError(f"map '{path}' is being written by another process")

    def _try(self, path: Path) -> int:
        """Lock the file; -1 when another has it, or removed it at the same moment."""
        try:
            descriptor = os.open(self._path, _CREATE, 0o644)
        except OSError as err:
            raise UnwritableError(f"cannot write map '{path}': {err.strerror}") from err
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)
        return -1

    def release(self) -> None:
        """Remove the lock; a second call does nothing."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)  # while it is held: nobody else can lock it now
            os.close(self._descriptor)
            self._descriptor = -1


def has_writer(path: Path) -> bool:
    """Whether some process has a map open for writing."""
    try:
        descriptor = os.open(companion(path, '.lock'), _LOOK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
