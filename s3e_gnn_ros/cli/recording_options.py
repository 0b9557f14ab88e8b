"""Options of every command that reads a recording: its topics, its camera, its odometry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from s3e_gnn_ros.errors import ConfigError, RecordingError

if TYPE_CHECKING:
    from s3e_gnn_ros.data.options import RecordingOptions
    from s3e_gnn_ros.data.recording import Recording
    from s3e_gnn_ros.types import Frame

ODOMETRY_SOURCES = ('recording', 'rgbd', 'groundtruth', 'none')
_MAX_WITHOUT_DEPTH = 100  # frames, before a recording is said to have none
_T_BODY_CAMERA = 'X,Y,Z,QX,QY,QZ,QW'


def add_recording_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RECORDING and the options that :func:`recording_options` reads."""
    parser.add_argument(
        'recording',
        type=Path,
        metavar='RECORDING',
        help='rosbag2 (folder, .mcap or .db3), TUM RGB-D, 7-Scenes or EuRoC folder',
    )
    _add_odometry(parser.add_argument_group('odometry'))
    _add_topics(parser.add_argument_group('topics of a bag', 'found by type unless named here'))
    _add_camera(parser.add_argument_group('camera and stamps'))


def recording_options(args: argparse.Namespace) -> RecordingOptions:
    """Return what the options say.

    Raises:
        ConfigError: a value is malformed or out of range.
    """
    from s3e_gnn_ros.data.options import RecordingOptions, parse_camera, parse_pose

    return RecordingOptions(
        image_topic=args.image_topic,
        depth_topic=args.depth_topic,
        camera_info_topic=args.camera_info_topic,
        odometry_topic=args.odometry_topic,
        ground_truth_topic=args.ground_truth_topic,
        odometry_file=args.odometry_file,
        T_body_camera=parse_pose(args.body_camera) if args.body_camera else None,
        camera=parse_camera(args.camera) if args.camera else None,
        depth_scale=args.depth_scale,
        sync_slop_s=args.sync_slop,
        max_odometry_gap_s=args.max_odometry_gap,
    )


def frames_with_odometry(args: argparse.Namespace, recording: Recording) -> Iterator[Frame]:
    """Yield the frames with ``T_odom_camera`` from the source that ``--odometry`` names.

    Frames whose pose is unknown are left out and counted as ``no_odometry``, except with
    ``none``, which gives no frame a pose. What is wrong with the options is raised at once, not
    at the first frame.

    Raises:
        ConfigError: ``--drift`` without ``--odometry groundtruth``, or malformed.
        RecordingError: the recording has no such odometry.
    """
    if args.drift and args.odometry != 'groundtruth':
        raise ConfigError(
            f"--drift needs --odometry groundtruth, but the odometry is '{args.odometry}'"
        )
    sources: dict[str, Callable[[], Iterator[Frame]]] = {
        'recording': lambda: _own(recording),
        'rgbd': lambda: _rgbd(recording),
        'groundtruth': lambda: _drifting(recording, args.drift, args.max_odometry_gap),
        'none': lambda: _without(recording),
    }
    return sources[args.odometry]()


def _own(recording: Recording) -> Iterator[Frame]:
    if recording.odometry is None:
        drifting = '' if recording.ground_truth is None else ', --odometry groundtruth --drift ...'
        raise RecordingError(
            f"'{recording.name}' holds no odometry of its own: choose --odometry rgbd"
            f'{drifting}, or --odometry-file FILE'
        )
    return _posed(recording, recording.frames())


def _rgbd(recording: Recording) -> Iterator[Frame]:
    from s3e_gnn_ros.data.rgbd_odometry import with_rgbd_odometry

    return _posed(recording, with_rgbd_odometry(_with_depth(recording)))


def _drifting(recording: Recording, drift_text: str, max_gap_s: float) -> Iterator[Frame]:
    import dataclasses

    from s3e_gnn_ros.data.drift import drift, parse_drift

    if recording.ground_truth is None:
        raise RecordingError(f"'{recording.name}' holds no ground truth to make odometry from")
    odometry = drift(recording.ground_truth, parse_drift(drift_text))
    return _posed(
        recording,
        (
            dataclasses.replace(frame, T_odom_camera=odometry.at(frame.stamp_ns, max_gap_s))
            for frame in recording.frames()
        ),
    )


def _without(recording: Recording) -> Iterator[Frame]:
    import dataclasses

    return (dataclasses.replace(frame, T_odom_camera=None) for frame in recording.frames())


def _with_depth(recording: Recording) -> Iterator[Frame]:
    has_depth = False
    for number, frame in enumerate(recording.frames()):
        has_depth |= frame.depth_m is not None
        if not has_depth and number == _MAX_WITHOUT_DEPTH:
            raise RecordingError(f"'{recording.name}' has no depth, which --odometry rgbd needs")
        if frame.depth_m is None:
            recording.drops['no_depth'] += 1
        else:
            yield frame


def _posed(recording: Recording, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        if frame.T_odom_camera is None:
            recording.drops['no_odometry'] += 1
        else:
            yield frame


def _add_odometry(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--odometry',
        choices=ODOMETRY_SOURCES,
        default='recording',
        help="the recording's own, computed from its colour and depth images, its ground truth "
        'with --drift, or none (%(default)s)',
    )
    group.add_argument(
        '--drift',
        default='',
        metavar='NAME=VALUE,...',
        help='noise on the ground truth: translation [m/sqrt(m)], scale, rotation_deg and yaw_deg '
        '[deg/sqrt(m)], turn_deg [deg/sqrt(rad)], yaw_bias_deg [deg/m], seed; such as '
        'translation=0.02,rotation_deg=0.5,seed=1',
    )
    group.add_argument(
        '--odometry-file',
        type=Path,
        metavar='FILE',
        help="TUM file (stamp x y z qx qy qz qw) in place of the recording's own odometry",
    )
    group.add_argument(
        '--body-camera',
        metavar=_T_BODY_CAMERA,
        help='pose of the optical frame in the frame that odometry and ground truth are of',
    )
    group.add_argument(
        '--max-odometry-gap',
        type=float,
        default=0.5,
        metavar='S',
        help='poses are not interpolated over a larger gap (%(default)s s)',
    )


def _add_topics(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--image-topic', default='', metavar='TOPIC')
    group.add_argument('--depth-topic', default='', metavar='TOPIC', help="or 'none'")
    group.add_argument('--camera-info-topic', default='', metavar='TOPIC')
    group.add_argument('--odometry-topic', default='', metavar='TOPIC', help="or 'none'")
    group.add_argument('--ground-truth-topic', default='', metavar='TOPIC', help="or 'none'")


def _add_camera(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--camera',
        metavar='FX,FY,CX,CY[,K1,K2,P1,P2[,K3]]',
        help="intrinsics [px] in place of the recording's",
    )
    group.add_argument(
        '--depth-scale',
        type=float,
        metavar='M',
        help="metres per unit of depth images in place of the recording's",
    )
    group.add_argument(
        '--sync-slop',
        type=float,
        default=0.02,
        metavar='S',
        help='stamps of image and depth of one frame differ by less (%(default)s s)',
    )
