"""The GNN's training: its task, its run, and the weights file with the encoder in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from s3e_gnn_ros.encoder.weights import load_weights, save_weights
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.ranking import average_precision, max_recall_at_full_precision
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.path import path_similarity
from s3e_gnn_ros.graph.query import inverse_cross_entropy
from s3e_gnn_ros.training.checkpoint import load_checkpoint
from s3e_gnn_ros.training.curves import Curves, best_values
from s3e_gnn_ros.training.distributed import Placement
from s3e_gnn_ros.training.episodes import Episode, EpisodeBatch, EpisodeMaker
from s3e_gnn_ros.training.gnn_config_file import GNNLossConfig, GNNTrainConfig
from s3e_gnn_ros.training.gnn_loss import gnn_loss, ranking_loss
from s3e_gnn_ros.training.losses import MAX_UNRELATED_OVERLAP, MIN_OVERLAP
from s3e_gnn_ros.training.run_folder import write_result
from s3e_gnn_ros.training.sequences import EmbeddingSequence, load_sequence
from s3e_gnn_ros.training.trainer import CHECKPOINT_FILE, Plan, Trainer

WEIGHTS_FILE = 'weights.safetensors'
_STAGE = 'gnn'


class GNNTask(nn.Module):
    """The GNN under its loss.

    Args:
        network: from :func:`build_gnn`.
        loss: temperature and weights.
        validation: episodes to measure on, by their stride.
    """

    metric = 'average_precision'

    def __init__(
        self,
        network: Any,
        loss: GNNLossConfig,
        validation: Mapping[int, Sequence[Episode]] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._loss = loss
        self._validation = validation or {}

    def set_training(self) -> None:
        """Put the GNN into training mode."""
        self.train()

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return 'loss' and its parts, the queries of each episode against all references."""
        U, similarity, overlap = joint_similarity(self.network, batch.episodes)
        row = gnn_loss(U, overlap, self._loss.temperature)
        newest = torch.cat([_is_newest(each, overlap.device) for each in batch.episodes])
        ranking = ranking_loss(similarity, overlap[newest], self._loss.ranking_temperature)
        return {
            'loss': self._loss.row_weight * row + self._loss.ranking_weight * ranking,
            'row': row,
            'ranking': ranking,
        }

    def validate(self) -> dict[str, float]:
        """Return retrieval by the newest keyframe of each window, with and without the GNN.

        As in an evaluation, the best candidate of each query counts; the mean over the strides.
        """
        found = [self._retrieval(episodes) for episodes in self._validation.values()]
        names = found[0] if found else {}
        return {name: float(np.mean([each[name] for each in found])) for name in names}

    def _retrieval(self, episodes: Sequence[Episode]) -> dict[str, float]:
        rows = [newest_rows(self.network, episode) for episode in episodes]
        with_gnn = [best_candidates(similarity, overlap) for similarity, _, overlap in rows]
        without = [best_candidates(cosine, overlap) for _, cosine, overlap in rows]
        similarity, is_right = (np.concatenate(part) for part in zip(*with_gnn, strict=True))
        cosine, was_right = (np.concatenate(part) for part in zip(*without, strict=True))
        num = sum(int((overlap >= MIN_OVERLAP).any(axis=1).sum()) for _, _, overlap in rows)
        return {
            'average_precision': average_precision(similarity, is_right, num),
            'recall_at_full_precision': max_recall_at_full_precision(similarity, is_right, num),
            'average_precision_without_gnn': average_precision(cosine, was_right, num),
        }


