"""A map that is given by its name or as a file."""

from __future__ import annotations

from pathlib import Path


def map_file(directory: str, name: str) -> Path:
    """Return the file of a map.

    Args:
        directory: of the maps; empty: that of the nodes.
        name: its name there, or a file, which has a slash.

    Raises:
        InputError: the name is no name of a map.
    """
    from s3e_gnn_ros.map_store.paths import SUFFIX, map_directory, map_path

    if '/' in name:
        path = Path(name)
        return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    return map_path(map_directory(directory), name)
