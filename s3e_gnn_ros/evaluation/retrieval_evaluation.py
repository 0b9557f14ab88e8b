"""The whole evaluation of retrieval, from recordings to result folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s3e_gnn_ros.config import Config, VerificationConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.evaluation.files import make_directory
from s3e_gnn_ros.evaluation.retrieval_build import (
    build_experiment,
    experiment_name,
    open_for_truth,
)
from s3e_gnn_ros.evaluation.retrieval_degradations import parse_variant
from s3e_gnn_ros.evaluation.retrieval_experiment import Experiment
from s3e_gnn_ros.evaluation.retrieval_images import Progress
from s3e_gnn_ros.evaluation.retrieval_methods import (
    LearnedMethod,
    SimilarityMethod,
    make_method,
)
from s3e_gnn_ros.evaluation.retrieval_options import RetrievalOptions
from s3e_gnn_ros.evaluation.retrieval_relocalisation import (
    RelocalisationFigures,
    relocalise,
    second_half,
)
from s3e_gnn_ros.evaluation.retrieval_rerank import OrbMatches, Reranker
from s3e_gnn_ros.evaluation.retrieval_run import ExperimentRun
from s3e_gnn_ros.evaluation.retrieval_weights import MethodWeights, method_weights
from s3e_gnn_ros.evaluation.retrieval_write import write_outcome


def evaluate_retrieval(
    recordings: Sequence[Path],
    directory: Path,
    options: RetrievalOptions,
    config: Config | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Compare methods on recordings and write what came out.

    One recording is written to ``directory`` itself, several to folders of their names in it.

    Args:
        recordings: with true poses and depth, or folders of images with ``options.labels``.
        directory: created when missing.
        options: what to do.
        config: features, vocabulary, thresholds of verification; the defaults when None.
        progress: told about each step.

    Returns:
        ``recordings``: the metrics of each, as in its metrics.json.

    Raises:
        ConfigError: a method or variant is unknown, or two recordings have one name.
        InputError: images, labels or weights cannot be read, or the folder cannot be written.
        RecordingError: a recording cannot be read, or lacks what is needed.
    """
    config = Config() if config is None else config
    variants = [parse_variant(name) for name in options.variants]
    _check(options)
    places = _places(recordings, directory, options)
    methods = [make_method(name, config, options.min_gap) for name in options.methods]
    weights = _weights(options, config)
    make_directory(directory)  # a folder that cannot be written is said before the work
    results = []
    for path, place in zip(recordings, places, strict=True):
        experiment = build_experiment(path, options, config.features, progress)
        for method in methods:
            method.embedding_ms.clear()
            method.query_ms.clear()
        run = ExperimentRun(
            experiment,
            methods,
            OrbExtractor(config.features),
            _rerankers(methods, config.verification) if options.verify else {},
            weights,
            options.num_seeds,
            options.num_bootstrap,
            progress,
        )
        outcome = run.run(variants)
        located = _relocalise(path, experiment, methods, options, config, progress)
        results.append(write_outcome(outcome, place, located))
    return {'recordings': results}


def _weights(options: RetrievalOptions, config: Config) -> dict[str, MethodWeights]:
    """Return what is known of the weights, by learned method."""
    known = {name: method_weights(name, config) for name in options.methods}
    return {name: weights for name, weights in known.items() if weights is not None}


def _rerankers(
    methods: Sequence[SimilarityMethod], config: VerificationConfig
) -> dict[str, Reranker]:
    """Return the verification of each method: with what its own encoder matches beside ORB."""
    orb_matches = OrbMatches(config)
    return {
        method.name: Reranker(
            orb_matches,
            method.matches if config.use_patches and isinstance(method, LearnedMethod) else None,
        )
        for method in methods
    }


def _relocalise(
    path: Path,
    experiment: Experiment,
    methods: Sequence[SimilarityMethod],
    options: RetrievalOptions,
    config: Config,
    progress: Progress,
) -> dict[str, RelocalisationFigures]:
    if options.relocalise_every == 0:
        return {}
    progress(f'{experiment.name}: relocalisation')
    keyframes = [item.frame for item in experiment.database]
    frames = second_half(open_for_truth(path), keyframes, options.relocalise_every)
    return {
        method.name: relocalise(method.name, experiment.database, frames, config)
        for method in methods
    }


def _check(options: RetrievalOptions) -> None:
    """Refuse what only recordings with poses can give."""
    if options.labels is None and options.database is not None:
        raise ConfigError('a database of its own needs a label file')
    if options.labels is None:
        return
    if options.relocalise_every:
        raise ConfigError('relocalisation needs poses, not a label file')
    for name in options.variants:
        if 'rot' in name:
            raise InputError(f"variant '{name}' needs poses, not a label file")


def _places(recordings: Sequence[Path], directory: Path, options: RetrievalOptions) -> list[Path]:
    """Return the folder of each recording's results, before minutes are spent on the first."""
    if len(recordings) == 1:
        return [directory]
    taken: dict[Path, Path] = {}
    for path in recordings:
        place = directory / experiment_name(path, options).replace('/', '_')
        if place in taken:
            raise ConfigError(
                f"recordings '{taken[place]}' and '{path}' have one name, and both results "
                f"would go to '{place}': evaluate them one by one"
            )
        taken[place] = path
    return list(taken)
