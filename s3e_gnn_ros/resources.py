"""Files that ship inside the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from s3e_gnn_ros.errors import InputError


def packaged_file(name: str) -> Path:
    """Return the path of a file inside the package.

    Args:
        name: relative to the package, with forward slashes.

    Raises:
        InputError: the installation lacks this file, or is a zip archive.
    """
    file = resources.files('s3e_gnn_ros').joinpath(*name.split('/'))
    if not isinstance(file, Path) or not file.is_file():
        raise InputError(f"the installed package s3e_gnn_ros lacks its file '{name}'")
    return file


def packaged_folder(name: str) -> Path:
    """Return the path of a folder inside the package.

    Args:
        name: relative to the package, with forward slashes.

    Raises:
        InputError: the installation is a zip archive.
    """
    folder = resources.files('s3e_gnn_ros').joinpath(*name.split('/'))
    if not isinstance(folder, Path):
        raise InputError('the package s3e_gnn_ros is installed as a zip archive')
    return folder
