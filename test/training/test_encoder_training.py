"""An encoder's training on made-up views: stages, head, resume, weights."""

import os
import signal

import pytest
import torch

from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import load_weights
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.training.curves import Curves, read_curves
from s3e_gnn_ros.training.distributed import Placement
from s3e_gnn_ros.training.encoder_task import EncoderTask
from s3e_gnn_ros.training.encoder_training import EncoderRun
from s3e_gnn_ros.training.head_fit import fit_head, fit_whitening, k_means
from s3e_gnn_ros.training.run_folder import check_resumed, start_run
from s3e_gnn_ros.training.section import build_section
from s3e_gnn_ros.training.train_config import EncoderTrainConfig, StageConfig
from s3e_gnn_ros.training.view_dataset import ViewBatch

PLACE = Placement(torch.device('cpu'))
SMALL = {
    'backbone': 'none',
    'sampled_size_px': 16,
    'num_scales': 1,
    'width': 4,
    'descriptor_dim': 8,
    'embedding_dim': 6,
    'num_centres': 3,
    'reduced_dim': 8,
    'num_patches': 12,
}
PAPER = {'form': 'paper', 'patch_size_px': 16, 'num_patches': 12, 'embedding_dim': 8}


def make_batch(seed, groups=4, views=3, num=12, channels=1, size=16):
    """Views of the same patches with noise, the second half of each view moved by one place."""
    rng = torch.Generator().manual_seed(seed)
    places = torch.rand(groups, 1, num, 3, generator=rng) * 100.0
    patches = torch.rand(groups, 1, num, channels, size, size, generator=rng) * 255.0
    noise = 10.0 * torch.rand(groups, views, num, channels, size, size, generator=rng)
    overlap = torch.full((groups, views, views), 0.5) + 0.5 * torch.eye(views)
    points = torch.rand(groups, views, num, 2, generator=rng) * 200.0
    return ViewBatch(
        pixels=(0.9 * patches + noise).to(torch.uint8),
        points_px=points,
        sizes_px=torch.full((groups, views, num), 31.0),
        landmarks=places.expand(-1, views, -1, -1).clone(),
        spacing=torch.ones(groups, views, num),
        image_size=torch.tensor([200, 200], dtype=torch.int32).expand(groups, views, 2),
        overlap=overlap,
        scene=torch.arange(groups),
    )


class MadeUp:
    """Data sets without files."""

    def __init__(self, stop_at=None, num_validation=2, **shape):
        self.stop_at = stop_at
        self.num_validation = num_validation
        self.shape = shape

    def training(self, stage, seed, place):
        self.groups = stage.groups
        return self

    def validation(self):
        return [make_batch(1000 + k, **self.shape) for k in range(self.num_validation)]

    def __len__(self):
        return 4

    def __getitem__(self, step):
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return make_batch(step, groups=self.groups, **self.shape)

    def stream(self, start, stop, *, workers=0, pin_memory=False):
        yield from (self[step] for step in range(start, stop))


def configuration(*stages, encoder=SMALL, **loop):
    loop = {'validation_interval': 4, 'checkpoint_interval': 2, 'log_interval': 2} | loop
    return build_section(
        EncoderTrainConfig, {'encoder': encoder, 'stages': list(stages), 'loop': loop}
    )


IMPROVED = configuration(
    {'name': 'local', 'steps': 6, 'groups': 4, 'optimiser': {'lr': 0.01}},
    {'name': 'head', 'steps': 3, 'groups': 4},
    {'name': 'global', 'steps': 4, 'groups': 4, 'views': 2},
    {'name': 'whitening', 'steps': 3, 'groups': 4},
)


def train(folder, config, data=None, *, resume=False):
    if resume:
        check_resumed(folder, config)
    else:
        start_run(folder, config)
    run = EncoderRun(config, data or MadeUp(), folder, PLACE)
    result = run.run(Curves(folder), resume=resume)
    return run.network, result


def test_all_stages_and_their_weights(tmp_path):
    network, result = train(tmp_path, IMPROVED)
    assert set(result['validation']) == {'0_local', '1_head', '2_global', '3_whitening'}
    for stage in ('1_head', '2_global', '3_whitening'):
        assert 0.0 <= result['validation'][stage]['average_precision'] <= 1.0
    weights = load_weights(result['weights'])
    again = build_encoder(IMPROVED.encoder)
    weights.load_into(again, 'encoder')
    for name, value in network.state_dict().items():
        assert torch.allclose(value.float(), again.state_dict()[name].float(), atol=1e-2), name
    assert weights.description['training']['configuration']['loop']['seed'] == 0
    assert (tmp_path / 'result.json').is_file()


