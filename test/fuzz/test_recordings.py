"""Whatever a recording or a scene holds: frames that fit together, or one sentence."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import copied, damaged, fuzzed, is_read, limited
from hypothesis import given

from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.data.image_codec import decode_compressed_depth, decode_depth, decode_image
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.evaluation.files import tum_text
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.simulation.glb import load_glb
from s3e_gnn_ros.types import Frame

_CAMERA = PinholeCamera(64, 48, 50.0, 51.0, 31.5, 23.5)
_START_NS = 1_700_000_000_000_000_000


def _frame(number: int) -> Frame:
    rng = np.random.default_rng(number)
    T = se3.expmap([0.0, 0.05 * number, 0.0, 0.1 * number, 0.0, 0.0])
    return Frame(
        _START_NS + number * 10**8,
        rng.integers(0, 255, (48, 64), np.uint8),
        _CAMERA,
        rng.integers(500, 4000, (48, 64)).astype(np.float32) / np.float32(1000),
        T_odom_camera=T,
        T_world_camera=T,
    )


_FRAMES = [_frame(number) for number in range(4)]
_TRUTH = Trajectory(
    np.array([frame.stamp_ns for frame in _FRAMES]),
    np.array([frame.T_world_camera for frame in _FRAMES]),
)


def _bag(folder: Path, storage: str, transport: str) -> None:
    with BagWriter(folder, storage=storage, image_transport=transport) as writer:
        for frame in _FRAMES:
            writer.write_frame(frame)
            writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
            writer.write_ground_truth(frame.stamp_ns, frame.T_world_camera)


def _write_image(path: Path, frame: Frame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), frame.image)


def _write_depth(path: Path, frame: Frame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), (frame.depth_m * 1000).astype(np.uint16))


def _tum(folder: Path) -> None:
    colour, depth = [], []
    for number, frame in enumerate(_FRAMES):
        _write_image(folder / f'rgb/{number}.png', frame)
        _write_depth(folder / f'depth/{number}.png', frame)
        stamp = f'{frame.stamp_ns // 10**9}.{frame.stamp_ns % 10**9:09d}'
        colour.append(f'{stamp} rgb/{number}.png\n')
        depth.append(f'{stamp} depth/{number}.png\n')
    (folder / 'rgb.txt').write_text('# colour\n' + ''.join(colour))
    (folder / 'depth.txt').write_text(''.join(depth))
    (folder / 'groundtruth.txt').write_text(tum_text(_TRUTH))
    (folder / 'camera.txt').write_text('50 51 31.5 23.5\n')


def _seven_scenes(folder: Path) -> None:
    for number, frame in enumerate(_FRAMES):
        name = f'frame-{number:06d}'
        _write_image(folder / f'{name}.color.png', frame)
        _write_depth(folder / f'{name}.depth.png', frame)
        rows = ('\t'.join(map(repr, row)) for row in frame.T_world_camera.tolist())
        (folder / f'{name}.pose.txt').write_text('\n'.join(rows))


_SENSOR = """resolution: [64, 48]
camera_model: pinhole
intrinsics: [50.0, 51.0, 31.5, 23.5]
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0001, 1.7e-05]
T_BS:
  cols: 4
  rows: 4
  data: [1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0]
