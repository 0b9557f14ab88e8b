"""``s3e-gnn train`` on a few photographs drawn here."""

import json

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.cli.main import main

STAGES = """
stages:
  - {name: local, steps: 2, groups: 2}
  - {name: head, steps: 3, groups: 2}
  - {name: global, steps: 2, groups: 2}
"""


@pytest.fixture(scope='module', name='data')
def _data(tmp_path_factory):
    """Training and validation sets of one split of photographs."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for number in range(12):
        small = rng.integers(0, 256, (30, 40), np.uint8)
        image = cv2.resize(small, (400, 300), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(root / f'{number}.png'), image)
    config = root / 'data.yaml'
    config.write_text(
        'num_groups: 6\nnum_views: 2\npatches: {num_patches: 8, num_features: 100}\n'
        f'photos: {{folder: {root}, validation_share: 0.4}}\n'
    )
    for split in ('train', 'validation'):
        arguments = ['--config', config, '--out', root / split, '--set', f'photos.split={split}']
        assert train('data', *arguments) == 0
    return root


def train(*arguments):
    return main(['train', *map(str, arguments)])


def encoder_config(data, tmp_path, **encoder):
    encoder = {
        'backbone': 'none',
        'num_patches': 8,
        'embedding_dim': 8,
        'num_centres': 2,
    } | encoder
    path = tmp_path / 'encoder.yaml'
    path.write_text(
        f'data: {{train: [{data / "train"}], validation: [{data / "validation"}],'
        f' validation_groups: 2}}\nencoder: {json.dumps(encoder)}\n{STAGES}'
    )
    return path


def test_data_encoder_and_card(data, tmp_path, capsys):
    config, out = encoder_config(data, tmp_path), tmp_path / 'run'
    assert train('encoder', '--config', config, '--out', out, '--json') == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result['validation']) == {'0_local', '1_head', '2_global'}
    assert train('encoder', '--config', config, '--out', out, '--resume') == 0
    assert train('card', out, '--out', tmp_path / 'card') == 0
    assert (tmp_path / 'card' / 'model_card.md').is_file()


def test_a_run_is_not_overwritten(data, tmp_path, capsys):
    config, out = encoder_config(data, tmp_path), tmp_path / 'run'
    out.mkdir()
    (out / 'config.yaml').write_text('')
    assert train('encoder', '--config', config, '--out', out) == 2
    assert 'holds a run already' in capsys.readouterr().err


def test_patches_of_another_encoder(data, tmp_path, capsys):
    config = encoder_config(data, tmp_path, patch_size_px=16)
    assert train('encoder', '--config', config, '--out', tmp_path / 'run') == 2
    assert 'has patch_size_px 64, the encoder 16' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_one_scene_on_both_sides(data, tmp_path, capsys):
    config = encoder_config(data, tmp_path)
    change = f'data.validation=[{data / "train"}]'
    assert train('encoder', '--config', config, '--out', tmp_path / 'run', '--set', change) == 2
    assert 'is in the training and in the validation sets' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ('stages', "--set 'stages' is not NAME=VALUE"),
        ('stages.local.stepps=1', "unknown name 'stages.0.stepps'"),
        ('data.train=[]', 'data.train names no training set'),
        ('data.train=[nowhere]', "'nowhere' is no training set"),
        ('stages.local.groups=99', 'a batch of 99 groups'),
    ],
)
def test_refused(data, tmp_path, capsys, setting, message):
    config = encoder_config(data, tmp_path)
    assert train('encoder', '--config', config, '--out', tmp_path / 'run', '--set', setting) == 2
    assert message in capsys.readouterr().err


def test_gnn_without_sequences(tmp_path, capsys):
    config = tmp_path / 'gnn.yaml'
    config.write_text('steps: 1\n')
    assert train('gnn', '--config', config, '--out', tmp_path / 'run') == 2
    assert 'names no embedding sequences' in capsys.readouterr().err
    config.write_text('')
    assert train('calibrate', '--config', config, '--out', tmp_path / 'x.safetensors') == 2
