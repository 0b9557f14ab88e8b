"""Open any recording: the files say which kind it is."""

from __future__ import annotations

from pathlib import Path

from s3e_gnn_ros.data.bag_file import is_bag, storage_files
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.euroc import is_euroc, open_euroc
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.data.seven_scenes import is_seven_scenes, open_seven_scenes, sequences
from s3e_gnn_ros.data.tum import is_tum, open_tum
from s3e_gnn_ros.errors import RecordingError


def open_recording(path: Path, options: RecordingOptions | None = None) -> Recording:
    """Open a rosbag2, or a TUM RGB-D, 7-Scenes or EuRoC folder.

    Args:
        path: a folder, or the ``.mcap`` or ``.db3`` file of a bag.
        options: what the files leave open; the defaults when None.

    Raises:
        RecordingError: there is nothing, nothing known, or it cannot be read.
    """
    options = RecordingOptions() if options is None else options
    try:
        return _open(path, options)
    except OSError as err:
        raise RecordingError(f"cannot read recording '{path}': {err.strerror}") from err


def _open(path: Path, options: RecordingOptions) -> Recording:
    if not path.exists():
        raise RecordingError(f"no recording '{path}'")
    if is_bag(path):
        if path.is_dir() and not (path / 'metadata.yaml').is_file():
            raise RecordingError(
                f"bag '{path}' lacks its metadata.yaml: run 'ros2 bag reindex', or give "
                f"'{storage_files(path)[0].name}' in it instead"
            )
        return BagRecording(path, options)
    if not path.is_dir():
        raise RecordingError(f"'{path}' is no folder, and no .mcap or .db3 file of a bag")
    if is_tum(path):
        return open_tum(path, options)
    if is_euroc(path):
        return open_euroc(path, options)
    if is_seven_scenes(path):
        return open_seven_scenes(path, options)
    raise RecordingError(_unknown(path))


def _unknown(path: Path) -> str:
    found = sequences(path)
    if found:
        return f"'{path}' is a scene of several recordings: name one of {', '.join(found)} in it"
    if (path / 'depth.txt').is_file() or (path / 'groundtruth.txt').is_file():
        return f"'{path}' looks like a TUM folder but lacks rgb.txt"
    if (path / 'cam0').is_dir() or (path / 'mav0').is_dir():
        return f"'{path}' looks like a EuRoC folder but lacks cam0/data.csv"
    return (
        f"'{path}' is no recording: it holds neither metadata.yaml (rosbag2), nor rgb.txt (TUM), "
        'nor frame-*.color.* (7-Scenes), nor cam0/data.csv (EuRoC)'
    )
