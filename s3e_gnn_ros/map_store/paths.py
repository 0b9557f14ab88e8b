"""Where maps lie, and which names they may have."""

from __future__ import annotations

import os
import re
from pathlib import Path

from s3e_gnn_ros.errors import InputError

SUFFIX = '.s3emap'
_NAME = re.compile(r'[A-Za-z0-9._-]{1,128}')
_MAX_PARTS = 8
# What SQLite puts beside a map while it is open.
OF_SQLITE = ('-wal', '-shm', '-journal')


def map_directory(directory: str = '') -> Path:
    """Return the folder of the maps.

    Args:
        directory: ``config.map.directory``; empty: ``s3e_gnn_ros/maps`` in ``$ROS_HOME``, or in
            ``~/.ros`` where that is not set.
    """
    if directory:
        return Path(directory).expanduser()
    ros_home = os.environ.get('ROS_HOME') or '~/.ros'
    return Path(ros_home).expanduser() / 's3e_gnn_ros' / 'maps'


def map_path(directory: Path, name: str) -> Path:
    """Return the file of a map; it need not exist.

    Args:
        directory: folder of the maps.
        name: letters, digits, '.', '_' and '-'; the suffix may be there or not.

    Raises:
        InputError: the name holds anything else, begins with '.', or is empty.
    """
    if not _NAME.fullmatch(name) or name.startswith('.'):
        raise InputError(
            f"map name '{name}' is not made of letters, digits, '.', '_' and '-', "
            "beginning with another than '.'"
        )
    return directory / (name.removesuffix(SUFFIX) + SUFFIX)


def check_plain(path: Path) -> Path:
    """Return a path that is no symbolic link: what it leads to may be somebody else's.

    Raises:
        InputError: it is one.
    """
    if path.is_symlink():
        raise InputError(f"'{path}' is a symbolic link")
    return path


def path_inside(directory: Path, relative: str) -> Path:
    """Return the path of an exported or foreign file or folder; it need not exist.

    Whoever may write into the directory could still put a link there after the look at it: it
    belongs to the robot alone.

    Args:
        directory: folder of the maps.
        relative: names as of maps, joined by '/'.

    Raises:
        InputError: it leads out of the directory, goes through a symbolic link, or has the name
            of a map.
    """
    parts = relative.split('/')
    if len(parts) > _MAX_PARTS or any(not _NAME.fullmatch(p) or p.startswith('.') for p in parts):
        raise InputError(
            f"'{relative}' is no path inside the map directory '{directory}': at most "
            f"{_MAX_PARTS} names of letters, digits, '.', '_' and '-', beginning with another "
            "than '.', joined by '/'"
        )
    path = directory
    for part in parts:
        path = check_plain(path / part)
        if SUFFIX in part:
            raise InputError(f"'{relative}' has the name of a map")
    return path


def list_maps(directory: Path) -> list[Path]:
    """Return the maps in a folder by name; none where there is no such folder.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        files = [p for p in directory.iterdir() if p.suffix == SUFFIX and p.is_file()]
    except FileNotFoundError:
        return []
    except OSError as err:
        raise InputError(f"cannot list the maps in '{directory}': {err.strerror}") from err
    return sorted(p for p in files if not p.name.startswith('.'))


def companion(path: Path, suffix: str) -> Path:
    """Return the file beside a map whose name has a further suffix."""
    return path.with_name(path.name + suffix)
