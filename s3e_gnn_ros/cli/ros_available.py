"""Says in one sentence what is missing where there is no ROS."""

from __future__ import annotations

import importlib

from s3e_gnn_ros.errors import DependencyError


def check_ros(*, with_messages: bool = False) -> None:
    """Check that ROS can be imported.

    Args:
        with_messages: also this package's own compiled messages.

    Raises:
        DependencyError: it cannot.
    """
    try:
        importlib.import_module('rclpy')
    except ImportError as err:
        raise DependencyError(
            f"ROS 2 cannot be imported ({err}): source its setup.bash, or install the extra 'ros'"
        ) from err
    if not with_messages:
        return
    try:
        importlib.import_module('s3e_gnn_ros.msg')
    except ImportError as err:
        raise DependencyError(
            f"this package's messages are not built ({err}): run 'make env' or 'colcon build' "
            'and source install/setup.bash'
        ) from err