"""


def _euroc(folder: Path) -> None:
    camera, truth = folder / 'mav0/cam0', folder / 'mav0/state_groundtruth_estimate0'
    lines = ['#timestamp [ns],filename\n']
    poses = ['#stamp, x, y, z, qw, qx, qy, qz\n']
    for frame in _FRAMES:
        _write_image(camera / f'data/{frame.stamp_ns}.png', frame)
        lines.append(f'{frame.stamp_ns},{frame.stamp_ns}.png\n')
        x, y, z, w = se3.quat_xyzw(frame.T_world_camera).tolist()
        values = (*frame.T_world_camera[:3, 3].tolist(), w, x, y, z)
        poses.append(','.join([str(frame.stamp_ns), *map(repr, values)]) + '\n')
    (camera / 'data.csv').write_text(''.join(lines))
    (camera / 'sensor.yaml').write_text(_SENSOR)
    truth.mkdir(parents=True)
    (truth / 'data.csv').write_text(''.join(poses))


WRITERS = {
    'sqlite3': (lambda folder: _bag(folder, 'sqlite3', 'raw'), ('sqlite3.db3', 'metadata.yaml')),
    'mcap': (lambda folder: _bag(folder, 'mcap', 'compressed'), ('mcap.mcap', 'metadata.yaml')),
    'tum': (_tum, ('rgb.txt', 'depth.txt', 'groundtruth.txt', 'rgb/1.png', 'depth/1.png')),
    'seven_scenes': (
        _seven_scenes,
        ('frame-000001.color.png', 'frame-000001.depth.png', 'frame-000001.pose.txt'),
    ),
    'euroc': (
        _euroc,
        (
            'mav0/cam0/data.csv',
            'mav0/cam0/sensor.yaml',
            'mav0/state_groundtruth_estimate0/data.csv',
        ),
    ),
}


def read_frames(path: Path) -> int:
    """Read a recording to its end, and hold its frames against what frames promise."""
    recording = open_recording(path)
    last_ns, num_frames = -1, 0
    for frame in recording.frames():
        assert frame.stamp_ns > last_ns
        assert frame.image.dtype == np.uint8
        size = frame.camera.height, frame.camera.width
        assert frame.image.shape[:2] == size
        if frame.depth_m is not None:
            assert frame.depth_m.shape == size
            assert (frame.depth_m >= 0).all()
            assert np.isfinite(frame.depth_m).all()
        for T in (frame.T_odom_camera, frame.T_world_camera):
            assert T is None or np.isfinite(T).all()
        last_ns, num_frames = frame.stamp_ns, num_frames + 1
    assert num_frames <= recording.num_frames
    return num_frames


@pytest.fixture(scope='module')
def wholes(tmp_path_factory):
    """One recording of each kind."""
    folder = tmp_path_factory.mktemp('recordings')
    for kind, (write, _) in WRITERS.items():
        write(folder / kind)
        assert read_frames(folder / kind) == len(_FRAMES)
    return folder


@pytest.mark.parametrize(
    ('kind', 'name'), [(kind, name) for kind, (_, names) in WRITERS.items() for name in names]
)
def test_files(kind, name, wholes, tmp_path):
    whole, path = wholes / kind, tmp_path / kind
    valid = (whole / name).read_bytes()
    is_text = not name.endswith(('.png', '.db3', '.mcap'))
    num_examples = 25 if is_text else 40

    @fuzzed(num_examples)
    @given(damaged(valid, is_text=is_text))
    def check(content):
        copied(whole, path)
        (path / name).write_bytes(content)
        is_read(lambda: read_frames(path))

    check()


@pytest.mark.parametrize('outside', ['/dev/zero', '../outside.png', '/etc/hostname'])
@pytest.mark.parametrize('name', ['rgb.txt', 'mav0/cam0/data.csv'])
def test_lists_name_images_of_their_folder_only(name, outside, wholes, tmp_path):
    """A list that a stranger wrote must not make us read what is not part of the recording."""
    kind = 'tum' if name == 'rgb.txt' else 'euroc'
    path = copied(wholes / kind, tmp_path / kind)
    cv2.imwrite(str(tmp_path / 'outside.png'), _FRAMES[0].image)
    lines = (path / name).read_text().splitlines()
    stamp = lines[1].replace(',', ' ').split()[0]
    lines[1] = f'{stamp} {outside}' if kind == 'tum' else f'{stamp},{outside}'
    (path / name).write_text('\n'.join(lines) + '\n')
    recording = open_recording(path)
    with limited():
        assert len(list(recording.frames())) == len(_FRAMES) - 1
    assert recording.drops['image_list'] == 1


def test_a_pipe_in_the_place_of_an_image_is_no_image(wholes, tmp_path):
    import os

    path = copied(wholes / 'tum', tmp_path / 'tum')
    (path / 'rgb/1.png').unlink()
    os.mkfifo(path / 'rgb/1.png')
    recording = open_recording(path)
    assert len(list(recording.frames())) == len(_FRAMES) - 1
    assert recording.drops['image_data'] == 1


# Images.


def _encoded(suffix: str, image: np.ndarray) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


_DEPTH = (_FRAMES[0].depth_m * 1000).astype(np.uint16)
_HEADER = np.array([1], '<i4').tobytes() + np.array([100.0, 0.1], '<f4').tobytes()
IMAGES = {
    'jpeg': (_encoded('.jpg', _FRAMES[0].image), lambda data: decode_image(data, 'x')),
    'png': (_encoded('.png', _FRAMES[0].image), lambda data: decode_image(data, 'x')),
    'depth': (_encoded('.png', _DEPTH), lambda data: decode_depth(data, 'x')),
    'compressedDepth': (
        _HEADER + _encoded('.png', _DEPTH),
        lambda data: decode_compressed_depth(data, '32FC1', 'x'),
    ),
}


@pytest.mark.parametrize('kind', IMAGES)
def test_images(kind):
    valid, decode = IMAGES[kind]
    assert is_read(lambda: decode(valid))

    @fuzzed(100)
    @given(damaged(valid))
    def check(data):
        is_read(lambda: decode(data))

    check()


@pytest.mark.parametrize('size', [(65_000, 65_000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 5)])
@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_an_image_that_says_it_is_huge_is_not_decoded(kind, size):
    """The sizes are true as far as the format's own checks go."""
    import struct
    import zlib

    valid, decode = IMAGES[kind]
    width, height = size
    if kind == 'png':
        head = b'IHDR' + struct.pack('>II', width, height) + valid[24:29]
        data = valid[:12] + head + struct.pack('>I', zlib.crc32(head)) + valid[33:]
    else:
        at = valid.index(b'\xff\xc0') + 5
        data = valid[:at] + struct.pack('>HH', height % 2**16, width % 2**16) + valid[at + 4 :]
    with limited(), pytest.raises(DropError, match=r'pixels|damaged'):
        decode(data)


