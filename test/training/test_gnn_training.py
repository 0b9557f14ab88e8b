"""The GNN's training on made-up sequences: loss, episodes, weights, calibration, model card."""

import math

import numpy as np
import pytest
import torch

from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import load_weights, save_weights
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.training.calibration_fit import CalibrationConfig, calibrate
from s3e_gnn_ros.training.curves import Curves, read_curves
from s3e_gnn_ros.training.distributed import Placement
from s3e_gnn_ros.training.episodes import EpisodeMaker, _noisy
from s3e_gnn_ros.training.gnn_config_file import GNNTrainConfig, SequenceConfig
from s3e_gnn_ros.training.gnn_loss import gnn_loss, ranking_loss
from s3e_gnn_ros.training.gnn_training import GNNRun, best_candidates
from s3e_gnn_ros.training.model_card import write_model_card
from s3e_gnn_ros.training.run_folder import start_run
from s3e_gnn_ros.training.section import build_section
from s3e_gnn_ros.training.sequences import EmbeddingSequence, load_sequence, save_sequence

PLACE = Placement(torch.device('cpu'))
DIM = 16


def make_sequence(scene, seed=0, num=30, dim=DIM):
    """Two runs along one line; embeddings turn with the place, overlap falls with distance."""
    rng = np.random.default_rng(seed)
    place = np.concatenate([np.linspace(0, 10, num), rng.permutation(np.linspace(5, 15, num))])
    waves = rng.standard_normal((2, dim, 1)) * np.array([[[1.0]], [[3.0]]])
    clean = np.sin(waves[0] * place + waves[1]).T  # (2 num, D)
    noisy = clean + 0.3 * rng.standard_normal((2, *clean.shape))
    embeddings = noisy / np.linalg.norm(noisy, axis=2, keepdims=True)
    overlap = np.clip(1.0 - np.abs(place[:, None] - place), 0.0, 1.0)
    return EmbeddingSequence(
        scene,
        embeddings.astype(np.float16),
        np.repeat([0, 1], num),
        np.arange(2 * num) * 10**8,
        np.tile(np.eye(4), (2 * num, 1, 1)),
        overlap.astype(np.float32),
    )


@pytest.fixture(name='sequences')
def _sequences(tmp_path):
    folder = tmp_path / 'sequences'
    for split, seeds in (('train', (0, 1)), ('validation', (2,))):
        (folder / split).mkdir(parents=True)
        for seed in seeds:
            scene = make_sequence(f'scene {seed}', seed)
            save_sequence(folder / split / f'{seed}.npz', scene)
    return folder


def configuration(sequences, form='improved', **values):
    return build_section(
        GNNTrainConfig,
        {
            'data': {
                'train': [str(sequences / 'train')],
                'validation': [str(sequences / 'validation')],
                'windows': 8,
            },
            'gnn': {'form': form, 'embedding_dim': DIM, 'edge_dim': 4},
            'steps': 4,
            'loop': {'validation_interval': 2, 'checkpoint_interval': 2, 'log_interval': 2},
            **values,
        },
    )


def test_gnn_loss_by_hand():
    similarity = torch.tensor([[0.5, 0.3], [0.9, 0.2]])
    overlap = torch.tensor([[0.6, 0.2], [0.0, 0.0]])  # the second row sees nothing known
    loss = gnn_loss(similarity, overlap, temperature=0.1)
    normaliser = math.log(math.exp(5) + math.exp(3))
    assert float(loss) == pytest.approx(-(0.75 * (5 - normaliser) + 0.25 * (3 - normaliser)))


def test_ranking_loss_by_hand():
    similarity = torch.tensor([[0.5, 0.8], [0.9, 0.2], [0.7, 0.6]])
    overlap = torch.tensor([[0.6, 0.03], [0.02, 0.0], [0.0, 0.4]])  # 0.03: neither right nor wrong
    loss = ranking_loss(similarity, overlap, temperature=0.1)
    truths, wrong = (0.5, 0.6), (0.9, 0.7)  # also of other queries
    terms = [math.log1p(math.exp((w - t) / 0.1)) for t in truths for w in wrong]
    assert float(loss) == pytest.approx(sum(terms) / 4, rel=1e-5)


@pytest.mark.parametrize('value', [0.0, 0.2, 0.9])
def test_losses_without_anything_to_say(value):
    similarity = torch.rand(2, 3, requires_grad=True)
    overlap = torch.full((2, 3), value)
    loss = gnn_loss(similarity, overlap, 0.1) + ranking_loss(similarity, overlap, 0.1)
    loss.backward()
    assert torch.isfinite(similarity.grad).all()


