"""Any odometry: of the camera or of a body, by a topic or by TF."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import PoseWithCovarianceStamped
from host_rig import CAMERA_FRAME, T_BODY_CAMERA, HostRig, odometry_message

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.qos import latched_qos

EARLY_NS = 13_000_000
PERIOD_NS = 50_000_000
T_BASE_LINK = se3.make_pose(None, (0.0, 0.0, 0.35))
T_LINK_CAMERA = se3.inverse(T_BASE_LINK) @ T_BODY_CAMERA

TF2_MSGS = {
    'msg/TFMessage.msg': 'geometry_msgs/TransformStamped[] transforms\n',
    'package.xml': """<package format="3"><name>tf2_msgs</name><version>0.0.0</version>
        <description>Messages of TF</description><license>BSD</license>
        <maintainer email="nobody@example.com">nobody</maintainer>
        <buildtool_depend>ament_cmake</buildtool_depend>
        <buildtool_depend>rosidl_default_generators</buildtool_depend>
        <depend>geometry_msgs</depend>
        <member_of_group>rosidl_interface_packages</member_of_group></package>""",
    'CMakeLists.txt': """cmake_minimum_required(VERSION 3.16)
        project(tf2_msgs)
        find_package(ament_cmake REQUIRED)
        find_package(rosidl_default_generators REQUIRED)
        find_package(geometry_msgs REQUIRED)
        rosidl_generate_interfaces(tf2_msgs msg/TFMessage.msg DEPENDENCIES geometry_msgs)
        ament_package()""",
    # The libraries are on no path: they are opened by name once they are there.
    'lib/python/tf2_msgs/__init__.py': """import ctypes
import pathlib
for path in pathlib.Path(__file__).parents[2].glob('lib*_c.so'):
    ctypes.CDLL(str(path))
