"""How much memory this process holds, and how much one object."""

from __future__ import annotations

import dataclasses
import resource
import sys
from pathlib import Path
from typing import Any

_STATUS = Path('/proc/self/status')


def resident_bytes() -> int:
    """Return the resident memory of this process; where Linux does not say, its peak so far."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding='ascii').splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def array_bytes(item: Any) -> int:
    """Return the memory of all arrays in a dataclass and in the dataclasses inside it."""
    if dataclasses.is_dataclass(item):
        return sum(array_bytes(getattr(item, part.name)) for part in dataclasses.fields(item))
    return int(getattr(item, 'nbytes', 0))
