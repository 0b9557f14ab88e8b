"""Make the ROS wheels of this Python's environment fit to compile messages against.

Their CMake exports name the Python and numpy headers of the machine that built them, below
/opt/python. Run it with the environment's own Python; running it again changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

NUMPY_HEADERS = re.compile(r'/opt/python/[^;">]*/numpy/(?:_core|core)/include')
PYTHON_HEADERS = re.compile(r'/opt/python/[^;">/]*/include/python[0-9.]+')


def main() -> int:
    """Rewrite the exports; returns the exit status."""
    headers = Path(sysconfig.get_paths()['include'])
    if not (headers / 'Python.h').is_file():
        version = f'{sys.version_info.major}.{sys.version_info.minor}'
        print(
            f'{headers}/Python.h is missing: install the headers of Python {version} '
            '(on Debian and Ubuntu: apt install python3-dev).',
            file=sys.stderr,
        )
        return 1
    prefix = Path(sys.prefix)
    for folder in ('share', 'lib/cmake'):
        for file in (prefix / folder).rglob('*.cmake'):
            text = file.read_text(encoding='utf-8')
            fixed = NUMPY_HEADERS.sub(np.get_include(), text)
            fixed = PYTHON_HEADERS.sub(str(headers), fixed)
            if fixed != text:
                file.write_text(fixed, encoding='utf-8')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