def test_the_best_candidate_of_each_query():
    similarity = np.array([[0.5, 0.8, 0.6], [0.9, 0.2, 0.1], [0.3, 0.2, 0.1]], np.float32)
    overlap = np.array([[0.6, 0.03, 0.02], [0.4, 0.0, 0.0], [0.2, 0.03, 0.2]], np.float32)
    highest, is_right = best_candidates(similarity, overlap)
    np.testing.assert_array_equal(highest, np.array([0.6, 0.9, np.nan], np.float32))
    np.testing.assert_array_equal(is_right[:2], [False, True])


def test_noise_leaves_a_blank_embedding_blank():
    embeddings = np.eye(4, DIM, dtype=np.float16)
    embeddings[2] = 0  # an image without keypoints
    noisy = _noisy(embeddings, 5.0, np.random.default_rng(0))
    assert not noisy[2].any()
    seen = [0, 1, 3]
    assert (noisy[seen] != embeddings[seen]).all()
    np.testing.assert_allclose(np.linalg.norm(noisy[seen], axis=1), 1.0, rtol=1e-5)


def test_episodes_follow_from_their_number():
    maker = EpisodeMaker(
        [make_sequence('a')], GNNConfig(embedding_dim=DIM), SequenceConfig(windows=7)
    )
    second = [next(maker.stream(1, 2, seed=3)) for _ in range(2)]
    stream = maker.stream(0, 2, seed=3)
    next(stream)
    for batch in (second[1], next(stream)):
        for one, other in zip(second[0].episodes, batch.episodes, strict=True):
            assert torch.equal(one.query, other.query)
            assert torch.equal(one.edge_index, other.edge_index)


