"""Training configurations: those that ship, and those that are refused."""

import math
from pathlib import Path

import pytest

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.training.calibration_fit import CalibrationConfig
from s3e_gnn_ros.training.data_config import DataBuildConfig
from s3e_gnn_ros.training.gnn_config_file import GNNTrainConfig
from s3e_gnn_ros.training.schedule import learning_rate
from s3e_gnn_ros.training.section import build_section, read_section, section_yaml
from s3e_gnn_ros.training.train_config import EncoderTrainConfig, ScheduleConfig

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'train'
KINDS = {
    'encoder': EncoderTrainConfig,
    'gnn': GNNTrainConfig,
    'calibration': CalibrationConfig,
    'data': DataBuildConfig,
}


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_shipped_configurations_can_be_read(path, tmp_path):
    kind = KINDS[path.stem.partition('_')[0]]
    config = read_section(kind, path)
    again = tmp_path / 'again.yaml'
    again.write_text(section_yaml(config))
    assert read_section(kind, again) == config


@pytest.mark.parametrize('backbone', ['sparse_conv', 'vit'])
@pytest.mark.parametrize('size', [16, 32, 64])
def test_the_papers_numbers(backbone, size):
    config = read_section(EncoderTrainConfig, FOLDER / f'encoder_paper_{backbone}_{size}.yaml')
    (stage,) = config.stages
    assert (stage.name, stage.epochs, stage.steps) == ('pairs', 140, 0)
    optimiser, schedule = stage.optimiser, stage.schedule
    assert (optimiser.name, optimiser.lr, optimiser.momentum) == ('sgd', 1e-3, 0.95)
    assert (optimiser.weight_decay, optimiser.max_gradient_norm) == (1e-5, 0.0)
    assert (schedule.name, schedule.max_lr) == ('cyclic', 0.1)
    assert (stage.losses.shrinkage_a, stage.losses.shrinkage_c) == (10.0, 0.2)
    assert (config.encoder.form, config.encoder.patch_size_px) == ('paper', size)
    assert config.encoder.backbone == backbone


def test_the_papers_gnn():
    config = read_section(GNNTrainConfig, FOLDER / 'gnn_paper.yaml')
    assert (config.gnn.form, config.optimiser.lr) == ('paper', 1e-5)


@pytest.mark.parametrize('name', ['vlad', 'sparse_conv', 'vit'])
def test_the_improved_recipes_have_the_local_stage_first(name):
    config = read_section(EncoderTrainConfig, FOLDER / f'encoder_{name}.yaml')
    assert config.stages[0].name == 'local'
    assert 'head' in [stage.name for stage in config.stages]


STAGE = {'name': 'local', 'steps': 5}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({}, 'there are no stages'),
        ({'stages': [{'name': 'local'}]}, '0 steps and 0 epochs'),
        ({'stages': [STAGE | {'epochs': 1}]}, '5 steps and 1 epochs'),
        ({'stages': [STAGE | {'name': 'far'}]}, "stages.0: name is 'far' instead of one of"),
        ({'stages': [STAGE | {'stepps': 3}]}, "unknown name 'stages.0.stepps'; known: name"),
        ({'stages': [STAGE | {'steps': '3'}]}, "stages.0.steps is '3' instead of a value of type"),
        ({'stages': [STAGE | {'flip': 1}]}, 'stages.0.flip is 1 instead of a value of type bool'),
        ({'stages': STAGE}, 'instead of a list'),
        ({'stages': [STAGE | {'optimiser': {'lr': -1}}]}, 'lr is -1.0 instead of at least 0.0'),
        ({'stages': [STAGE | {'optimiser': {'lr': math.nan}}]}, 'lr is NaN'),
        ({'stages': [STAGE], 'loop': 3}, 'loop holds 3 instead of names and values'),
        ({'stages': [STAGE], 'encoder': {'backbone': 'x'}}, 'encoder: backbone of the encoder'),
        ({'stages': [STAGE], 'encoder': {'form': 'paper'}}, "no stage 'local'"),
        ({'stages': [STAGE], 'data': {'train': 'here'}}, "data.train is 'here' instead of a list"),
    ],
)
def test_refused(content, message):
    with pytest.raises(ConfigError, match=message):
        build_section(EncoderTrainConfig, content)


def write(tmp_path, text):
    path = tmp_path / 'train.yaml'
    path.write_text(text)
    return path


def test_values_from_outside_the_file(tmp_path):
    path = write(tmp_path, 'stages:\n  - {name: local, steps: 5}\n  - {name: head, steps: 1}\n')
    changes = {
        'stages.local.steps': '7',
        'stages.1.groups': '2',
        'stages.local.optimiser.lr': '1e-3',
        'loop.seed': '4',
        'data.train': '[a, b]',
    }
    config = read_section(EncoderTrainConfig, path, changes)
    assert (config.stages[0].steps, config.stages[1].groups, config.loop.seed) == (7, 2, 4)
    assert config.stages[0].optimiser.lr == 1e-3
    assert config.data.train == ('a', 'b')


@pytest.mark.parametrize('name', ['stages.far.steps', 'stages.0', 'loop.seeds', 'loop.seed.x.y'])
def test_unknown_values_from_outside_the_file(tmp_path, name):
    path = write(tmp_path, 'loop: {seed: 1}\nstages:\n  - {name: local, steps: 5}\n')
    with pytest.raises(ConfigError, match='unknown name'):
        read_section(EncoderTrainConfig, path, {name: '3'})


@pytest.mark.parametrize('text', [None, 'a: [', '- 3'])
def test_no_such_file_and_no_yaml(tmp_path, text):
    path = tmp_path / 'no.yaml' if text is None else write(tmp_path, text)
    with pytest.raises(ConfigError, match=r'\.yaml'):
        read_section(EncoderTrainConfig, path)


def test_cyclic_schedule_is_triangles():
    schedule = ScheduleConfig('cyclic', max_lr=0.1, num_cycles=2)
    rates = [learning_rate(step, 8, 0.001, schedule) for step in range(8)]
    expected = [0.001, 0.0505, 0.1, 0.0505] * 2
    assert rates == pytest.approx(expected)


def test_cosine_schedule_rises_and_falls():
    schedule = ScheduleConfig('cosine', warmup=0.2)
    rates = [learning_rate(step, 100, 1.0, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 21)
    assert rates[20] == pytest.approx(1.0) == max(rates)
    assert rates[60] == pytest.approx(0.505)
    assert 0.01 < rates[-1] < 0.012


def test_constant_schedule():
    assert learning_rate(7, 10, 0.3, ScheduleConfig('constant')) == 0.3
