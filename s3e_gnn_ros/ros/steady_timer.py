"""Timers of work that has nothing to do with the time of a simulation or a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node


def create_steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> Any:
    """Call back again and again by the machine's own clock.

    A node's own clock stands still while use_sim_time is set and /clock is silent, as it is before
    a bag is played, when that is paused, and after its end: the last pose graph would never be
    published, and a map never be written.

    Args:
        node: owns the timer.
        period_s: between two calls [s].
        callback: called in the executor's thread.
    """
    return node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
