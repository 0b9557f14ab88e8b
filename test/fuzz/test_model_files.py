"""Weights, vocabularies, databases, checkpoints, training sets: data only, whatever they hold."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import copied, damaged, fuzzed, is_read
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.dbow.database import Database
from s3e_gnn_ros.dbow.database_file import DatabaseFile, read_database, write_database
from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import load_weights, save_weights, weights_digest
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.retrieval.place_map import load_calibration, load_gnn
from s3e_gnn_ros.retrieval.training import train_vocabulary
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary, save_vocabulary
from s3e_gnn_ros.training.checkpoint import load_checkpoint, save_checkpoint
from s3e_gnn_ros.training.sequences import EmbeddingSequence, load_sequence, save_sequence
from s3e_gnn_ros.training.shards import MANIFEST, ViewShards, write_manifest, write_shard
from s3e_gnn_ros.training.view_group import UNBOUNDED, View, ViewGroup

_RNG = np.random.default_rng(2)
_ENCODER = EncoderConfig(
    backbone='none', num_patches=8, embedding_dim=8, descriptor_dim=8, num_centres=2,
    reduced_dim=4, sampled_size_px=8, num_scales=1, width=4,
)  # fmt: skip
_GNN = GNNConfig(embedding_dim=8, edge_dim=4)
_KNOTS = {name: torch.linspace(0, 1, 4) for name in ('similarities', 'probabilities', 'overlaps')}
_DESCRIPTION = {'encoder': vars(_ENCODER), 'gnn': _GNN.to_dict(), 'calibration': {}}


def _save_weights(path: Path, description=_DESCRIPTION) -> None:
    torch.manual_seed(0)
    parts = {
        'encoder': build_encoder(_ENCODER).state_dict(),
        'gnn': build_gnn(_GNN).state_dict(),
        'calibration': {f'encoder.{name}': values for name, values in _KNOTS.items()},
    }
    save_weights(path, parts, description)


def _read_weights(path: Path) -> None:
    weights_digest(str(path))
    weights = load_weights(str(path))
    assert all(torch.isfinite(tensor).all() for tensor in weights.tensors.values())
    encoder = Encoder.from_weights(weights)
    encoding = encoder.embed(_RNG.integers(0, 255, (64, 64), np.uint8))
    assert encoding.embedding.shape == (encoder.config.embedding_dim,)
    assert load_gnn(weights).query(np.zeros((1, 8), np.float32)).shape == (1, 8)
    load_calibration(weights, 'encoder')


def _vocabulary():
    images = [_RNG.integers(0, 256, (60, 32), dtype=np.uint8) for _ in range(3)]
    return train_vocabulary(images, branching=4, depth=2)


_VOCABULARY = _vocabulary()


def _read_vocabulary(path: Path) -> None:
    found = load_vocabulary(path)
    words = found.words_of(_RNG.integers(0, 256, (20, 32), dtype=np.uint8))
    assert ((words >= 0) & (words < found.num_words)).all()


def _sequence() -> EmbeddingSequence:
    return EmbeddingSequence(
        'room',
        _RNG.normal(0, 1, (2, 6, 4)).astype(np.float16),
        np.array([0, 0, 0, 1, 1, 1]),
        np.arange(6),
        np.tile(np.eye(4), (6, 1, 1)),
        _RNG.uniform(0, 1, (6, 6)).astype(np.float32),
    )


def _read_sequence(path: Path) -> None:
    found = load_sequence(path)
    N = len(found.run)
    assert found.embeddings.ndim == 3
    assert found.overlap.shape == (N, N)
    assert found.T_world_camera.shape == (N, 4, 4)
    for values in (found.embeddings, found.overlap, found.T_world_camera):
        assert np.isfinite(values).all()


def _database() -> Database:
    made = Database(vocabulary=_VOCABULARY)
    for _ in range(4):
        made.add(_RNG.integers(0, 256, (15, 32), dtype=np.uint8))
    return made


def _read_database(path: Path) -> None:
    found = Database(vocabulary=_VOCABULARY)
    found.load(path)
    found.query(_RNG.integers(0, 256, (15, 32), dtype=np.uint8), 3)


def _save_checkpoint(path: Path) -> None:
    state = {'model': {'a': torch.ones(3)}, 'optimiser': {'step/a': torch.tensor(2.0)}}
    save_checkpoint(path, state, {'stage': 'x', 'step': 3})


def _read_checkpoint(path: Path) -> None:
    found = load_checkpoint(path)
    assert isinstance(found.progress, dict)
    found.part('model')


FILES = {
    'weights.safetensors': (_save_weights, _read_weights),
    'words.npz': (lambda path: save_vocabulary(_VOCABULARY, path), _read_vocabulary),
    'sequence.npz': (lambda path: save_sequence(path, _sequence()), _read_sequence),
    'street.db': (lambda path: _database().save(path), _read_database),
    'checkpoint.safetensors': (_save_checkpoint, _read_checkpoint),
}


@pytest.mark.parametrize('name', FILES)
def test_bytes(name, tmp_path):
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    assert is_read(lambda: read(path))

    @fuzzed(60)
    @given(content=damaged(path.read_bytes()))
    def check(content):
        path.write_bytes(content)
        is_read(lambda: read(path))

    check()


# Headers of safetensors that are whole, and lie.

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from((0, -1, 1, 7, 2**31, 2**63, 1e300, '', 'x', 'F16', 'BF16', 'F8_E4M3')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def lying(draw, header):
    """Draw a header in which one to three values are replaced, at any depth."""
    header = json.loads(json.dumps(header))
    for _ in range(draw(st.integers(1, 3))):
        node = header
        while True:
            keys = sorted(node) if isinstance(node, dict) else range(len(node))
            if not len(keys):
                break
            key = draw(st.sampled_from(list(keys)))
            if isinstance(node[key], (dict, list)) and node[key] and draw(st.booleans()):
                node = node[key]
                continue
            node[key] = draw(_JSON)
            break
    return header


@pytest.mark.parametrize('name', [name for name in FILES if 'npz' not in name])
def test_headers_of_safetensors(name, tmp_path):
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    data = path.read_bytes()
    (length,) = struct.unpack_from('<Q', data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]

    @fuzzed(60)
    @given(lying(header))
    def check(changed):
        text = json.dumps(changed).encode()
        path.write_bytes(struct.pack('<Q', len(text)) + text + body)
        is_read(lambda: read(path))

    check()


def test_descriptions_of_weights(tmp_path):
    """The checksum agrees; what the file says of its networks does not."""
    path = tmp_path / 'weights.safetensors'

    @fuzzed(60)
    @given(lying(_DESCRIPTION))
    def check(description):
        _save_weights(path, description)
        is_read(lambda: _read_weights(path))

    check()


@pytest.mark.parametrize('text', ['[' * 100_000, '{"a":' * 100_000, '1' * 10_000, 'NaN'])
def test_descriptions_that_are_no_description(text, tmp_path):
    from safetensors.torch import save_file

    from s3e_gnn_ros.encoder.weights import FORMAT, digest
    from s3e_gnn_ros.training import checkpoint

    path, tensors = tmp_path / 'a.safetensors', {'encoder.a': torch.ones(2)}
    metadata = {'format': FORMAT, 'version': '1', 'digest': digest(tensors), 'description': text}
    save_file(tensors, path, metadata)
    assert not is_read(lambda: load_weights(str(path)))
    metadata = {'format': checkpoint.FORMAT, 'version': '1', 'progress': text}
    save_file(tensors, path, metadata)
    assert not is_read(lambda: load_checkpoint(path))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    path = tmp_path / 'a.safetensors'
    save_weights(path, {'encoder': {'a': torch.tensor([1.0, value])}}, {'encoder': {}})
    with pytest.raises(InputError, match='finite'):
        load_weights(str(path))


def test_arrays_of_a_database(tmp_path):
    """The checksum agrees; the arrays do not fit together, or to the vocabulary."""
    path = tmp_path / 'street.db'
    _database().save(path)
    whole = read_database(path)
    numbers = st.sampled_from((-1, 0, 1, 2**31 - 1, -(2**31)))

    @fuzzed(60)
    @given(
        st.sampled_from(('words', 'lengths')),
        st.lists(numbers, max_size=6),
        st.sampled_from((np.int32, np.int64, np.float32, np.uint8, np.bool_)),
        st.integers(1, 3),
    )
    def check(name, values, dtype, num_axes):
        array = np.array(values, np.float64).astype(dtype, casting='unsafe')
        array = array.reshape((1,) * (num_axes - 1) + array.shape)
        arrays = {**whole.arrays, name: array}
        write_database(path, DatabaseFile(whole.method, whole.models, arrays))
        is_read(lambda: _read_database(path))

    check()


# Members of .npz files that are whole, and lie.


class _Opened:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _npy(header: str, body: bytes = b'', version: tuple[int, int] = (1, 0)) -> bytes:
    layout = '<H' if version == (1, 0) else '<I'
    text = header.encode('latin1') + b'\n'
    return b'\x93NUMPY' + bytes(version) + struct.pack(layout, len(text)) + text + body


def _described(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def _replace_member(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = content
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for each, data in members.items():
            archive.writestr(each, data)


LIES = {
    'huge': _npy(_described('(1000000000, 1000)'), bytes(64)),
    'overflowing': _npy(_described('(4611686018427387904, 4)'), bytes(64)),
    'negative': _npy(_described('(-5,)'), bytes(64)),
    'more than there is': _npy(_described('(1000000,)'), bytes(64)),
    'less than there is': _npy(_described('(2,)'), bytes(64)),
    'objects': _npy(_described('(1,)', "'|O'"), pickle.dumps([None])),
    'objects in a record': _npy(_described('(1,)', "[('a', '|O')]"), bytes(64)),
    'no header': b'\x93NUMPY\x01\x00',
    'another version': _npy(_described('(2,)'), bytes(8), (9, 0)),
    'a long header': _npy(_described('(' + '1,' * 30000 + ')'), bytes(4), (2, 0)),
    'a deep header': _npy('(' * 9000),
    'code': _npy("__import__('os').abort()"),
    'strings': _npy(_described('(1,)', "'<U100000000'"), bytes(64)),
    'many axes': _npy(_described('(' + '1,' * 100 + ')'), bytes(4)),
}


@pytest.mark.parametrize('lie', LIES)
@pytest.mark.parametrize(
    ('name', 'member'),
    [('words.npz', 'idf.npy'), ('words.npz', 'magic.npy'), ('sequence.npz', 'overlap.npy')],
)
def test_members_that_lie(name, member, lie, tmp_path):
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    _replace_member(path, member, LIES[lie])
    assert not is_read(lambda: read(path))


@pytest.mark.parametrize('name', ['words.npz', 'sequence.npz'])
@pytest.mark.parametrize('as_whole_file', [False, True])
def test_a_pickle_is_not_opened(name, as_whole_file, tmp_path):
    write, read = FILES[name]
    path, trace = tmp_path / name, tmp_path / 'opened'
    write(path)
    array = io.BytesIO()
    np.save(array, np.array([_Opened(trace)], dtype=object), allow_pickle=True)
    if as_whole_file:
        path.write_bytes(pickle.dumps(_Opened(trace)))
    else:
        member = 'idf.npy' if name == 'words.npz' else 'overlap.npy'
        _replace_member(path, member, array.getvalue())
    assert not is_read(lambda: read(path))
    assert not trace.exists()


@pytest.mark.parametrize(('name', 'member'), [('words.npz', 'idf'), ('sequence.npz', 'overlap')])
def test_a_zip_bomb_is_not_unpacked(name, member, tmp_path):
    """A gigabyte of zeros in a megabyte."""
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    size = 1 << 30
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block, checksum, packed = bytes(1 << 24), 0, []
    for _ in range(size >> 24):
        packed.append(packer.compress(block))
        checksum = zlib.crc32(block, checksum)
    head = _npy(_described(f'({(size - 128) // 4},)'))
    assert len(head) < 128
    _bomb(path, f'{member}.npy', b''.join([*packed, packer.flush()]), size, checksum)
    assert not is_read(lambda: read(path))


def _bomb(path: Path, name: str, packed: bytes, size: int, checksum: int) -> None:
    """Write a member that is compressed already into an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist() if each != name}
    with zipfile.ZipFile(path, 'w') as archive:
        for each, data in members.items():
            archive.writestr(each, data)
        archive.writestr(name, packed)
        info = archive.getinfo(name)
        info.compress_type, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, size, checksum
    data = bytearray(path.read_bytes())
    at = info.header_offset
    struct.pack_into('<H', data, at + 8, zipfile.ZIP_DEFLATED)
    struct.pack_into('<III', data, at + 14, checksum, len(packed), size)
    path.write_bytes(bytes(data))


