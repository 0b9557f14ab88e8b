"""Fits what a similarity means on validation scenes, and stores it with the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.weights import Weights, load_weights, save_weights
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.graph.calibration import Calibration, fit_calibration
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.training.episodes import Episode, EpisodeMaker
from s3e_gnn_ros.training.gnn_config_file import SequenceConfig
from s3e_gnn_ros.training.gnn_training import episode_similarity, load_sequences
from s3e_gnn_ros.training.section import Section, value
from s3e_gnn_ros.training.sequences import EmbeddingSequence

_PART = 'calibration'


@dataclass(frozen=True)
class CalibrationConfig(Section):
    """How similarities are calibrated.

    Attributes:
        weights: file with encoder and GNN; the result holds both as well.
        sequences: npz files, or folders of them, of scenes that nothing was trained on.
        num_candidates: most similar keyframes per query that count. Probabilities are those
            among the candidates of retrieval, not among all pairs of a map, nearly all of which
            have no overlap.
        max_knots: points of the fitted curve.
    """

    weights: str = ''
    sequences: tuple[str, ...] = ()
    num_candidates: int = value(20, minimum=1)
    max_knots: int = value(64, minimum=2)


def calibrate(config: CalibrationConfig, path: Path) -> dict[str, Any]:
    """Fit the calibrations of encoder (cosine) and GNN (U), and write weights with them.

    Args:
        config: weights and sequences.
        path: the weights file to write.

    Returns:
        Number of pairs, and mean absolute errors of the expected overlap, by part.

    Raises:
        ConfigError: nothing to calibrate on.
        InputError: a file cannot be read or written.
        DependencyError: scikit-learn is not installed.
    """
    weights = load_weights(config.weights)
    sequences = load_sequences(config.sequences)
    if not sequences:
        raise ConfigError('sequences names no embedding sequences to calibrate on')
    tensors: dict[str, torch.Tensor] = {}
    report: dict[str, Any] = {}
    for part, (similarity, overlap) in _pairs(weights, sequences, config.num_candidates).items():
        fitted = fit_calibration(similarity, overlap, max_knots=config.max_knots)
        report[part] = _report(fitted, similarity, overlap)
        for name, array in fitted.to_arrays().items():
            tensors[f'{part}.{name}'] = torch.from_numpy(array)
    names = {name.partition('.')[0] for name in weights.tensors} - {_PART}
    parts = {name: weights.part(name) for name in names} | {_PART: tensors}
    content = {'num_candidates': config.num_candidates, 'fit': report}
    save_weights(path, parts, {**weights.description, _PART: content})
    return report


def _pairs(
    weights: Weights, sequences: Sequence[EmbeddingSequence], num_candidates: int
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return similarity and IoU of each query's best candidates, by part."""
    config = GNNConfig.from_dict(weights.configuration('gnn'))
    network = build_gnn(config)
    weights.load_into(network, 'gnn')
    network.eval()
    maker = EpisodeMaker(sequences, config, SequenceConfig())
    found: dict[str, list[NDArray[np.float32]]] = {'encoder': [], 'gnn': []}
    for sequence in sequences:
        for variant in range(len(sequence.embeddings)):
            episode = maker.whole(sequence, variant)
            newest = sequence.rows(1)[episode.window - 1 :]
            iou = sequence.iou[np.ix_(newest, sequence.rows(0))]
            for part, matrix in _newest(network, episode).items():
                found[part].append(_best(matrix, iou, num_candidates))
    return {
        part: (rows[:, 0], rows[:, 1])
        for part, rows in ((part, np.concatenate(all_rows)) for part, all_rows in found.items())
    }


@torch.no_grad()
def _newest(network: Any, episode: Episode) -> dict[str, NDArray[np.float32]]:
    """Return cosine and similarity (B, N) of the newest keyframe of each window."""
    newest = slice(episode.window - 1, None, episode.window)
    return {
        'encoder': (episode.query @ episode.reference.T)[newest].numpy(),
        'gnn': episode_similarity(network, episode).numpy(),
    }


def _best(
    similarity: NDArray[np.float32], iou: NDArray[np.float32], num_candidates: int
) -> NDArray[np.float32]:
    """Return similarity and IoU (P, 2) of the best candidates of each row."""
    best = np.argsort(-similarity, axis=1, kind='stable')[:, :num_candidates]
    chosen = [np.take_along_axis(each, best, axis=1).ravel() for each in (similarity, iou)]
    return np.stack(chosen, axis=1).astype(np.float32)


def _report(
    fitted: Calibration, similarity: NDArray[np.float32], overlap: NDArray[np.float32]
) -> dict[str, float | int]:
    error = np.abs(fitted.overlap(similarity) - overlap)
    return {
        'num_pairs': len(overlap),
        'mean_absolute_error': float(error.mean()),
        'max_absolute_error': float(error.max()),
    }
