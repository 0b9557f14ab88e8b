"""Runs methods over an experiment and its variants."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.evaluation.ranking import PrecisionRecall, precision_recall
from s3e_gnn_ros.evaluation.retrieval_degradations import Variant
from s3e_gnn_ros.evaluation.retrieval_experiment import Experiment
from s3e_gnn_ros.evaluation.retrieval_images import Progress
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_methods import SimilarityMethod
from s3e_gnn_ros.evaluation.retrieval_rerank import Reranker
from s3e_gnn_ros.evaluation.retrieval_scores import (
    Answers,
    Sampled,
    block_samples,
    find_answers,
    metrics,
    sample_metrics,
)
from s3e_gnn_ros.evaluation.retrieval_truth import SimilarityError, similarity_error
from s3e_gnn_ros.evaluation.retrieval_weights import MethodWeights
from s3e_gnn_ros.evaluation.retrieval_yaw import EDGES_DEG, MIN_OVERLAP, YawRow

_PLAIN = Variant('plain')


@dataclass(frozen=True, eq=False)
class Row:
    """One method on one variant.

    Attributes:
        variant: what was asked.
        method: name of the method.
        before: figures of retrieval alone.
        after: with the best candidates verified; None where that was not asked for.
        num_queries: queries with a candidate.
        num_with_positive: those that have something to find.
        curve: of the first seed, before verification.
        curve_after: the same after it.
        similarity: (Q, N) of the first seed, computed with these N images in the database and
            no other: the M of the experiment, and its D distractors where the variant has them.
        relevance: (Q, N) of the same.
    """

    variant: Variant
    method: str
    before: Sampled
    after: Sampled | None
    num_queries: int
    num_with_positive: int
    curve: PrecisionRecall
    curve_after: PrecisionRecall | None
    similarity: NDArray[np.float32]
    relevance: NDArray[np.int8]


@dataclass(eq=False)
class Outcome:
    """All of an experiment.

    Attributes:
        experiment: what was asked.
        rows: by variant, then by method.
        yaw: by variant, where poses are known.
        similarity_error: by method, on the plain images, where overlaps are known; of the overlap
            that the similarity stands for where a method has a calibration.
        plain_similarity: by method (Q, M), that of which this is the error.
        timing_ms: by method, medians of ``embedding`` and ``query`` over all variants.
        weights: by learned method.
    """

    experiment: Experiment
    rows: list[Row] = field(default_factory=list)
    yaw: dict[str, list[YawRow]] = field(default_factory=dict)
    similarity_error: dict[str, SimilarityError] = field(default_factory=dict)
    plain_similarity: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    timing_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: Mapping[str, MethodWeights] = field(default_factory=dict)


class ExperimentRun:
    """Evaluates methods on one experiment; each image is described once per degradation.

    Variants that differ only in which pairs are barred share one similarity matrix. Those with
    and without distractors do not: distractors must not touch a figure of a variant without them.

    Args:
        experiment: queries, database, truth.
        methods: compared on the same items.
        extractor: of the features of degraded queries.
        rerankers: by method, verifies its best candidates; left out where there is none.
        weights: by learned method.
        num_seeds: draws of each random degradation.
        num_bootstrap: draws of queries.
        progress: told about each step.
    """

    def __init__(
        self,
        experiment: Experiment,
        methods: Sequence[SimilarityMethod],
        extractor: OrbExtractor,
        rerankers: Mapping[str, Reranker],
        weights: Mapping[str, MethodWeights],
        num_seeds: int = 1,
        num_bootstrap: int = 1000,
        progress: Progress = lambda _: None,
    ) -> None:
        self._experiment = experiment
        self._methods = methods
        self._extractor = extractor
        self._rerankers = rerankers
        self._weights = weights
        self._num_seeds = num_seeds
        self._num_bootstrap = num_bootstrap
        self._progress = progress
        self._queries: dict[tuple[tuple[str, ...], int], list[Item]] = {}
        self._matrices: dict[tuple[str, tuple[str, ...], int, bool], NDArray[np.float32]] = {}

    def run(self, variants: Sequence[Variant]) -> Outcome:
        """Evaluate all methods on all variants.

        Raises:
            InputError: a method gives a similarity that is not finite.
        """
        outcome = Outcome(self._experiment, weights=self._weights)
        for variant in variants:
            self._progress(f'{self._experiment.name}: {variant.name}')
            outcome.rows += [self._row(variant, method) for method in self._methods]
            if self._experiment.truth is not None:
                outcome.yaw[variant.name] = self._yaw(variant)
        for method in self._methods:
            if self._experiment.truth is not None:
                outcome.similarity_error[method.name] = self._similarity_error(method)
                outcome.plain_similarity[method.name] = self._matrix(method, _PLAIN, 0)
            outcome.timing_ms[method.name] = {
                'embedding': _median(method.embedding_ms),
                'query': _median(method.query_ms),
            }
        return outcome

    def _row(self, variant: Variant, method: SimilarityMethod) -> Row:
        relevance = self._experiment.relevance_in(variant)
        seeds = range(self._num_seeds if variant.degradations else 1)
        matrices = [self._matrix(method, variant, seed) for seed in seeds]
        before = [find_answers(matrix, relevance) for matrix in matrices]
        draws = block_samples(len(before[0]), self._num_bootstrap)
        after = self._verified(method, matrices, relevance, variant)
        return Row(
            variant=variant,
            method=method.name,
            before=sample_metrics(before, draws),
            after=sample_metrics(after, draws) if after else None,
            num_queries=len(before[0]),
            num_with_positive=int(before[0].has_positive.sum()),
            curve=_curve(before[0]),
            curve_after=_curve(after[0]) if after else None,
            similarity=matrices[0],
            relevance=relevance,
        )

    def _verified(
        self,
        method: SimilarityMethod,
        matrices: Sequence[NDArray[np.float32]],
        relevance: NDArray[np.int8],
        variant: Variant,
    ) -> list[Answers]:
        """Return the answers of each seed once the best candidates are verified, if they are."""
        if method.name not in self._rerankers:
            return []
        rerank = self._rerankers[method.name].rerank
        database = self._experiment.database_in(variant)
        found = []
        for seed, matrix in enumerate(matrices):
            queries = self._asked(variant.degradations, seed)
            found.append(find_answers(rerank(matrix, relevance, queries, database), relevance))
        return found

    def _yaw(self, variant: Variant) -> list[YawRow]:
        return [self._yaw_row(variant, low, high) for low, high in itertools.pairwise(EDGES_DEG)]

    def _yaw_row(self, variant: Variant, low: int, high: int) -> YawRow:
        relevance = self._experiment.revisits(variant, MIN_OVERLAP, low, high)
        num, recall, verified = 0, {}, {}
        for method in self._methods:
            matrix = self._matrix(method, variant, 0)
            answers = find_answers(matrix, relevance)
            num = int(answers.has_positive.sum())
            recall[method.name] = _full_precision(answers)
            # Without a match to find there is nothing to verify: the figure is undefined.
            for after in self._verified(method, [matrix] if num else [], relevance, variant):
                verified[method.name] = _full_precision(after)
        return YawRow(low, min(high, 180), num, recall, verified)

    def _similarity_error(self, method: SimilarityMethod) -> SimilarityError:
        truth, may_match = self._experiment.truth, self._experiment.may_match
        assert truth is not None  # the caller has asked
        similarity = self._matrix(method, _PLAIN, 0)[may_match]
        weights = self._weights.get(method.name)
        predicted = similarity if weights is None else weights.overlap(similarity)
        return similarity_error(predicted, truth.iou[may_match])

    def _asked(self, degradations: tuple[str, ...], seed: int) -> list[Item]:
        key = (degradations, seed)
        if key not in self._queries:
            self._queries[key] = self._experiment.degraded_queries(
                degradations, seed, self._extractor
            )
        return self._queries[key]

    def _matrix(
        self, method: SimilarityMethod, variant: Variant, seed: int
    ) -> NDArray[np.float32]:
        key = (method.name, variant.degradations, seed, variant.has_distractors)
        if key not in self._matrices:
            queries = self._asked(variant.degradations, seed)
            database = self._experiment.database_in(variant)
            self._matrices[key] = method.similarity_matrix(queries, database)
        return self._matrices[key]


def _curve(answers: Answers) -> PrecisionRecall:
    num = int(answers.has_positive.sum())
    return precision_recall(answers.similarity, answers.is_right, num)


def _full_precision(answers: Answers) -> float:
    return metrics(answers)['max_recall_at_full_precision']


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float('nan')
