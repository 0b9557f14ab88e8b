"""Where this package's configurations and launch files are, however it was installed."""

from __future__ import annotations

from pathlib import Path

import s3e_gnn_ros
from s3e_gnn_ros.errors import InputError

_PACKAGE = 's3e_gnn_ros'


def share_folder(package: Path | None = None) -> Path:
    """Return the folder that holds ``config/`` and ``launch/``.

    A source tree has them beside the package. Every installation has them in
    ``PREFIX/share/s3e_gnn_ros``, and the package somewhere below the same PREFIX: an install space
    of colcon (symlinked or not), a virtual environment, ``pip install --user`` or ``--target``.

    Args:
        package: folder of the Python package; that of this one when None.

    Raises:
        InputError: there is no such folder.
    """
    given = Path(s3e_gnn_ros.__file__).parent if package is None else package
    # As it was imported, then with links followed: a symlinked install space is left by resolving.
    for folder in dict.fromkeys((given.absolute(), given.resolve())):
        root = folder.parent
        if (root / 'package.xml').is_file() and (root / 'config' / 'default.yaml').is_file():
            return root
        for prefix in folder.parents:
            share = prefix / 'share' / _PACKAGE
            if (share / 'config' / 'default.yaml').is_file():
                return share
    raise InputError(
        f"the package in '{given}' was installed without its configurations: neither beside it, "
        f'nor in share/{_PACKAGE} of a folder above, is there a config/default.yaml'
    )


def config_file(name: str) -> Path:
    """Return a configuration by its name, or a file of the user's own.

    Args:
        name: such as ``d455_640x480``; what has a slash or ends in ``.yaml`` is a path.

    Raises:
        InputError: there is none; the message names those that exist.
    """
    if '/' in name or name.endswith(('.yaml', '.yml')):
        return Path(name)
    folder = share_folder() / 'config'
    file = folder / f'{name}.yaml'
    if not file.is_file():
        known = ', '.join(sorted(path.stem for path in folder.glob('*.yaml')))
        raise InputError(f"there is no configuration '{name}': neither a path, nor one of {known}")
    return file
