"""What holds for every test: no screen, and no stranger in the ROS graph."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ['MPLBACKEND'] = 'Agg'
# Child processes inherit these: two runs on one machine, or a robot in the same network, do not
# hear each other. Domains up to 101 keep their ports clear of the ephemeral ones.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 101)

# Run time is no property of the code under test on a shared machine.
settings.register_profile('default', deadline=None)
settings.register_profile('ci', deadline=None, derandomize=True)
settings.load_profile('ci' if os.environ.get('CI') else 'default')

LONG = ('test_acceptance.py', 'test_soak.py', 'test_replay.py', 'test_standstill.py')


def pytest_collection_modifyitems(items):
    """Begin with the longest files: at the end they would keep one worker while others wait.

    With several workers this takes --no-loadscope-reorder, as in the Makefile.
    """
    items.sort(key=lambda item: item.path.name not in LONG)
