import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from s3e_gnn_ros.encoder.weights import (
    FORMAT,
    load_weights,
    packaged_weights,
    save_weights,
    weights_path,
)
from s3e_gnn_ros.errors import InputError


def _linear(path, size=3):
    module = nn.Linear(size, 2)
    save_weights(path, {'encoder': module.state_dict()}, {'encoder': {'size': size}})
    return module


def test_round_trip_at_half_precision(tmp_path):
    path = tmp_path / 'w.safetensors'
    module = _linear(path)
    weights = load_weights(str(path))
    other = nn.Linear(3, 2)
    weights.load_into(other, 'encoder')
    assert torch.allclose(other.weight, module.weight, atol=1e-3)
    assert other.weight.dtype == torch.float32
    assert weights.configuration('encoder') == {'size': 3}


def test_a_file_that_is_written_over_changes_nothing(tmp_path):
    """Somebody brings new weights while a node runs."""
    path = tmp_path / 'w.safetensors'
    save_weights(path, {'part': {'a': torch.arange(1000, dtype=torch.int64)}}, {'part': {}})
    weights = load_weights(str(path))
    with path.open('r+b') as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(weights.part('part')['a'], torch.arange(1000))


def test_other_architecture_names_the_tensor(tmp_path):
    _linear(tmp_path / 'w.safetensors')
    weights = load_weights(str(tmp_path / 'w.safetensors'))
    with pytest.raises(InputError, match=r"another architecture: 'encoder.weight' is \(2, 3\)"):
        weights.load_into(nn.Linear(4, 2), 'encoder')
    with pytest.raises(InputError, match='hold no gnn'):
        weights.configuration('gnn')


@pytest.mark.parametrize('position', [0, 20, -3])
def test_damage_anywhere_is_one_sentence(tmp_path, position):
    path = tmp_path / 'w.safetensors'
    _linear(path)
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'damaged|no weights of this package'):
        load_weights(str(path))


@pytest.mark.parametrize('content', [b'', b'not weights', b'\xff' * 100])
def test_no_weights_at_all(tmp_path, content):
    path = tmp_path / 'w.safetensors'
    path.write_bytes(content)
    with pytest.raises(InputError, match='damaged'):
        load_weights(str(path))


def test_half_a_file(tmp_path):
    path = tmp_path / 'w.safetensors'
    _linear(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match='damaged'):
        load_weights(str(path))


def test_other_version_and_foreign_files(tmp_path):
    tensors = {'a': torch.zeros(1)}
    old = tmp_path / 'old.safetensors'
    save_file(tensors, old, {'format': FORMAT, 'version': '99', 'description': json.dumps({})})
    with pytest.raises(InputError, match='of version 99, this package reads version 1'):
        load_weights(str(old))
    foreign = tmp_path / 'foreign.safetensors'
    save_file(tensors, foreign)
    with pytest.raises(InputError, match='no weights of this package'):
        load_weights(str(foreign))


def test_unknown_name_lists_the_packaged_ones():
    with pytest.raises(InputError, match="no weights 'resnet'"):
        weights_path('resnet')


@pytest.mark.parametrize('name', packaged_weights())
def test_packaged_weights_load(name):
    weights = load_weights(name)
    assert weights.has('encoder')
    assert weights.has('gnn')
    assert weights.has('calibration')