# Scenes.


def _scene() -> bytes:
    trimesh = pytest.importorskip('trimesh')
    image = pytest.importorskip('PIL.Image')
    box = trimesh.creation.box((2, 2, 2))
    texture = image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=texture)
    uv = np.zeros((len(box.vertices), 2))
    box.visual = trimesh.visual.TextureVisuals(uv, material=material)
    out = io.BytesIO()
    trimesh.Scene(box).export(out, file_type='glb')
    return out.getvalue()


def _read_scene(path: Path) -> None:
    scene = load_glb(path)
    assert np.isfinite(scene.triangles_m).all()
    assert np.isfinite(scene.uvs).all()
    assert ((scene.texture_ids >= 0) & (scene.texture_ids < len(scene.textures))).all()


def test_scenes(tmp_path):
    path = tmp_path / 'scene.glb'
    valid = _scene()
    path.write_bytes(valid)
    assert is_read(lambda: _read_scene(path))

    @fuzzed(80)
    @given(damaged(valid))
    def check(content):
        path.write_bytes(content)
        is_read(lambda: _read_scene(path))

    check()


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('"count":36', '"count":2000000000'),
        ('"byteLength":', '"byteLength":9'),
        ('"bufferView":0', '"bufferView":77'),
        ('"type":"VEC3"', '"type":"MAT4"'),
        ('"uri"', '"urx"'),
    ],
)
def test_scenes_whose_description_lies(old, new, tmp_path):
    import json
    import struct

    valid = _scene()
    (length,) = struct.unpack_from('<I', valid, 12)
    text = json.dumps(json.loads(valid[20 : 20 + length]), separators=(',', ':'))
    text = text.replace(old, new).encode()
    text += b' ' * (-len(text) % 4)
    rest = valid[20 + length :]
    data = struct.pack('<III', 0x46546C67, 2, 20 + len(text) + len(rest))
    data += struct.pack('<II', len(text), 0x4E4F534A) + text + rest
    path = tmp_path / 'scene.glb'
    path.write_bytes(data)
    is_read(lambda: _read_scene(path))