def best_candidates(
    similarity: NDArray[np.float32], overlap: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return similarity of each query's best candidate (Q,), and whether it is right.

    Pairs (Q, N) that are neither clearly the same place nor clearly another are left out first;
    a query of which nothing is left has NaN.
    """
    is_right = overlap >= MIN_OVERLAP
    clear = is_right | (overlap <= MAX_UNRELATED_OVERLAP)
    scores = np.where(clear, similarity, -np.inf)
    best = scores.argmax(axis=1)[:, None]
    highest = np.take_along_axis(scores, best, axis=1)[:, 0]
    highest[~clear.any(axis=1)] = np.nan
    return highest, np.take_along_axis(is_right, best, axis=1)[:, 0]


def _is_newest(episode: Episode, device: torch.device) -> Tensor:
    """Return the mask (B * W,) of the newest keyframe of each window."""
    return torch.arange(len(episode.query), device=device) % episode.window == episode.window - 1


def episode_similarity(network: Any, episode: Episode) -> Tensor:
    """Return the similarity (B, N) of the newest keyframe of each window to the references."""
    return joint_similarity(network, [episode])[1]


def joint_similarity(network: Any, episodes: Sequence[Episode]) -> tuple[Tensor, Tensor, Tensor]:
    """Compare the queries of all episodes with the references of all.

    Episodes of one step are of different scenes: the other references are wrong everywhere, as
    most of a large map is.

    Returns:
        U (Q, N) of all keyframes of all windows, the similarity (B, N) of the newest of each, and
        the overlap (Q, N); Q, B and N over all episodes.
    """
    config = network.config
    logits = torch.cat([network(each.reference, each.edge_index) for each in episodes])
    query = torch.cat(
        [network.query_logits(each.query, each.query_edge_index) for each in episodes]
    )
    q = network.query_probabilities(query)
    overlap = torch.block_diag(*[each.overlap for each in episodes])  # type: ignore[no-untyped-call]
    U = inverse_cross_entropy(q, logits, config.eta, config.form)
    starts = np.cumsum([0, *(len(each.reference) for each in episodes)]).tolist()
    path_edges = torch.cat(
        [each.path_edge_index + start for each, start in zip(episodes, starts, strict=False)],
        dim=1,
    )
    parts = torch.split(U, [len(each.query) for each in episodes])
    windows = zip(parts, episodes, strict=True)
    paths = [
        path_similarity(rows.view(-1, each.window, rows.shape[1]), path_edges, network.path_weight)
        for rows, each in windows
    ]
    return U, torch.cat(paths), overlap


def newest_rows(
    network: Any, episode: Episode
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return similarity, cosine and overlap (B, N) of the newest keyframe of each window."""
    device = next(network.parameters()).device
    moved = episode.to(device)
    newest = slice(episode.window - 1, None, episode.window)
    similarity = episode_similarity(network, moved)
    cosine = (moved.query @ moved.reference.T)[newest]
    found = (part.cpu().numpy() for part in (similarity, cosine, moved.overlap[newest]))
    first, second, third = found
    return first, second, third


class GNNRun:
    """Training of a GNN from its configuration to its weights file.

    Args:
        config: all of the run.
        folder: of the run; there already.
        place: device and number of this process.

    Raises:
        ConfigError: no sequences, or a scene in both splits, or other embeddings than the GNN's.
        InputError: a sequence or weights file cannot be read.
    """

    def __init__(self, config: GNNTrainConfig, folder: Path, place: Placement) -> None:
        self._config = config
        self._folder = folder
        self._place = place
        self._train = load_sequences(config.data.train)
        self._validation = load_sequences(config.data.validation)
        _check_sequences(self._train, self._validation, config.gnn)
        torch.manual_seed(config.loop.seed)  # of the initial weights: alike in all processes
        self.network: Any = build_gnn(config.gnn).to(place.device)

    def run(self, curves: Curves, *, resume: bool = False) -> dict[str, Any]:
        """Train, or go on, and write the weights.

        Raises:
            InputError: a file cannot be read or written, or the loss is no longer a number.
            KeyboardInterrupt: after a checkpoint has been written.
        """
        config, place = self._config, self._place
        maker = EpisodeMaker(self._train, config.gnn, config.data)
        episodes = {
            stride: [
                maker.whole(sequence, variant, stride)
                for sequence in self._validation
                for variant in range(len(sequence.embeddings))
            ]
            for stride in config.data.validation_strides
            if self._validation
        }
        task = GNNTask(self.network, config.loss, episodes).to(place.device)
        share = max(1, config.data.scenes_per_step // place.num_processes)

        def source(step: int) -> Iterable[EpisodeBatch]:
            return maker.stream(step, share, config.loop.seed, place.rank)

        plan = Plan(_STAGE, 0, config.steps, config.optimiser, config.schedule, config.loop)
        trainer = Trainer(task, source, plan, self._folder, curves, place)
        if resume:
            path = self._folder / CHECKPOINT_FILE
            checkpoint = load_checkpoint(path)
            trainer.restore(checkpoint, path)
            curves.cut([], _STAGE, trainer.step)
        trainer.fit()
        return self._finish()

    def _finish(self) -> dict[str, Any]:
        values = best_values(self._folder)
        path = self._folder / WEIGHTS_FILE
        if self._place.is_first:
            parts: dict[str, Any] = {'gnn': self.network.state_dict()}
            training = {'configuration': asdict(self._config), 'validation': values}
            description: dict[str, Any] = {
                'gnn': asdict(self._config.gnn),
                'gnn_training': training,
            }
            if self._config.encoder:
                encoder = load_weights(self._config.encoder)
                parts['encoder'] = encoder.part('encoder')
                description = {**encoder.description, **description}
            save_weights(path, parts, description)
            write_result(self._folder, {'weights': WEIGHTS_FILE, 'validation': values})
        return {'weights': str(path), 'validation': values}


def load_sequences(paths: Sequence[str]) -> list[EmbeddingSequence]:
    """Read npz files, and all of those in folders, in the order of their names.

    Raises:
        ConfigError: a folder holds none.
        InputError: a file cannot be read.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob('*.npz')) if path.is_dir() else [path]
        if not found:
            raise ConfigError(f"'{path}' holds no embedding sequences (*.npz)")
        files += found
    return [load_sequence(file) for file in files]


def _check_sequences(
    train: Sequence[EmbeddingSequence],
    validation: Sequence[EmbeddingSequence],
    config: GNNConfig,
) -> None:
    if not train:
        raise ConfigError('data.train names no embedding sequences')
    both = {each.scene for each in train} & {each.scene for each in validation}
    if both:
        raise ConfigError(f"scene '{min(both)}' is in the training and in the validation data")
    for sequence in (*train, *validation):
        if sequence.embeddings.shape[2] != config.embedding_dim:
            raise ConfigError(
                f"embeddings of '{sequence.scene}' have {sequence.embeddings.shape[2]} "
                f'dimensions instead of {config.embedding_dim}'
            )
