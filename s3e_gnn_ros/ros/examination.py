"""Looks at all that a node and its role say of themselves, once a second."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from s3e_gnn_ros.ros.health import (
    Growth,
    Health,
    Level,
    judge_drops,
    judge_input,
    judge_worker,
    report_stages,
)

if TYPE_CHECKING:
    from s3e_gnn_ros.ros.managed_node import ManagedNode
    from s3e_gnn_ros.ros.role import Role

_NEWEST = 500
"""Run times that percentiles are taken of: what is slow now, not what was."""


class Examination:
    """Finds how a node is.

    Args:
        node: looked at.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._growth = Growth()

    def examine(self) -> Iterator[Health]:
        """Yield a health per concern when asked for; the growth of counters is noted now."""
        counters = self._node.statistics.counters()
        return self._found(counters, self._growth.note(counters))

    def _found(self, counters: Counter[str], recent: Counter[str]) -> Iterator[Health]:
        state, role = self._node.state, self._node.role
        yield Health('lifecycle', Level.OK, state, _memory())
        if role is None:
            return
        if state == 'active':
            yield from self._inputs(role)
        yield judge_worker(role.depth, role.capacity, is_busy=role.is_busy)
        yield judge_drops(counters, recent)
        yield report_stages(self._node.statistics.stages(newest=_NEWEST))
        yield from role.healths(counters)

    def _inputs(self, role: Role) -> Iterator[Health]:
        arrivals, now_s = self._node.statistics.arrivals(), time.monotonic()
        for name, watched in role.watched.items():
            may_pause = watched.is_optional or watched.is_sparse
            yield judge_input(
                name, watched.topic, arrivals.pop(name, None), now_s, may_pause=may_pause
            )
        for name, times in arrivals.items():  # of our own nodes, when there is something new
            yield judge_input(name, name, times, now_s, may_pause=True)


def _memory() -> dict[str, int]:
    """Return what the process holds, where the system says so."""
    try:
        pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    except OSError:
        return {}
    return {'memory [MB]': pages * os.sysconf('SC_PAGE_SIZE') // 1_000_000}
