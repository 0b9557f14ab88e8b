"""When a frame becomes a keyframe."""

from __future__ import annotations

from s3e_gnn_ros.config import KeyframeConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose


class KeyframeSelector:
    """Chooses a frame when the camera has moved or turned enough since the last chosen one.

    Not more often than the configured interval, so that fast motion does not overrun the worker.
    """

    def __init__(self, config: KeyframeConfig) -> None:
        self._config = config
        self._T_odom_last: Pose | None = None
        self._last_stamp_ns = 0

    def set_config(self, config: KeyframeConfig) -> None:
        """Take other limits from the next frame on."""
        self._config = config

    def is_keyframe(self, stamp_ns: int, T_odom_camera: Pose) -> bool:
        """Decide on the next frame by stamp and pose (4, 4); the first is always chosen."""
        if self._T_odom_last is not None:
            if stamp_ns - self._last_stamp_ns < self._config.min_interval_s * 1e9:
                return False
            motion = se3.inverse(self._T_odom_last) @ T_odom_camera
            if (
                se3.translation_m(motion) < self._config.min_translation_m
                and se3.rotation_angle_deg(motion) < self._config.min_rotation_deg
            ):
                return False
        self._T_odom_last = T_odom_camera
        self._last_stamp_ns = stamp_ns
        return True