@pytest.mark.parametrize('stop_at', [3, 7])
def test_resumes_in_any_stage(tmp_path, stop_at):
    """An interrupted run ends with the same weights; 7 is in no stage, so only 3 interrupts."""
    whole, _ = train(tmp_path / 'whole', IMPROVED)
    folder = tmp_path / 'parts'
    if stop_at == 3:
        with pytest.raises(KeyboardInterrupt):
            train(folder, IMPROVED, MadeUp(stop_at=3))
        resumed, _ = train(folder, IMPROVED, resume=True)
        points = [(p['stage'], p['step'], p.get('loss')) for p in read_curves(folder)]
        expected = [
            (p['stage'], p['step'], p.get('loss')) for p in read_curves(tmp_path / 'whole')
        ]
        assert points == expected
    else:
        train(folder, IMPROVED)
        resumed, _ = train(folder, IMPROVED, resume=True)  # a finished run has nothing to do
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize('backbone', ['sparse_conv', 'vit'])
def test_the_papers_stage(tmp_path, backbone):
    config = configuration(
        {'name': 'pairs', 'epochs': 1, 'groups': 4, 'optimiser': {'name': 'sgd', 'lr': 0.001}},
        encoder=PAPER | {'backbone': backbone},
    )
    _, result = train(tmp_path, config, MadeUp(channels=3, size=16, views=2))
    values = result['validation']['0_pairs']
    assert values['step'] in (0, 4)
    assert 0.0 <= values['mean_absolute_error'] <= 1.0
    assert 'match_accuracy' not in values


def test_the_local_stage_learns_what_patches_look_alike(tmp_path):
    config = configuration(
        {'name': 'local', 'steps': 30, 'groups': 4, 'views': 2, 'optimiser': {'lr': 0.01}},
        log_interval=1,
    )
    train(tmp_path, config)
    losses = [point['loss'] for point in read_curves(tmp_path) if 'loss' in point]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_what_is_frozen_stays(tmp_path):
    config = configuration(
        {'name': 'global', 'steps': 2, 'groups': 4, 'frozen': ['patch_network']}
    )
    torch.manual_seed(0)
    before = build_encoder(config.encoder).state_dict()
    after = train(tmp_path, config, MadeUp(num_validation=0))[0].state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not [name for name in changed if name.startswith('patch_network')]
    assert 'head.projection.weight' in changed


def test_the_local_stage_moves_only_the_patch_network():
    network = build_encoder(IMPROVED.encoder)
    task = EncoderTask(network, StageConfig('local', steps=1))
    task.set_training()
    task(make_batch(0))['loss'].backward()
    learned = {name for name, p in network.named_parameters() if p.grad is not None}
    assert learned == {n for n, _ in network.named_parameters() if n.startswith('patch_network')}


def test_head_whitens_and_keeps_places_apart():
    network = build_encoder(IMPROVED.encoder)
    batches = [make_batch(seed) for seed in range(4)]
    assert fit_head(network, batches, PLACE.device, 0) == 48
    assert_white(network, batches)


def test_whitening_follows_what_is_pooled_and_changes_nothing_else():
    network = build_encoder(IMPROVED.encoder)
    batches = [make_batch(seed) for seed in range(4)]
    fit_head(network, batches, PLACE.device, 0)
    with torch.no_grad():
        network.head.centres.add_(torch.randn_like(network.head.centres))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert fit_whitening(network, batches, PLACE.device) == 48
    assert_white(network, batches)
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {'head.projection.weight', 'head.projection.bias'}


def assert_white(network, batches):
    with torch.no_grad():
        vlads = torch.cat(
            [network.head.aggregate(network.describe(b.pixels.flatten(0, 1))) for b in batches]
        )
        white = network.head.projection(vlads)
    covariance = torch.cov(white.T)
    assert white.mean(dim=0).abs().max() < 1e-2
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=1e-2)


def test_head_needs_more_images_than_dimensions():
    network = build_encoder(IMPROVED.encoder)
    with pytest.raises(ConfigError, match='3 images for whitening to 6 dimensions'):
        fit_head(network, [make_batch(0, groups=1)], PLACE.device, 0)
    with pytest.raises(ConfigError, match="stage 'whitening' has 3 images"):
        fit_whitening(network, [make_batch(0, groups=1)], PLACE.device)


def test_k_means_finds_groups():
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    points = (truth[:, None] + 0.1 * torch.randn(3, 50, 2, generator=generator)).flatten(0, 1)
    found = k_means(points, 3, generator)
    assert torch.cdist(truth, found).min(dim=1).values.max() < 0.2


def test_a_folder_that_holds_a_run(tmp_path):
    start_run(tmp_path, IMPROVED)
    with pytest.raises(InputError, match='holds a run already'):
        start_run(tmp_path, IMPROVED)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match='holds no checkpoint'):
        check_resumed(tmp_path, IMPROVED)


def test_another_configuration_cannot_resume(tmp_path):
    train(tmp_path, configuration({'name': 'local', 'steps': 2, 'groups': 4}))
    with pytest.raises(ConfigError, match='another configuration'):
        check_resumed(tmp_path, configuration({'name': 'local', 'steps': 3, 'groups': 4}))