def test_an_episode_holds_together():
    maker = EpisodeMaker(
        [make_sequence('a')], GNNConfig(embedding_dim=DIM, window=5), SequenceConfig(windows=7)
    )
    (episode,) = next(maker.stream(0, 1, seed=0)).episodes
    assert episode.query.shape == (35, DIM)
    assert episode.overlap.shape == (35, len(episode.reference))
    assert torch.allclose(episode.query.norm(dim=1), torch.ones(35), atol=1e-5)
    # Windows are chains of their own.
    assert torch.equal(*(episode.query_edge_index // 5))
    edges = {tuple(edge) for edge in episode.edge_index.T.tolist()}
    assert edges == {(b, a) for a, b in edges}
    assert {(i, i + 1) for i in range(len(episode.reference) - 1)} <= edges


def test_keyframes_may_be_further_apart():
    """Up to so many times as far, alike in both runs, and in episodes of validation."""
    sequence = make_sequence('a', num=60)
    maker = EpisodeMaker(
        [sequence],
        GNNConfig(embedding_dim=DIM, window=5),
        SequenceConfig(windows=7, drop=0.0, max_stride=4),
    )
    rng = np.random.default_rng(0)
    lengths = {len(maker.draw(sequence, rng).reference) for _ in range(40)}
    assert lengths == {60, 30, 20, 15}
    episode = maker.whole(sequence, 1, stride=4)
    assert len(episode.reference) == 15
    assert len(episode.query) == 11 * 5
    first = torch.from_numpy(sequence.embeddings[0, 4].astype(np.float32))
    assert torch.equal(episode.reference[1], first)
    with pytest.raises(ConfigError, match='validation_strides holds 0'):
        SequenceConfig(validation_strides=(1, 0))


def test_whoever_looks_from_behind_is_not_there():
    """It sees all that the query sees, the query little of what it sees."""
    sequence = make_sequence('a', num=20)
    sequence.overlap[20:, :20], sequence.overlap[:20, 20:] = 1.0, 0.05
    config = GNNConfig(embedding_dim=DIM)
    episode = EpisodeMaker([sequence], config, SequenceConfig()).whole(sequence, 0)
    assert (episode.overlap == 0.05).all()
    iou = sequence.iou[20:, :20]  # (1 + 0.05) / 2 shared of 2 less what is shared
    np.testing.assert_allclose(iou, 0.525 / 1.475, rtol=1e-6)


def test_windows_of_rare_overlap_are_drawn_as_often():
    sequence = make_sequence('a', num=100)
    sequence.overlap[100:, :100] = 0.0
    sequence.overlap[:100, 100:] = 0.0
    sequence.overlap[150:160, 0] = sequence.overlap[0, 150:160] = 0.95  # again in few of 100
    maker = EpisodeMaker(
        [sequence], GNNConfig(embedding_dim=DIM), SequenceConfig(windows=200, drop=0.0)
    )
    rng = np.random.default_rng(0)
    share = []
    for _ in range(6):
        episode = maker.draw(sequence, rng)
        share.append(float((episode.overlap.max(dim=1).values[4::5] > 0.3).float().mean()))
    assert 0.35 < np.median(share) < 0.65


@pytest.mark.parametrize('form', ['improved', 'paper'])
def test_trains_and_writes_weights(sequences, tmp_path, form):
    encoder = EncoderConfig(
        backbone='none', embedding_dim=DIM, sampled_size_px=16, width=4, num_centres=2
    )
    path = tmp_path / 'encoder.safetensors'
    description = {'encoder': {name: getattr(encoder, name) for name in vars(encoder)}}
    save_weights(path, {'encoder': build_encoder(encoder).state_dict()}, description)
    config = configuration(sequences, form, encoder=str(path))
    folder = tmp_path / 'run'
    start_run(folder, config)
    result = GNNRun(config, folder, PLACE).run(Curves(folder))
    values = result['validation']['gnn']
    assert 0.0 <= values['average_precision'] <= 1.0
    assert 0.0 <= values['average_precision_without_gnn'] <= 1.0
    weights = load_weights(result['weights'])
    assert weights.has('encoder')
    assert weights.part('encoder')
    assert GNNConfig.from_dict(weights.configuration('gnn')) == config.gnn


def test_resumed_run_has_nothing_left_to_do(sequences, tmp_path):
    config = configuration(sequences)
    folder = tmp_path / 'run'
    start_run(folder, config)
    first = GNNRun(config, folder, PLACE)
    first.run(Curves(folder))
    again = GNNRun(config, folder, PLACE)
    again.run(Curves(folder), resume=True)
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_a_scene_in_both_splits(sequences, tmp_path):
    save_sequence(sequences / 'validation' / 'x.npz', make_sequence('scene 0', 5))
    with pytest.raises(ConfigError, match="scene 'scene 0' is in the training and"):
        GNNRun(configuration(sequences), tmp_path, PLACE)


def test_embeddings_of_another_size(sequences, tmp_path):
    save_sequence(sequences / 'train' / 'x.npz', make_sequence('wide', 5, dim=20))
    with pytest.raises(ConfigError, match="embeddings of 'wide' have 20 dimensions"):
        GNNRun(configuration(sequences), tmp_path, PLACE)


def test_sequence_that_is_none(tmp_path):
    path = tmp_path / 'x.npz'
    path.write_bytes(b'nothing')
    with pytest.raises(InputError, match='is no embedding sequence'):
        load_sequence(path)
    one_run = make_sequence('a')
    one_run.run[:] = 0
    save_sequence(path, one_run)
    with pytest.raises(InputError, match='lacks keyframes of one of its two runs'):
        load_sequence(path)


def test_calibration_is_stored_with_the_weights(sequences, tmp_path):
    config = configuration(sequences)
    folder = tmp_path / 'run'
    start_run(folder, config)
    weights = GNNRun(config, folder, PLACE).run(Curves(folder))['weights']
    path = tmp_path / 'calibrated.safetensors'
    wanted = CalibrationConfig(weights, (str(sequences / 'validation'),), num_candidates=10)
    report = calibrate(wanted, path)
    assert report['gnn']['num_pairs'] == report['encoder']['num_pairs'] == 2 * 26 * 10
    stored = load_weights(str(path))
    probabilities = stored.part('calibration')['gnn.probabilities']
    assert (probabilities.diff() >= 0).all()
    assert stored.part('gnn').keys() == load_weights(weights).part('gnn').keys()


def test_model_card(tmp_path):
    run = tmp_path / 'run'
    start_run(run, build_section(GNNTrainConfig, {}))
    curves = Curves(run)
    for step in (10, 20):
        curves.add('gnn', step, {'loss': 1.0 / step, 'lr': 0.1})
        curves.add('gnn', step, {'average_precision': 0.03 * step})
    curves.close()
    assert len(read_curves(run)) == 4
    result = write_model_card(run, tmp_path / 'card', 'A GNN')
    text = (tmp_path / 'card' / 'model_card.md').read_text()
    assert text.startswith('# A GNN\n')
    assert '| gnn | 20 | 0.100 | 0.050 |' in text
    assert '| gnn | 20 | 0.600 |' in text
    assert 'scenes_per_step: 2' in text
    assert '## Limits' in text
    assert (tmp_path / 'card' / 'curves.png').read_bytes()[:4] == b'\x89PNG'
    assert result['card'].endswith('model_card.md')


def test_no_card_without_a_run(tmp_path):
    with pytest.raises(InputError, match='holds no training run'):
        write_model_card(tmp_path, tmp_path, 'x')
