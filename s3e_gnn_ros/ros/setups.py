"""The set-ups that launch files and ``s3e-gnn run`` start: a table of differences. Imports no ROS.

Left of every pair is our name of a topic, right the other system's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from s3e_gnn_ros.errors import ConfigError

REALSENSE_PREFIX = '/camera/camera'
"""Of realsense2_camera since its release 4.55; before, and in ROS 1, it was ``/camera``."""
CAMERA_TOPICS: Mapping[str, str] = MappingProxyType(
    {
        'image': 'color/image_raw',
        'camera_info': 'color/camera_info',
        'depth': 'aligned_depth_to_color/image_raw',
    }
)
"""Under the prefix of the camera."""
_VINS_TOPICS = {
    'odometry': 'odometry',
    'keyframe_pose': 'keyframe_pose',
    'keyframe_points': 'keyframe_point',
    'extrinsic': 'extrinsic',
}


@dataclass(frozen=True)
class Setup:
    """What one host system needs.

    Attributes:
        name: of the launch file, of the command's argument, and of its file in ``config/``.
        summary: one line for people.
        host_namespace: where the host's topics begin; empty: they have no prefix.
        namespace_argument: name of the launch argument that changes it; empty: there is none.
        host_topics: under the host's namespace; what begins with a slash does not move with it.
        camera: profile in ``config/``; empty: none.
        camera_prefix: where the camera's topics begin.
        use_sim_time: whether time comes from /clock.
        plays_bag: whether a bag is played beside the nodes.
    """

    name: str
    summary: str
    host_namespace: str = ''
    namespace_argument: str = ''
    host_topics: Mapping[str, str] = field(default_factory=dict)
    camera: str = 'd455_640x480'
    camera_prefix: str = REALSENSE_PREFIX
    use_sim_time: bool = False
    plays_bag: bool = False


SETUPS: Mapping[str, Setup] = MappingProxyType(
    {
        setup.name: setup
        for setup in (
            Setup(
                name='vins_mono',
                summary='beside VINS-Mono or VINS-RGBD, with feedback to its estimator',
                host_namespace='vins_estimator',
                namespace_argument='vins_namespace',
                host_topics={
                    **_VINS_TOPICS,
                    'relo_relative_pose': 'relo_relative_pose',
                    # The estimator subscribes to this very name, whatever its own namespace.
                    'match_points': '/pose_graph/match_points',
                },
            ),
            Setup(
                name='vins_fusion',
                summary='beside VINS-Fusion',
                host_namespace='vins_estimator',
                namespace_argument='vins_namespace',
                host_topics=_VINS_TOPICS,
            ),
            Setup(
                name='openvins',
                summary='beside OpenVINS',
                host_namespace='ov_msckf',
                namespace_argument='openvins_namespace',
                host_topics={
                    'odometry': 'odomimu',
                    'keyframe_pose': 'loop_pose',
                    'keyframe_points': 'loop_feats',
                    'extrinsic': 'loop_extrinsic',
                    'intrinsics': 'loop_intrinsics',
                    'sparse_depth': 'loop_depth',
                },
            ),
            Setup(
                name='orb_slam3',
                summary='beside ORB-SLAM3, from its pose stream',
                namespace_argument='orb_slam3_namespace',
                host_topics={'pose': 'robot_pose_slam'},
            ),
            Setup(
                name='rgbd_odometry',
                summary='with any nav_msgs/Odometry',
                host_topics={'odometry': '/odometry'},
                camera='',
            ),
            Setup(
                name='replay',
                summary='a bag that s3e-gnn simulate or convert has written',
                host_topics={'odometry': '/odometry'},
                camera='',
                camera_prefix='/camera',
                use_sim_time=True,
                plays_bag=True,
            ),
        )
    }
)


def find_setup(name: str) -> Setup:
    """Return a set-up by its name.

    Raises:
        ConfigError: there is none.
    """
    if name not in SETUPS:
        raise ConfigError(f"there is no set-up '{name}', only {', '.join(SETUPS)}")
    return SETUPS[name]