def _training_set(folder: Path) -> None:
    def view(seed):
        rng = np.random.default_rng(seed)
        return View(
            pixels=rng.integers(0, 255, (3, 1, 8, 8), np.uint8),
            points_px=rng.uniform(0, 9, (3, 2)).astype(np.float32),
            sizes_px=np.ones(3, np.float32),
            angles_deg=np.zeros(3, np.float32),
            is_detected=np.ones(3, np.bool_),
            landmarks=np.zeros((3, 3), np.float32),
            spacing=np.ones(3, np.float32),
            image_size=np.array([10, 10], np.int32),
        )

    groups = [
        ViewGroup((view(2 * k), view(2 * k + 1)), np.eye(2, dtype=np.float32), 's', UNBOUNDED, 'x')
        for k in range(3)
    ]
    folder.mkdir()
    shard = write_shard(folder / 'a.safetensors', groups)
    write_manifest(folder, {}, [shard])


def _read_training_set(folder: Path, *, verify: bool) -> None:
    found = ViewShards(folder, verify=verify)
    assert len(found) == len(found.scenes) == len(found.sources)
    for group in range(len(found)):
        found.read(group, ('pixels', 'overlap'))
    found.read_all('overlap')


@pytest.mark.parametrize('name', [MANIFEST, 'a.safetensors'])
@pytest.mark.parametrize('verify', [True, False])
def test_training_sets(name, verify, tmp_path):
    whole, path = tmp_path / 'whole', tmp_path / 'set'
    _training_set(whole)
    _read_training_set(whole, verify=verify)

    @fuzzed(40)
    @given(damaged((whole / name).read_bytes(), is_text=name == MANIFEST))
    def check(content):
        copied(whole, path)
        (path / name).write_bytes(content)
        is_read(lambda: _read_training_set(path, verify=verify))

    check()


@pytest.mark.parametrize('name', ['../a.safetensors', '/dev/zero', 'b/a.safetensors'])
def test_shards_lie_in_the_folder_of_their_manifest(name, tmp_path):
    folder = tmp_path / 'set'
    _training_set(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest['shards'][0]['name'] = name
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match='outside the folder'):
        ViewShards(folder)
