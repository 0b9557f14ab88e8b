"""The questions an evaluation answers, as far as its methods allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.evaluation.retrieval_options import BASELINE
from s3e_gnn_ros.evaluation.retrieval_run import Outcome, Row
from s3e_gnn_ros.evaluation.retrieval_scores import METRICS, Sampled
from s3e_gnn_ros.evaluation.retrieval_weights import Architecture

RETRIEVAL, VERIFIED = 'retrieval', 'verified'


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two methods on the same draws of queries.

    Attributes:
        variant: name of the variant.
        stage: 'retrieval', or 'verified' with the best candidates verified.
        method: the one in question.
        against: the other one.
        mine: figures of the first.
        theirs: figures of the other.
    """

    variant: str
    stage: str
    method: str
    against: str
    mine: Sampled
    theirs: Sampled


@dataclass(frozen=True, eq=False)
class ArchitectureFigures:
    """One method with what its weights are weights of; see :class:`Comparison`."""

    variant: str
    stage: str
    method: str
    architecture: Architecture
    sampled: Sampled


@dataclass(frozen=True, eq=False)
class Spread:
    """Figures over several weights of one architecture, trained alike but for the seed.

    Attributes:
        variant: name of the variant.
        stage: see :class:`Comparison`.
        architecture: which all have.
        num_weights: N, at least 2.
        mean: by metric.
        deviation: by metric, standard deviation over weights (N - 1).
    """

    variant: str
    stage: str
    architecture: Architecture
    num_weights: int
    mean: dict[str, float]
    deviation: dict[str, float]


def against_baseline(outcome: Outcome) -> list[Comparison]:
    """Compare S3E with bag of words: each learned method with ``bow``, where it was asked for."""
    return _compare(outcome, lambda name: BASELINE if name in outcome.weights else None)


def with_and_without_gnn(outcome: Outcome) -> list[Comparison]:
    """Compare each GNN with the cosine of the embeddings that it was given."""
    cosine = {
        weights.name: method
        for method, weights in outcome.weights.items()
        if weights.architecture.gnn is None
    }

    def other(name: str) -> str | None:
        weights = outcome.weights.get(name)
        if weights is None or weights.architecture.gnn is None:
            return None
        return cosine.get(weights.name)

    return _compare(outcome, other)


def architectures(outcome: Outcome) -> list[ArchitectureFigures]:
    """List the learned methods by architecture; nothing where all encoders are alike."""
    encoders = {weights.architecture.encoder for weights in outcome.weights.values()}
    if len(encoders) < 2:
        return []
    found = [
        ArchitectureFigures(row.variant.name, stage, row.method, weights.architecture, sampled)
        for row in outcome.rows
        if (weights := outcome.weights.get(row.method)) is not None
        for stage, sampled in stages(row)
    ]
    variants = [row.variant.name for row in outcome.rows]
    return sorted(found, key=lambda each: (variants.index(each.variant), *_order(each)))


def over_weights(outcome: Outcome) -> list[Spread]:
    """Return mean and spread where several weights of one architecture were compared."""
    groups: dict[tuple[str, str, Architecture], list[Sampled]] = {}
    for row in outcome.rows:
        weights = outcome.weights.get(row.method)
        if weights is not None:
            for stage, sampled in stages(row):
                key = (row.variant.name, stage, weights.architecture)
                groups.setdefault(key, []).append(sampled)
    return [_spread(*key, group) for key, group in groups.items() if len(group) > 1]


def stages(row: Row) -> Iterator[tuple[str, Sampled]]:
    """Yield the figures of retrieval alone and, where there are any, after verification."""
    yield RETRIEVAL, row.before
    if row.after is not None:
        yield VERIFIED, row.after


def _compare(outcome: Outcome, other: Callable[[str], str | None]) -> list[Comparison]:
    rows = {(row.variant.name, row.method): row for row in outcome.rows}
    found = []
    for row in outcome.rows:
        against = other(row.method)
        theirs = None if against is None else rows.get((row.variant.name, against))
        if against is not None and theirs is not None:
            found += [
                Comparison(row.variant.name, stage, row.method, against, mine, theirs_too)
                for (stage, mine), (_, theirs_too) in zip(stages(row), stages(theirs), strict=True)
            ]
    return found


def _order(figures: ArchitectureFigures) -> tuple[str, str, str, str, int]:
    encoder = figures.architecture.encoder
    method = figures.architecture.method
    return figures.stage, method, encoder.backbone, encoder.form, encoder.patch_size_px


def _spread(variant: str, stage: str, architecture: Architecture, group: list[Sampled]) -> Spread:
    table = np.array([[sampled.values[name] for name in METRICS] for sampled in group])
    mean, deviation = table.mean(axis=0), table.std(axis=0, ddof=1)
    return Spread(
        variant,
        stage,
        architecture,
        len(group),
        dict(zip(METRICS, map(float, mean), strict=True)),
        dict(zip(METRICS, map(float, deviation), strict=True)),
    )
