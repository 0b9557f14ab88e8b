"""A ROS domain for this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from s3e_gnn_ros.errors import S3EError

_LAST_DOMAIN = 101
"""Higher ones have ports among the ephemeral ones."""


@contextmanager
def private_domain() -> Iterator[None]:
    """Keep the graph on this machine, in a domain that nobody else uses."""
    extra = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    if os.environ.get('ROS_DISTRO') == 'humble':
        extra = {'ROS_LOCALHOST_ONLY': '1'}
    if not os.environ.get('ROS_DOMAIN_ID'):
        extra['ROS_DOMAIN_ID'] = str(_free_domain())
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _free_domain() -> int:
    """Return a domain whose first ports (RTPS: 7400 + 250 x domain + 10) nobody has bound."""
    start = 1 + os.getpid() % _LAST_DOMAIN
    for domain in [*range(start, _LAST_DOMAIN + 1), *range(1, start)]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('127.0.0.1', 7410 + 250 * domain))
            except OSError:
                continue
        return domain
    raise S3EError('every ROS domain from 1 to 101 is in use on this machine: set ROS_DOMAIN_ID')