""",
}


def poses_between(rig, T_body_camera):
    """Return stamps and poses of the body at twice the rate of the images, and beside them."""
    stamps, poses = [], []
    for i, stamp_ns in enumerate([*rig.stamps, rig.stamps[-1] + 2 * PERIOD_NS]):
        for part in range(2):
            j, k = min(i, len(rig.frames) - 1), min(i + 1, len(rig.frames) - 1)
            T_odom_camera = se3.interpolate(
                rig.frames[j].T_odom_camera, rig.frames[k].T_odom_camera, 0.5 * part
            )
            stamps.append(stamp_ns - EARLY_NS + part * PERIOD_NS)
            poses.append(T_odom_camera @ se3.inverse(T_body_camera))
    return stamps, poses


def expected_poses(rig, chosen, stamps, poses, T_body_camera):
    """Return what lies between the two poses beside each chosen image, for the camera."""
    out = []
    for i in chosen:
        after = int(np.searchsorted(stamps, rig.stamps[i]))
        fraction = (rig.stamps[i] - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        before, behind = (poses[n] @ T_body_camera for n in (after - 1, after))
        out.append(se3.interpolate(before, behind, fraction))
    return out


def finish(rig, stamps, poses, odom_frame='odom'):
    """Wait for all keyframes, and check everything."""
    robot = rig.robot
    robot.wait(lambda: robot.loop_status().counters['frames'] == len(rig.frames))
    num_keyframes = rig.counters()['keyframes_chosen']
    rig.wait_for(num_keyframes)
    chosen = [rig.stamps.index(k.stamp_ns) for k in robot.keyframes]
    assert num_keyframes > 15
    rig.check_keyframes(chosen, expected_poses(rig, chosen, stamps, poses, T_BODY_CAMERA))
    rig.check_closures()
    rig.check_map(odom_frame)


def parameter(T):
    """Return node.T_body_camera as it stands on a command line."""
    values = (*T[:3, 3].tolist(), *se3.quat_xyzw(T).tolist())
    return f'node.T_body_camera:=[{", ".join(f"{value:.17g}" for value in values)}]'


def test_poses_of_the_body_become_those_of_the_camera(robot, recording):
    rig = HostRig(robot, recording)
    publisher = rig.publisher('pose', PoseWithCovarianceStamped)
    rig.start(
        *('node.pose_type:=pose_with_covariance', 'node.body_frame_pose:=true'),
        parameter(T_BODY_CAMERA),
        topic='pose',
    )
    stamps, poses = poses_between(rig, T_BODY_CAMERA)

    def send_pose(stamp_ns, T):
        message = PoseWithCovarianceStamped(header=conv.make_header(stamp_ns, 'odom'))
        message.pose.pose = conv.pose_to_message(T)
        publisher.publish(message)

    for stamp_ns, T in zip(stamps, poses, strict=True):
        send_pose(stamp_ns, T)
        for i in [i for i, image_ns in enumerate(rig.stamps) if image_ns == stamp_ns + EARLY_NS]:
            rig.send_picture(i, with_depth=True)
    finish(rig, stamps, poses)
    send_pose(stamps[-1] + PERIOD_NS, poses[-1])  # the first after everything has been solved
    robot.wait(lambda: rig.corrected)
    assert {m.child_frame_id for m in rig.corrected} == {'base_link'}


@pytest.fixture(scope='session')
def tf2_folder(tmp_path_factory):
    """Return the folder of tf2_msgs, compiled from their definition; None where ROS has them."""
    if find_spec('tf2_msgs') is not None:
        return None
    cmake = shutil.which('cmake', path=f'{sys.prefix}/bin:{os.environ["PATH"]}')
    if cmake is None:
        pytest.skip('neither tf2_msgs nor cmake is installed')
    root = tmp_path_factory.mktemp('tf2_msgs')
    for name in ('msg/TFMessage.msg', 'package.xml', 'CMakeLists.txt'):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(TF2_MSGS[name])
    environment = {
        **os.environ,
        'PATH': f'{sys.prefix}/bin:{os.environ["PATH"]}',
        'AMENT_PREFIX_PATH': sys.prefix,
    }
    options = {
        'CMAKE_PREFIX_PATH': sys.prefix,
        'CMAKE_INSTALL_PREFIX': str(root),
        'CMAKE_INSTALL_RPATH': f'{root}/lib;{sys.prefix}/lib',
        'Python3_EXECUTABLE': sys.executable,
        'PYTHON_INSTALL_DIR': 'lib/python',
        'BUILD_TESTING': 'OFF',
    }
    for arguments in (
        ['-S', str(root), '-B', f'{root}/build', *(f'-D{k}={v}' for k, v in options.items())],
        ['--build', f'{root}/build'],
        ['--install', f'{root}/build'],
    ):
        done = subprocess.run(
            [cmake, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    name = 'lib/python/tf2_msgs/__init__.py'
    (root / name).write_text(TF2_MSGS[name])
    return root / 'lib' / 'python'


@pytest.fixture
def tf_message(tf2_folder, monkeypatch):
    """Return tf2_msgs/TFMessage, which the nodes started from here can import as well."""
    from s3e_gnn_ros.ros import map_to_odom

    if tf2_folder is not None:
        monkeypatch.syspath_prepend(str(tf2_folder))
        paths = [str(tf2_folder), *filter(None, [os.environ.get('PYTHONPATH')])]
        monkeypatch.setenv('PYTHONPATH', os.pathsep.join(paths))
    from tf2_msgs.msg import TFMessage

    monkeypatch.setattr(map_to_odom, 'TFMessage', TFMessage)  # where the rig looks as well
    yield TFMessage
    if tf2_folder is not None:
        for name in [name for name in sys.modules if name.split('.')[0] == 'tf2_msgs']:
            del sys.modules[name]


def test_tf_alone_is_enough(tf_message, robot, recording):
    rig = HostRig(robot, recording)
    moving = rig.publisher('tf', tf_message, '/tf')
    fixed = robot._node.create_publisher(tf_message, '/tf_static', latched_qos(10))
    fixed.publish(
        tf_message(
            transforms=[
                conv.transform_to_message(T_BASE_LINK, 0, 'base_link', 'camera_link'),
                conv.transform_to_message(T_LINK_CAMERA, 0, 'camera_link', CAMERA_FRAME),
            ]
        )
    )
    rig.start('node.pose_type:=tf', topic='tf')
    robot.wait(lambda: rig.counters()['received.tf_static'] > 0)
    stamps, poses = poses_between(rig, T_BODY_CAMERA)
    for stamp_ns, T in zip(stamps, poses, strict=True):
        wheel = conv.transform_to_message(np.eye(4), stamp_ns, 'base_link', 'wheel')
        base = conv.transform_to_message(T, stamp_ns, 'odom', 'base_link')
        moving.publish(tf_message(transforms=[wheel, base]))
        for i in [i for i, image_ns in enumerate(rig.stamps) if image_ns == stamp_ns + EARLY_NS]:
            rig.send_picture(i, with_depth=True)
    finish(rig, stamps, poses)


def test_without_tf_messages_the_node_says_so(domain, tmp_path):
    if find_spec('tf2_msgs') is not None:
        pytest.skip('tf2_msgs is installed')
    from s3e_gnn_ros.ros.processes import Child, node_command

    command = node_command('loop_closure', ['--ros-args', '-p', 'node.pose_type:=tf'])
    with Child('node', command, folder=Path(tmp_path)) as child:
        assert child.process.wait(60) == 2
        assert 'tf2_msgs is not installed' in child.log.read_text()
        assert 'Traceback' not in child.log.read_text()


def test_odometry_of_the_camera_needs_no_extrinsic(robot, recording):
    rig = HostRig(robot, recording)
    rig.start()
    for i, frame in enumerate(rig.frames):
        rig.send_picture(i, with_depth=True)
        message = odometry_message(frame.stamp_ns, frame.T_odom_camera, 'odom', CAMERA_FRAME)
        robot.publishers['odometry'].publish(message)
    chosen = rig.moving_frames()
    rig.wait_for(len(chosen))
    rig.check_keyframes(chosen)
    rig.check_closures()
    rig.check_map('odom')
